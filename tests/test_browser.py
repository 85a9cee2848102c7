"""The book of the smoke run in a real browser, read from disk with all other hosts out of reach."""

import pytest
from browser import CHROMIUM, browser

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: install the package chromium to run this")

LOOKS = [(1280, False), (1280, True), (390, True), (390, False)]
LOADED = "[...document.images].every(image => image.complete)"
BRIGHTNESS = """["body", "main"].map((where, text) => {
    const style = getComputedStyle(document.querySelector(where));
    const [red, green, blue] = (text ? style.color : style.backgroundColor).match(/[\\d.]+/g).map(Number);
    return 0.3 * red + 0.6 * green + 0.1 * blue;
})"""
PLAYED = """Promise.all([...document.querySelectorAll("audio")].map(async audio => {
    await audio.play();
    while (audio.currentTime == 0) await new Promise(wait => setTimeout(wait, 10));
    audio.pause();
    return audio.duration;
}))"""
# Of the page, what is text but neither code nor mathematics: LaTeX that was not typeset would stand there.
PROSE = """(() => {
    const copy = document.querySelector("main").cloneNode(true);
    copy.querySelectorAll("pre, code, math, script").forEach(part => part.remove());
    return copy.textContent;
})()"""


@pytest.fixture(scope="module")
def book(smoke):
    return smoke / "book" / "_build" / "smoke" / "_build" / "html"


@pytest.fixture(scope="module")
def page():
    with browser() as page:
        yield page


def test_every_page_renders_on_desktop_and_phone_light_and_dark(book, page):
    wrong, formulas, sounds = [], 0, 0
    others = {"_static", "_modules"}  # templates; the listings of the sources, all of one kind
    pages = sorted(path for path in book.rglob("*.html") if not others & set(path.parts))
    for path in pages:
        name = str(path.relative_to(book))
        page.problems.clear()
        page.look(*LOOKS[0])
        page.open(path.as_uri())
        for width, dark in LOOKS:
            page.look(width, dark)
            page.until(f"document.documentElement.dataset.theme === '{'dark' if dark else 'light'}'")
            page.run("new Promise(requestAnimationFrame)")
            if page.run("document.documentElement.scrollWidth") > width:
                wrong.append(f"{name}: wider than {width} pixels")
            if not page.run("document.querySelector('main').innerText.trim().length"):
                wrong.append(f"{name}: empty at {width} pixels")
            behind, letters = page.run(BRIGHTNESS)
            if (letters - behind if dark else behind - letters) < 100:
                wrong.append(f"{name}: {'dark' if dark else 'light'}, letters {letters} on {behind}")
        page.until(LOADED)
        wrong += [f"{name}: {text}" for text in page.run(FAULTS)]
        if page.run("document.querySelectorAll('article math').length"):
            formulas += page.run("document.querySelectorAll('article math').length")
            page.run("document.fonts.ready.then(() => 0)")
            if not page.run("[...document.fonts].some(f => f.family.includes('STIX') && f.status === 'loaded')"):
                wrong.append(f"{name}: the mathematics font was not loaded")
        if "$$" in (prose := page.run(PROSE)) or "\\frac" in prose:
            wrong.append(f"{name}: mathematics that was not typeset")
        durations = page.run(PLAYED)
        sounds += len(durations)
        if len(durations) > 6 or not all(duration > 0.5 for duration in durations):
            wrong.append(f"{name}: audio clips of {durations} s; expected six at most, each of some length")
        wrong += [f"{name}: {problem}" for problem in page.problems]
    assert wrong == []
    assert len(pages) > 40 and formulas > 30 and sounds >= 8, "the book has all its parts"
    outside = [url for url in page.requests.values() if not url.startswith(("file:", "data:", "blob:", "about:"))]
    assert outside == []


FAULTS = """[
    ...[...document.querySelectorAll("article img")].filter(image => !(image.alt || "").trim() || !image.naturalWidth)
        .map(image => `image without alternative text, or not shown: ${image.src.slice(-60)}`),
    ...[...document.querySelectorAll("article math")].filter(math => {
        const box = math.getBoundingClientRect();
        return math.checkVisibility() && !(box.width && box.height);
    }).map(math => `mathematics without size: ${math.getAttribute("alttext")}`),
]"""


def test_the_search_finds_what_the_paper_names(book, page):
    page.look(*LOOKS[0])
    page.problems.clear()
    page.open((book / "search.html").as_uri() + "?q=DDCSAD")
    page.until("document.querySelectorAll('#search-results li a').length > 3")
    found = page.run("[...document.querySelectorAll('#search-results li a')].map(link => link.href)")
    assert any("classifier.html" in link for link in found), found
    assert page.problems == []


def test_what_is_missing_is_seen(page, tmp_path):
    """The checks above can fail: a page that wants another host, a file that is not there, and throws."""
    (tmp_path / "page.html").write_text(
        '<article><h1>t</h1><img src="https://example.com/a.png"></article><script src="no_such.js"></script>'
        '<script>console.error("one"); throw new Error("two")</script>'
    )
    page.problems.clear()
    page.open((tmp_path / "page.html").as_uri())
    text = "\n".join(page.problems)
    for word in ("example.com", "no_such.js", "console: one", "Error: two"):
        assert word in text
    assert len(page.run(FAULTS)) == 1
