"""Test the book of the smoke run in a real browser, from disk and without access to other hosts."""

import json
import re
from html import unescape
from urllib.parse import unquote

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
PLAYED = """(async () => {
    const durations = [];
    for (const audio of document.querySelectorAll("article audio:is([src], :has(source))")) {
        await audio.play();
        while (audio.currentTime == 0) await new Promise(wait => setTimeout(wait, 10));
        audio.pause();
        durations.push(audio.duration);
    }
    return durations;
})()"""
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
            if page.run(CUT):
                wrong.append(f"{name}: the link to the next or the previous page is cut at {width} pixels")
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
        if len(durations) > 12 or not all(duration > 0.5 for duration in durations):
            wrong.append(f"{name}: audio clips of {durations} s; expected twelve at most, each of some length")
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
    ...[...document.querySelectorAll("article .cell_output table")].flatMap(table => {
        const [head, row] = [[...table.tHead.rows].at(-1), table.tBodies[0]?.rows[0]];
        if (head.cells.length !== row?.cells.length) return [];
        const side = cell => getComputedStyle(cell).textAlign;
        return [...head.cells].filter((cell, column) => side(cell) !== side(row.cells[column]));
    }).map(cell => `a head that is not aligned with its column: ${cell.textContent}`),
]"""
CUT = "[...document.querySelectorAll('.prev-next-area a')].some(link => link.scrollWidth > link.clientWidth)"


def test_the_search_finds_what_the_paper_names(book, page):
    page.look(*LOOKS[0])
    page.problems.clear()
    page.open((book / "search.html").as_uri() + "?q=DDCSAD")
    page.until("document.querySelectorAll('#search-results li a').length > 3")
    found = page.run("[...document.querySelectorAll('#search-results li a')].map(link => link.href)")
    assert any("classifier.html" in link for link in found), found
    page.until("document.querySelectorAll('#search-results li .context').length > 3")
    shown = page.run("[...document.querySelectorAll('#search-results .context')].map(part => part.textContent)")
    assert sum("ddcsad" in text.lower() for text in shown) > 1, shown
    assert page.problems == []


def test_no_link_is_dead(book):
    """Check the links of all pages, including listings of sources; links to other hosts are not followed."""
    dead = []
    for path in sorted(book.rglob("*.html")):
        if "_static" in path.parts:
            continue
        for link in set(re.findall(r'<a[^>]* href="([^"#?]+)', path.read_text(encoding="utf-8"))):
            if not re.match(r"\w+:", link) and not (path.parent / unquote(unescape(link))).exists():
                dead.append(f"{path.relative_to(book)}: {link}")
    assert dead == []


def test_one_player_plays_at_a_time_and_shows_where_it_is(book, page):
    page.look(*LOOKS[0])
    page.open((book / "classifier.html").as_uri())
    playing = page.run("""(async () => {
        const players = [...document.querySelectorAll("figure.player audio")];
        for (const player of players.slice(0, 3)) await player.play();
        while (players[2].currentTime < 0.1) await new Promise(wait => setTimeout(wait, 10));
        await new Promise(requestAnimationFrame);
        const line = players[2].closest("figure").querySelector(".picture > span");
        const result = [players.map(player => !player.paused), parseFloat(line.style.left)];
        players[2].pause();
        return result;
    })()""")
    assert playing[0].index(True) == 2 and sum(playing[0]) == 1 and 0 < playing[1] <= 100
    assert page.run("[...document.querySelectorAll('figure.player audio')].every(audio => audio.ariaLabel)")


def test_a_clip_in_a_plot_is_named_lights_up_everywhere_and_plays(book, page):
    page.problems.clear()
    page.open((book / "ensembles.html").as_uri())
    clip = page.run("document.querySelector('.points svg [data-clip]').dataset.clip")
    found = page.run(f"""(async () => {{
        const plot = document.querySelector(".points"), name = {json.dumps(clip)};
        const mark = plot.querySelector(`svg [data-clip="${{name}}"]`);
        mark.dispatchEvent(new PointerEvent("pointerover", {{bubbles: true}}));
        const lit = [...plot.querySelectorAll("svg")].filter(panel => panel.querySelector(".lit")).length;
        mark.dispatchEvent(new MouseEvent("click", {{bubbles: true}}));
        const sound = plot.querySelector(":scope > audio");
        while (!(sound.currentTime > 0)) await new Promise(wait => setTimeout(wait, 10));
        const buttons = plot.querySelectorAll("tbody button").length;
        return [lit, plot.querySelector(".now").textContent, sound.duration, buttons];
    }})()""")
    assert found[0] == 2 and found[1].startswith(f"{clip}: ") and found[2] > 0.5 and found[3] > 10
    assert page.problems == []


def test_what_answers_and_what_the_detector_writes_are_numbered_figures(book):
    for name, figure in (
        ("classifier", "answering-map"),
        ("ensembles", "answering-scores"),
        ("your_machine", "detector-report"),
        ("your_machine", "detector-history"),
    ):
        text = (book / f"{name}.html").read_text(encoding="utf-8")
        found = re.search(rf'<figure[^>]* id="{figure}">.*?</figure>', text, re.DOTALL)
        assert found and re.search(r'caption-number">Figure [\d.]+ <', found[0]), figure
        assert len(re.sub("<[^>]*>", "", found[0].partition("caption-number")[2])) > 200, "the caption says what to see"
    for name in ("report", "history"):  # what the commands wrote, which the figures frame
        page = (book / "_static" / "detector" / f"{name}.html").read_text(encoding="utf-8")
        assert "data:image/png;base64," in page and "<table>" in page


def test_table_1_sorts_within_its_blocks(book, page):
    page.open((book / "table1.html").as_uri())
    values = page.run("""(() => {
        const table = document.querySelector("table.table1");
        table.querySelector("thead button").click();
        return [...table.tBodies].map(body => [...body.rows].map(row => row.cells[1]?.dataset.value ?? ""));
    })()""")
    for block in values:
        numbers = [float(value) for value in block[1:] if value]
        assert block[0] == "" and len(numbers) > 3 and numbers == sorted(numbers, reverse=True)


def test_terms_and_works_explain_themselves(book):
    text = (book / "data.html").read_text(encoding="utf-8")
    assert re.search(r'href="basics.html#term-section"[^>]* title="One particular machine', text)
    assert re.search(r'href="references.html#[^"]*"[^>]* title="[^"]{20,}', text)


def test_the_checks_detect_problems(page, tmp_path):
    """The checks above can fail: a page requests another host and a missing file, and throws an exception."""
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
