"""Test the parts of the book: pages, tables, links, mathematics. The end-to-end test builds the whole book."""

import importlib
import inspect
import itertools
import json
import re
import sys
import tarfile
from copy import deepcopy
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from pybtex.database import parse_file

from asdlib import metrics, params, records, scores
from asdlib.data import catalogue
from asdlib.detector import output
from asdlib.errors import AsdError
from asdlib.evaluation import claims, claims_paper, false_alarms, health, paper
from asdlib.execution.workflow import BY_NAME
from asdlib.paths import Run
from asdlib.tables import read_table

BOOK = Path(__file__).resolve().parent.parent / "book"
sys.path[:0] = [str(BOOK), str(BOOK / "_ext"), str(BOOK.parent / "benchmarks" / "real_systems")]

import ablation_tables  # noqa: E402
import answers  # noqa: E402
import assemble  # noqa: E402
import changed_detector  # noqa: E402
import claim_counts  # noqa: E402
import clips  # noqa: E402
import contents  # noqa: E402
import costs  # noqa: E402
import detector_pages  # noqa: E402
import executed  # noqa: E402
import exercises  # noqa: E402
import flow  # noqa: E402
import gpu_figures  # noqa: E402
import method_sentences  # noqa: E402
import one_model_run  # noqa: E402
import paired  # noqa: E402
import paper_costs  # noqa: E402
import provenance  # noqa: E402
import real  # noqa: E402
import real_answers  # noqa: E402
import real_compared  # noqa: E402
import real_systems  # noqa: E402
import schematics  # noqa: E402
import shifts  # noqa: E402
import shown  # noqa: E402
import source_code  # noqa: E402
import store  # noqa: E402
import stored_results  # noqa: E402
import substitutions  # noqa: E402
import table_one  # noqa: E402
import tables  # noqa: E402
import variants  # noqa: E402
import verdicts  # noqa: E402
import why  # noqa: E402
import your_machine_alarms  # noqa: E402
from author_year import AuthorYearLabels  # noqa: E402
from claim_tests import Scope  # noqa: E402
from ensemble_claims import decide  # noqa: E402
from executed import LINES, Executed, as_page, joined, shortened, title  # noqa: E402
from mathml import MathError, mathml  # noqa: E402
from typography import typeset  # noqa: E402

pytestmark = pytest.mark.slow

CHAPTERS = {path.stem: path.read_text(encoding="utf-8") for path in sorted(BOOK.glob("*.md"))}
EVERY = pytest.mark.parametrize("name", CHAPTERS)


# Chapters -------------------------------------------------------------------------------------------------------------
def prose(text: str) -> str:
    """Return a chapter without code; the contents of a directive (a caption, a note) are prose."""
    text = re.sub(r"(?ms)^```([^\n]*)\n(.*?)^```$", lambda fence: fence[2] if fence[1].startswith("{") else "", text)
    return re.sub(r"`[^`\n]*`", "", text)


@EVERY
def test_a_chapter_asks_quotes_and_ends_with_what_to_try(name):
    blocks = CHAPTERS[name].split("\n\n")
    assert blocks[0].startswith("# ")
    assert blocks[1].endswith("?"), "the question comes first"
    if name not in ("api", "references", "service"):
        assert blocks[2].startswith("> ") and "— {cite:t}`kuroyanagi2021`" in blocks[2], "then the paper's sentence"
    if name != "references":
        assert re.findall(r"^## (.*)$", CHAPTERS[name], re.M)[-1] == "What to try"


def test_quotations_are_the_papers_words(root):
    """Most runs of five words of a quotation stand in the paper; its text is broken by tables and citations."""
    path = root.parent / "shared" / "paper.txt"
    if not path.is_file():
        pytest.skip("the paper's text is not at hand")
    words = " ".join(re.findall(r"\w+", re.sub(r"\[\d[\d, ]*\]", "", path.read_text())))
    texts = {name: re.findall(r"(?:^>.*\n)+", text, re.M) for name, text in CHAPTERS.items()}
    quotes = [(name, quote.partition("> — ")[0]) for name, found in texts.items() for quote in found]
    assert len(quotes) > 25
    for name, quote in quotes:
        for part in quote.replace(">", "").split("[…]"):
            said = re.findall(r"\w+", part)
            runs = [" ".join(said[k : k + 5]) for k in range(len(said) - 4)]
            assert np.mean([run in words for run in runs]) >= 0.5 if runs else " ".join(said) in words, (name, part)
    for sentence in method_sentences.SENTENCES:
        for part in sentence.words.split(" […] "):
            assert " ".join(re.findall(r"\w+", part)) in words, part


TYPED = (
    r"\d+\.\d+ ?%|\b\d+\.\d\d\b|\b\d+\.\d times\b|"
    r"(?i:\b(?:two|three|four|five|six|seven|eight|nine|ten) (?:variants|baselines|units|consecutive|poolings)\b)"
)
"""figures, and counts that settings decide"""


@EVERY
def test_no_figure_is_typed_by_hand(name):
    assert re.findall(TYPED, prose(CHAPTERS[name])) == []


@pytest.mark.parametrize("path", sorted((BOOK.parent / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_no_figure_is_typed_by_hand_in_a_notebook(path):
    """Check prose, captions and alternative texts; only quotations of the paper may contain figures."""
    texts = []
    for cell in nbformat.read(path, as_version=4).cells:
        about = cell.metadata.get("mystnb", {})
        texts += [cell.source] if cell.cell_type == "markdown" else []
        texts += [about.get("figure", {}).get("caption", ""), about.get("image", {}).get("alt", "")]
    text = re.sub(r'"[^"]*"', "", prose("\n\n".join(texts)))
    assert re.findall(TYPED + r"|\b\d+ ?%(?! is chance)|(?i:one of ours)", text) == []


def test_the_guard_finds_typed_figures():
    for text in ("it is 2.2 times", "Five variants", "three baselines", "71.25", "a gain of 3.5 %"):
        assert re.search(TYPED, text), text


@EVERY
def test_links_of_a_chapter_resolve(name):
    text = CHAPTERS[name]
    others = [*sorted(BOOK.glob("*.py")), *sorted((BOOK.parent / "notebooks").glob("*.ipynb"))]
    labels = "\n".join([*CHAPTERS.values(), *(path.read_text(encoding="utf-8") for path in others)])
    for role, target in re.findall(r"\{([a-z:]+)\}`(?:[^`<]*<)?([^`>]+)>?`", text):
        if role == "doc":
            assert (BOOK / f"{target}.md").is_file(), target
        elif role.startswith("py:"):
            assert resolved(target) is not None, target
        elif role.startswith("cite"):
            for key in target.split(","):
                assert re.search(rf"^@\w+{{{key},$", (BOOK / "references.bib").read_text(encoding="utf-8"), re.M), key
        elif role == "eq":
            assert f"$$ ({target})" in labels, target
        elif role == "numref":
            assert re.search(rf":name: {target}\n|\"{target}\"", labels), target


def resolved(name: str):
    """Return the object with the name ``asdlib.module.Class.method``."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            thing = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            thing = getattr(thing, part)
        return thing
    return None


@EVERY
def test_no_value_is_filled_in_within_code(name):
    code = re.findall(r"`([^`]*)`", re.sub(r"(?ms)^```.*?^```", "", CHAPTERS[name]))
    assert not [span for span in code if "{{" in span], "in code a value stays as it is written"


@EVERY
def test_settings_that_a_chapter_names_exist(name):
    """Check settings in ``{{ settings.x }}`` and those in code, such as ``autoencoder.scorer.masking``."""
    known = set(provenance.flatten(params.load("paper").resolved()))
    above = {key.rsplit(".", depth)[0] for key in known for depth in (1, 2)}
    heads = ("frame_autoencoder", "mobilenet", "autoencoder", "classifier", "ensemble", "evaluation", "data")
    pattern = rf"(?:settings\.|[`\"{{])((?:{'|'.join(heads)})\.[a-z0-9_.]+)"
    for key in re.findall(pattern, CHAPTERS[name]):
        assert key in known | above or key.startswith("data.synthetic."), key


@EVERY
def test_every_figure_has_alternative_text(name):
    figures = re.findall(r"\{figure\}.*\n((?::.*\n)*)", CHAPTERS[name])
    assert all(re.search(r"^:alt: .{20,}", options, re.M) for options in figures)
    assert not re.search(r"!\[\]|<img(?![^>]*alt=)", CHAPTERS[name])


@EVERY
def test_every_figure_that_is_drawn_of_numbers_offers_them(name):
    figures = re.findall(r"(?ms)^(:::|```)\{figure\} generated/(\S+)\n(.*?)^\1$", CHAPTERS[name])
    drawn = {figure: text for _, figure, text in figures if not figure.startswith(("schematic", "flow"))}
    assert [figure for figure, text in drawn.items() if "{download}`" not in text] == []


@EVERY
def test_mathematics_of_a_chapter_can_be_typeset(name):
    text = re.sub(r"(?ms)^```.*?^```", "", CHAPTERS[name])
    for latex in re.findall(r"(?s)\$\$(.+?)\$\$", text):
        ElementTree.fromstring(mathml(latex, display=True))
    for latex in re.findall(r"(?<!\$)\$([^$]+)\$(?!\$)", re.sub(r"(?s)\$\$.+?\$\$", "", text)):
        ElementTree.fromstring(mathml(latex, display=False))


def test_figures_of_the_reliability_page_come_from_tests_that_exist():
    frame = pd.read_csv(BOOK / "results" / "reliability" / "figures.csv")
    assert (frame["value"] >= 0).all() and not frame.duplicated(["test", "what"]).any()
    for test in set(frame["test"]):
        path, _, name = test.partition("::")
        assert f"def {name}(" in (BOOK.parent / path).read_text(encoding="utf-8"), test
    text = tables.reliability(BOOK / "results" / "reliability" / "figures.csv")
    present = frame["what"].replace(stored_results.RENAMED, regex=True)
    assert all(what[1:] in text for what in present)
    victims = set(present.str.extract("kills of (.*)")[0].dropna())
    source = (BOOK.parent / "benchmarks" / "chaos.py").read_text(encoding="utf-8")
    assert victims and all(f'"{victim}"' in source for victim in victims)


def test_the_caption_of_the_history_says_when_a_drift_and_most_alarms_were_seen():
    days = pd.DataFrame({"day": ["a", "b", "c"], "recordings": 20, "anomalies": [2, 3, 12], "response_changed": 0})
    verdicts = pd.DataFrame(
        {"day": np.repeat(["a", "b", "c"], 20), "percentile": np.repeat([40.0, 88.0, 92.0], 20), "normals": 25}
        | {"level": 0.1, "level_spread": 2.0, "detector": "x"}
        | dict.fromkeys(["error", "changed", "level_changed", "response_changed"], False)
    )
    text = detector_pages.describe_drift(days, verdicts)
    # 20 of 40 and 40 of 60 are within chance with 25 held-out clips
    assert "claimed none; more than half of a day's recordings first raised an alarm on day 3." in text
    text = detector_pages.describe_drift(days, verdicts.assign(percentile=np.repeat([60.0, 88.0, 92.0], 20)))
    assert "first claimed one on day 1" in text and "response" not in text
    text = detector_pages.describe_drift(days.assign(anomalies=2, response_changed=[0, 1, 0]), verdicts)
    assert "on no day did more than half" in text and "but 1 of 60 verdicts says that the response did" in text


def test_a_verdict_in_the_book_is_the_object_that_score_prints():
    branches = {"autoencoder": {"score": 1.5, "anomaly": True}, "statistics": {"score": 0.5, "anomaly": False}}
    spans = [{"start": 0.0, "end": 4.0, "frequencies": [[100.0, 200.0]], "branch": "autoencoder"}]
    verdict = dict.fromkeys(output.KEYS, 1.25) | {"branches": branches, "spans": spans, "nearest": None}
    for each in (verdict, verdict | {"spans": []}):
        text = detector_pages.show_verdict(each)
        assert json.loads(text.removeprefix("```json").rstrip().removesuffix("```")) == each
    assert '\n    "statistics": {"score": 0.5, "anomaly": false}\n  },\n' in text


def test_the_bibliography_has_every_work_that_the_paper_cites():
    text = (BOOK / "references.bib").read_text(encoding="utf-8")
    assert sorted(int(number) for number in re.findall(r"note = \{Reference (\d+) of", text)) == list(range(1, 20))
    cited = {key for keys in re.findall(r"\{cite:\w\}`([^`]+)`", "".join(CHAPTERS.values())) for key in keys.split(",")}
    added = re.findall(r"@\w+\{(\w+),", text.partition("The paper itself")[2])
    assert set(added) <= cited, "a work that this book adds, it cites"


def test_a_citation_tells_works_apart_and_the_list_has_the_same_labels():
    entries = parse_file(BOOK / "references.bib").entries
    labels = dict(zip(entries, AuthorYearLabels().format_labels(entries.values()), strict=True))
    assert len(set(labels.values())) == len(labels)
    assert labels["kuroyanagi2021"] == "Kuroyanagi et al. 2021a" and labels["smith2017"] == "Smith and Topin 2017"
    assert labels["wightman2019"] == "Wightman 2019" and labels["ruff2020"] == "Ruff et al. 2020"
    without = [key for key, entry in entries.items() if not {"url", "doi"} & set(entry.fields)]
    assert all("not known" in entries[key].fields["note"] for key in without), "each has an address or says so"


def test_no_page_loads_from_another_host():
    config = (BOOK / "_config.yml").read_text(encoding="utf-8")
    assert not {"sphinx_thebe", "sphinx.ext.intersphinx"} & set(
        yaml.safe_load(config)["sphinx"]["config"]["extensions"]
    )
    style = (BOOK / "_static" / "book.css").read_text(encoding="utf-8")
    assert "//" not in config and "//" not in style and "@import" not in style
    for file in re.findall(r'url\("([^"]+)"\)', style):
        assert (BOOK / "_static" / file).is_file(), file


# Mathematics ----------------------------------------------------------------------------------------------------------
def test_latex_becomes_mathml():
    element = ElementTree.fromstring(mathml(r"\frac{a < b}{2}", display=True))
    assert element.get("display") == "block" and element.get("alttext") == r"\frac{a < b}{2}"
    assert [child.tag.rpartition("}")[2] for child in element.iter()][1:3] == ["mrow", "mfrac"]
    rows = ElementTree.fromstring(mathml(r"\begin{aligned} a &= b \\ c &= d \end{aligned}", display=True))
    assert len([child for child in rows.iter() if child.tag.endswith("mtr")]) == 2


def test_functions_are_spaced_from_their_argument_only():
    assert mathml(r"2 \cos x", display=False).count("mspace") == 2
    assert mathml(r"\log (x)", display=False).count("mspace") == 0


@pytest.mark.parametrize("latex", [r"\unheardof{x}", r"a & b", r"\begin{unheardof} a \end{unheardof}"])
def test_latex_that_would_be_printed_as_it_is_is_refused(latex):
    with pytest.raises(MathError, match=re.escape(repr(latex))):
        mathml(latex, display=True)


# Typography -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("81.05 % of 3 %", "81.05&#160;% of 3&#160;%"),
        ("<b>5</b>\n%, in %", "<b>5</b>&#160;%, in %"),
        ("<code>7 % 3</code><pre>7 % 3</pre>", "<code>7 % 3</code><pre>7 % 3</pre>"),
        (
            '<code class="a.b"><span>a_b/c.py</span></code>',
            '<code class="a.b"><span>a_<wbr>b/<wbr>c.<wbr>py</span></code>',
        ),
        ("<pre><code>a.b</code></pre> a.b", "<pre><code>a.b</code></pre> a.b"),
    ],
)
def test_per_cent_stays_with_its_number_and_names_break_between_words(before, after):
    assert typeset(before) == after and typeset(after) == after
    config = yaml.safe_load((BOOK / "_config.yml").read_text(encoding="utf-8"))
    assert "typography" in config["sphinx"]["config"]["extensions"], "for every page of the book"


# Executed notebooks ---------------------------------------------------------------------------------------------------
def notebook(**papermill) -> nbformat.NotebookNode:
    facts = {"exception": None, "end_time": "2026-11-22T12:34:56.789012", "duration": 12.34}
    cells = [
        nbformat.v4.new_markdown_cell("# Reconstruction errors\n\nWhat we do."),
        nbformat.v4.new_code_cell('machine = "fan"', metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell('machine = "valve"', metadata={"tags": ["injected-parameters"]}),
        nbformat.v4.new_code_cell("go()", outputs=[nbformat.v4.new_output("stream", text="0 %\r50 %\rdone\n")]),
    ]
    return nbformat.v4.new_notebook(cells=cells, metadata={"papermill": facts | papermill})


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("01_data", ("01_data", "", "", "")),
        ("02_baselines.ToyCar", ("02_baselines", "ToyCar", "", "")),
        ("04_reconstruction_errors.fan.base", ("04_reconstruction_errors", "fan", "", "base")),
        ("05_train_classifier.fan.01.base", ("05_train_classifier", "fan", "01", "base")),
    ],
)
def test_the_name_of_an_executed_notebook_gives_its_parameters(name, parts):
    item = Executed.of(Path(f"runs/demo/notebooks/{name}.ipynb"))
    assert (item.stage, item.machine, item.section, item.candidate) == parts
    given = [part for part in parts if part]
    assert Run(Path("runs/demo")).notebook(*given) == item.path
    assert "." not in item.page


def test_a_page_states_what_it_shows_and_how_it_was_computed():
    item = Executed.of(Path("04_reconstruction_errors.fan.base.ipynb"))
    record = {"device": "a processor", "commit": "0123abc", "settings": {"copies": 10}}
    original = notebook()
    before = deepcopy(original)
    page = as_page(item, original, record, "**Synthetic.** Profile `demo`")
    first, _, second, third = page.cells[0].source.split("\n")[:4]
    assert first == "# Reconstruction errors: fan, base"
    assert second == ":::{div} stamp" and third.startswith("**Synthetic.**"), "the data come first"
    for fact in ("fan, base", "22 November 2026, 12:34 UTC", "12 s", "a processor", "0123abc", '"copies": 10'):
        assert fact in page.cells[0].source, fact
    assert "../downloads/04_reconstruction_errors.fan.base.ipynb" in page.cells[0].source
    assert page.cells[0].source.endswith("What we do.")
    assert [cell.metadata.get("tags") for cell in page.cells[1:]] == [
        ["parameters", "remove-cell"],
        ["hide-input", "injected-parameters"],
        [],
    ]
    assert original == before, "the executed notebook stays as it is"
    assert title(original) == "Reconstruction errors"


def test_a_page_shows_every_parameter_with_its_comment():
    declared = 'params: str = "demo"  # profile\nclip: str = ""  # name of a clip\nquantile: float = 0.9  # share'
    injected = '# Parameters\nparams = "smoke"\nextra = {"a": [1, 2]}\n'
    assert executed.with_comments(declared, injected).splitlines() == [
        'params = "smoke"  # profile', 'clip = ""  # name of a clip', "quantile = 0.9  # share", 'extra = {"a": [1, 2]}'
    ]  # fmt: skip


def test_figures_are_named_once():
    """Chapters refer to the figures of the first notebook of a stage; the same figures of others have longer names."""
    original = notebook()
    original.cells[-1].metadata["mystnb"] = {"figure": {"name": "errors", "caption": "Errors."}}
    item = Executed.of(Path("04_reconstruction_errors.fan.base.ipynb"))
    page = as_page(item, original, {}, "")
    assert page.cells[-1].metadata.mystnb.figure.name == "04_reconstruction_errors-fan-base-errors"


def test_cells_that_only_import_and_load_settings_are_left_out_of_the_page():
    original = notebook()
    original.cells[-1].metadata["tags"] = ["boilerplate", "hide-input"]
    item = Executed.of(Path("04_reconstruction_errors.fan.base.ipynb"))
    assert "remove-cell" in as_page(item, original, {}, "").cells[-1].metadata.tags
    original.cells[-1].outputs = [nbformat.v4.new_output("display_data", {"text/html": "a table"})]
    assert "remove-input" in as_page(item, original, {}, "").cells[-1].metadata.tags, "what it shows stays"


def test_what_only_a_kernel_can_answer_is_left_out_of_the_page():
    original = notebook()
    original.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {}}
    view = nbformat.v4.new_output("display_data", {executed.WIDGET: {"model_id": "a"}, "text/plain": "VBox()"})
    original.cells[-1].outputs = [view]
    page = as_page(Executed.of(Path("09_playground.ipynb")), original, {}, "")
    assert "widgets" not in page.metadata and not page.cells[-1].outputs


def test_chapters_show_the_output_of_notebooks(tmp_path):
    """Pictures have caption, cell, commit and data, players are unchanged; a cell without output fails the build."""
    run = Run(tmp_path / "run")
    folder = run.system("autoencoder", "fan", "base")
    folder.mkdir(parents=True)
    (folder / "record.json").write_text(json.dumps({"commit": "0123abc"}))
    (folder / "bands.csv").write_text("band,signed\n0,1.5\n")
    picture = nbformat.v4.new_output("display_data", {"image/png": "iVBORw0KGgo="})
    figure = {"figure": {"name": "band-errors", "caption": "Errors."}, "image": {"alt": "Lines."}}
    book = {"name": "sounds", "caption": "Two clips."}
    players = [nbformat.v4.new_output("display_data", {"text/html": f"<audio id='{name}'>"}) for name in "ab"]
    cells = [
        nbformat.v4.new_code_cell("a()", metadata={"mystnb": figure}, outputs=[picture]),
        nbformat.v4.new_code_cell("b()", metadata={"book": book}, outputs=players),
    ]
    original, item = nbformat.v4.new_notebook(cells=cells), Executed.of(Path("04_reconstruction_errors.fan.base.ipynb"))
    (tmp_path / "source" / "downloads").mkdir(parents=True)
    shown.shown({item: original}, run, tmp_path / "source")
    made = tmp_path / "source" / "generated" / "shown"
    text = (made / "band-errors.md").read_text()
    for words in (":alt: Lines.", "Errors.", "of fan, base, cell 1", "`0123abc`", "<downloads/band-errors.csv>"):
        assert words in text, words
    assert (tmp_path / "source" / "downloads" / "band-errors.csv").read_text() == "band,signed\n0,1.5\n"
    assert (made / "band-errors.png").read_bytes().startswith(b"\x89PNG")
    assert (made / "sounds.md").read_text().count("<audio") == 2
    assert (made / "sounds-first.md").read_text().count("<audio") == 1
    whole = pd.DataFrame(
        [("AE", "development", "AE", "cross-fitted", "all", "all", "0.02", ""),
         ("AE", "development", "AE", "cross-fitted", "fan", "all", "0.03", ""),
         ("AE", "development", "BC", "development", "all", "all", "0.04", "")],
        columns=["row", "selection", "than", "than_selection", "machine", "domain", "difference", "low"],
    )  # fmt: skip
    assert shown.drawn_optimism(whole)[["row", "difference"]].to_numpy().tolist() == [["AE", "0.02"]]
    cells[1].outputs = []
    (tmp_path / "other" / "downloads").mkdir(parents=True)
    with pytest.raises(AsdError, match=r"'sounds' shows nothing; run make reproduce"):
        shown.shown({item: original}, run, tmp_path / "other")


def test_everything_that_chapters_show_is_output_of_a_notebook():
    names = set()
    for path in (BOOK.parent / "notebooks").glob("0[1-8]*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            about = cell.metadata.get("mystnb", {}).get("figure") or cell.metadata.get("book") or {"name": ""}
            names |= {about["name"], f"{about['name']}-first"}
    asked = set(re.findall(r"\{include\} generated/shown/([\w-]+)\.md", "".join(CHAPTERS.values())))
    assert len(asked) >= 20 and asked <= names and set(shown.DATA) <= names


def test_every_figure_of_a_notebook_has_caption_name_and_alternative_text():
    names = []
    for path in sorted((BOOK.parent / "notebooks").glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code" and re.search(r"^\w*figures\.\w+\(.*;$", cell.source, re.M):
                about = cell.metadata["mystnb"]
                assert len(about["image"]["alt"]) > 20 and about["figure"]["caption"].endswith("."), (
                    path.name,
                    cell.id,
                )
                names.append(about["figure"]["name"])
    assert len(names) == len(set(names)) >= 30


def test_long_output_is_shortened_and_overwritten_lines_go():
    text = "".join(f"0 %\rline {number}\n" for number in range(100))
    lines = shortened(nbformat.v4.new_output("stream", text=text)).text.splitlines()
    assert len(lines) == LINES and lines[0] == "line 0" and lines[-1] == "line 99"
    note = next(line for line in lines if line.startswith("..."))
    assert int(re.search(r"\d+", note).group()) + len(lines) - 1 == 100, "the note counts what is missing"
    short = "line\n" * LINES
    assert shortened(nbformat.v4.new_output("stream", text=short)).text == short


def test_this_machines_folders_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setenv("ASDLIB_HOME", str(tmp_path))
    output = nbformat.v4.new_output("stream", text=f"wrote {tmp_path}/data/demo\n")
    assert shortened(output).text == "wrote data/demo\n"
    shown = nbformat.v4.new_output(
        "display_data", {"text/markdown": f"Outliers: {tmp_path}/data/valve", "image/png": "AA"}
    )
    assert shortened(shown).data == {"text/markdown": "Outliers: data/valve", "image/png": "AA"}


def test_numbers_of_tables_are_typeset_and_zero_has_no_sign():
    cells = "<td>-0.00</td><td>+0.00</td><td>+7.25</td><td>-0.52%</td><td>0.10</td><td>-1,204.5</td><td>section-01</td>"
    shown = shortened(nbformat.v4.new_output("display_data", {"text/html": cells})).data["text/html"]
    assert (
        shown
        == "<td>0.00</td><td>0.00</td><td>+7.25</td><td>−0.52 %</td><td>0.10</td><td>−1,204.5</td><td>section-01</td>"
    )


def test_consecutive_prints_are_one_output():
    kinds = [("stdout", "a\n"), ("stdout", "b\n"), ("stderr", "c\n"), ("stdout", "d\n")]
    outputs = [nbformat.v4.new_output("stream", name=name, text=text) for name, text in kinds]
    figure = nbformat.v4.new_output("display_data", {"text/plain": "figure"})
    texts = [output.get("text", "figure") for output in joined([*outputs, figure, *outputs[:2]])]
    assert texts == ["a\nb\n", "c\n", "d\n", "figure", "a\nb\n"]
    assert outputs[0].text == "a\n"


@pytest.mark.parametrize("papermill", [{"exception": True}, {"end_time": None}])
def test_a_notebook_that_failed_or_was_killed_is_refused(tmp_path, papermill):
    path = tmp_path / "01_data.ipynb"
    nbformat.write(notebook(**papermill), path)
    with pytest.raises(AsdError, match=r"01_data.*make reproduce"):
        Executed.of(path).read()
    nbformat.write(notebook(), path)
    assert len(Executed.of(path).read().cells) == 4


NAMES = [
    "01_data",
    "02_baselines.fan",
    "02_baselines.ToyCar",
    "03_train_autoencoder.fan.coarse",
    "03_train_autoencoder.fan.base",
    "04_reconstruction_errors.fan.base",
    "05_train_classifier.fan.01.base",
    "05_train_classifier.fan.00.base",
    "06_embeddings.fan.base",
    "07_ensemble.fan",
    "08_table1",
    "09_playground",
    "10_your_machine",
    "11_integrated.fan",
]


def a_run(folder: Path, names: list[str]) -> tuple[Run, params.Settings]:
    settings = params.load("smoke", {"autoencoder_candidates": {"base": {}, "coarse": {}}})
    (folder / "notebooks").mkdir()
    for name in names:
        nbformat.write(notebook(), folder / "notebooks" / f"{name}.ipynb")
    return Run(folder), settings


def test_notebooks_are_in_order_and_leftovers_of_other_settings_are_left_out(tmp_path):
    run, settings = a_run(tmp_path, [*NAMES, "02_baselines.gearbox", "03_train_autoencoder.fan.old", "notes"])
    found = [item.path.stem for item in assemble.ordered(run, settings, ["fan", "ToyCar"])]
    assert sorted(found) == sorted(NAMES)
    assert found[1:3] == ["02_baselines.fan", "02_baselines.ToyCar"], "machine types as in the table"
    assert found[3:5] == ["03_train_autoencoder.fan.base", "03_train_autoencoder.fan.coarse"], "as in the settings"
    assert found[6:8] == ["05_train_classifier.fan.00.base", "05_train_classifier.fan.01.base"]


@pytest.mark.parametrize("stage", BY_NAME)
def test_a_stage_without_notebook_is_named(tmp_path, stage):
    run, settings = a_run(tmp_path, [name for name in NAMES if not name.startswith(stage)])
    with pytest.raises(AsdError, match=rf"{stage}.*make reproduce"):
        assemble.ordered(run, settings, ["fan", "ToyCar"])


def test_a_missing_run_is_reported(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ASDLIB_HOME", str(tmp_path))
    (tmp_path / "params").symlink_to(BOOK.parent / "params")
    assert assemble.main(["--profile", "smoke"]) == 2
    assert "08_table1.ipynb: no such file; run make reproduce" in capsys.readouterr().err


def pages_of(toc) -> list[str]:
    """Return all pages in a table of contents."""
    if isinstance(toc, list):
        return [page for entry in toc for page in pages_of(entry)]
    if isinstance(toc, dict):
        return [toc[key] for key in ("root", "file") if key in toc] + pages_of(list(toc.values()))
    return []


def test_the_contents_hold_every_chapter_and_notebook_once():
    items = [Executed.of(Path(f"{name}.ipynb")) for name in NAMES]
    pages = pages_of(contents.contents(items, ["fan", "ToyCar"]))
    assert len(pages) == len(set(pages))
    api = set(contents.api())
    assert set(pages) == set(CHAPTERS) | {item.page for item in items} | {"machines/fan", "machines/ToyCar"} | api
    chapter = pages.index("autoencoder")
    assert pages[chapter + 1] == "notebooks/03_train_autoencoder-fan-coarse", (
        "the first of its stage follows the chapter"
    )
    assert pages[pages.index("how_to_run") + 1] == "notebooks/09_playground"
    assert pages[pages.index("your_machine") + 1] == "notebooks/10_your_machine"
    stages = [item for item in items if item.stage not in ("09_playground", "10_your_machine")]
    without = pages_of(contents.contents(stages, ["fan", "ToyCar"]))
    assert not [page for page in without if "playground" in page], "a run on recordings has no such page"


def test_the_reference_has_every_module():
    modules = [name for _, names in contents.api().values() for name in names]
    files = [path for path in (BOOK.parent / "asdlib").rglob("*.py") if path.stem != "__main__"]
    assert len(modules) == len(set(modules)) == len(files)
    assert {"asdlib", "asdlib.params", "asdlib.classifier", "asdlib.classifier.ddcsad"} <= set(modules)


# Values and tables ----------------------------------------------------------------------------------------------------
def test_values_for_prose():
    settings = params.load("smoke")
    named = substitutions.values(settings, {"mix": 0.750623, "optimism_mix": -0.0123, "test_clips": 1234})
    assert (named["mix"], named["optimism_mix"], named["test_clips"]) == ("75.06", "−1.23", "1,234")
    assert named["settings"]["profile"] == "smoke" and named["values"]["mix"] == 0.750623


def test_missing_or_broken_parts_fail_the_build(tmp_path):
    """The page has a value that no run has, a broken link, an unknown function and unknown mathematics."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("_ext", "_static"):
        (source / name).symlink_to(BOOK / name)
    (source / "references.bib").symlink_to(BOOK / "references.bib")
    (source / "index.md").write_text(
        "# Title\n\nThe value is {{ mix }} %, the other {{ no_such_value }}; see {doc}`no_such_page`, "
        "{py:func}`asdlib.no_such_function`, {cite:t}`no_such_work` and $\\nosuchcommand$.\n"
    )
    (source / "_toc.yml").write_text("format: jb-book\nroot: index\n")
    config = yaml.safe_load((BOOK / "_config.yml").read_text(encoding="utf-8"))
    config["parse"]["myst_substitutions"] = substitutions.values(params.load("smoke"), {"mix": 0.5})
    (source / "_config.yml").write_text(yaml.safe_dump(config))
    with pytest.raises(AsdError) as info:
        assemble.build(source, tmp_path / "output")
    lines = str(info.value).splitlines()[1:]
    for word in ("no_such_value", "no_such_page", "no_such_function", "no_such_work", "nosuchcommand"):
        assert sum(word in line for line in lines) == 1, (word, lines)
    assert len(lines) == 5, "and nothing else is wrong"


def cell(text: str, heading: str, method: str) -> str:
    """Return one cell of the first Markdown table in ``text``."""
    rows = [[part.strip() for part in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return next(row for row in rows if row[0] == method)[rows[0].index(heading)]


def test_table_1_holds_paper_run_and_difference_and_marks_the_best():
    columns = ["row", "machine", "domain", "selection", "value", "low", "high", "paper"]
    rows = [
        ("AE", "fan", "source", "development", 0.65, 0.6, 0.7, 0.7182),
        ("BC", "fan", "source", "development", 0.7, 0.6, 0.8, 0.6736),
        ("BC", "all", "all", "development", 0.71, 0.6, 0.8, 0.7),
        ("BC", "fan", "target", "development", 0.6, 0.5, 0.7, 0.600001),
        ("Mahalanobis", "fan", "source", "", 0.5, 0.4, 0.6, np.nan),
        ("AE", "ToyCar", "source", "development", np.nan, np.nan, np.nan, 0.8),
    ]
    text = table_one.table1(pd.DataFrame(rows, columns=columns), ["fan"])
    tab = text.split(":name: table1-development")[1].split(":name:")[0]
    lines = {line.partition("</th>")[0].rpartition(">")[2]: line for line in tab.splitlines() if "<tr><th" in line}
    for part in ('title="paper">67.36<', "<b>70.00</b>", ">+2.64<", ">0.00<", 'data-value="70.0', "60.00 to 80.00"):
        assert part in lines["BC"], part
    assert 'class="best"' in lines["BC"] and ">−6.82<" in lines["AE"]
    assert "ToyCar" not in tab, "its paper's figures are in the printed table"
    tabs = text.split("{tab-item}")
    assert "not comparable" not in tabs[1] and "not comparable" in tabs[2]
    synthetic = table_one.table1(pd.DataFrame(rows, columns=columns), ["fan"], synthetic=True)
    assert "not comparable" in synthetic.split("{tab-item}")[1]
    assert "paper" not in lines["Mahalanobis"].replace("this run", "") and "<b>50.00</b>" in lines["Mahalanobis"]
    assert tab.index("The paper&#x27;s rows") < tab.index("Our extensions")
    assert "best of each column and block is framed" in tab and "undefined here" not in text


@pytest.mark.parametrize(
    "caption, title, notes",
    [
        ("Scores, per cent.", "Scores, per cent.", ""),
        ("Scores. <small>{download}`Data <a.csv>`.</small>", "Scores. <small>{download}`Data <a.csv>`.</small>", ""),
        ("Scores of Sec. 2: short. A dash: not run.", "Scores of Sec. 2: short.", "A dash: not run."),
        (f"Every scorer that was tried: {'word ' * 24}end. More.", "Every scorer that was tried.",
         f"{'word ' * 24}end. More.".capitalize().replace("more", "More")),
    ],
)  # fmt: skip
def test_one_sentence_of_a_caption_stands_above_its_table(caption, title, notes):
    text = tables.table(pd.DataFrame({"A": ["b"]}), caption, "a-table")
    above, _, below = text.partition("| b |\n:::\n")
    assert above.splitlines()[0] == f":::{{table}} {title}"
    assert below == (f"\n:::{{div}} notes\n{notes}\n:::\n" if notes else "")


def test_table_1_explains_rows_that_are_undefined_or_the_same():
    columns = ["row", "machine", "domain", "selection", "value", "low", "high", "paper"]
    best, ends = "AE+BC ensemble (max)", [np.nan] * 3
    rows = [("AE+", "all", "all", "fixed", 0.7, *ends), ("AE+ ensemble", "all", "all", "fixed", 0.7, *ends),
            ("BC", "all", "all", "fixed", 0.7, *ends), ("BC ensemble", "all", "all", "fixed", 0.71, *ends),
            (best, "all", "all", "fixed", np.nan, *ends), (best, "all", "all", "development", 0.8, *ends)]  # fmt: skip
    text = table_one.table1(pd.DataFrame(rows, columns=columns), ["fan"], compare=False)
    fixed = text.split(":name: table1-fixed")[1]
    assert f"*{best}* needs labels" in fixed and "*AE+* and *AE+ ensemble* are the same" in fixed
    assert "*BC* and" not in text and text.count("undefined here") == text.count("are the same here") == 1


def test_the_audit_shows_the_papers_cells():
    text = tables.audit()
    mix = "AE+BC ensemble (mix)"
    cells = paper.cells().query("row == @mix")["value"]
    assert cell(text, "All 14 cells", mix) == f"{100 * len(cells) / (1 / cells).sum():.2f}"
    assert cell(text, "Consistent", mix) == "**no**" and cell(text, "Consistent", "Baseline (AE)") == "yes"
    assert cell(text, "Without the toys", mix) == cell(text, "Printed", mix) and cell(text, "Explains it", mix) == "yes"
    assert tables.larger().count("| yes |") == 14


def test_claims_show_verdict_first_and_real_data_next_to_it():
    nan = [np.nan] * 4
    test = next(name for name in verdicts.ON_SYSTEMS if "Baseline (AE)" in name)
    row = ("outperform the baseline significantly", "Sec. 4", test, "", -0.01, -0.02, -0.001, "contradicted",
           "below zero", 0.03, np.nan, 480, 2, 3)  # fmt: skip
    absent = ("it sings", "Sec. 4", "c", "", *nan[:3], "not run", "no songs", *nan[:2], 0, 0, 1)
    frame = pd.DataFrame([row, absent], columns=claims.COLUMNS)
    stored = frame.assign(verdict=["holds", "undecided"])
    mix, keys = "AE+BC ensemble (mix)", ["row", "selection", "than", "than_selection", "machine", "domain"]
    leads = [(mix, "fixed", "Baseline (AE)", "", "all", "all", 0.04, 0.01, 0.05),
             ("Baseline (MobileNetV2)", "", mix, "fixed", "all", "all", -0.03, -0.07, -0.02)]  # fmt: skip
    differences = pd.DataFrame(leads, columns=[*keys, *paired.FIGURES])
    text = verdicts.claims(frame, differences, stored, stored_results.read(stored_results.SYSTEMS / "claims.csv"),
                           Scope(("fan", "valve"), params.load("demo")))  # fmt: skip
    lines = [line for line in text.splitlines() if line.startswith("| <span")]
    first = [part.strip() for part in lines[0].strip("|").split(" | ")]
    assert "contradicted" in first[0] and "holds" in first[2] and "holds" in first[3] and "official AE)" in first[3]
    assert first[1] == "“outperform the baseline significantly” (Sec. 4)"
    assert "**−1.00 (−2.00 to −0.10)**; *development* +3.00; *fixed* +4.00 (+1.00 to +5.00)" in first[4]
    assert first[5].split("; ")[0] == "480 clips, 2 sections, 3 seeds" and "to choose from" in first[5]
    assert "not run" in lines[1] and "c: no songs" in lines[1] and claims.MULTIPLICITY in text
    assert claim_counts.counts(frame) == "0 hold, 1 is contradicted, 0 are undecided, and 1 was not run"


def test_each_test_on_a_run_is_shown_with_the_similar_ones_on_real_systems():
    theirs = stored_results.read(stored_results.SYSTEMS / "claims.csv")
    frame = stored_results.read(stored_results.REAL.with_name("demo") / "claims.csv")
    assert verdicts.ON_SYSTEMS.keys() <= set(frame["test"])
    assert set(frame["claim"]) == set(stored_results.read(stored_results.REAL / "claims.csv")["claim"])
    text = verdicts.claims(frame, read_table(stored_results.REAL / real.DIFFERENCES), frame, theirs,
                           Scope(("fan", "valve"), params.load("demo")))  # fmt: skip
    lines = {item.test: line for item in frame.itertuples() for line in text.splitlines() if item.claim in line}
    judged = theirs[theirs["selection"].isin(["cross-fitted", "none"])]
    for test, similar in verdicts.ON_SYSTEMS.items():
        shown = lines[test].split(" | ")[3]
        for name, parts, words in similar:
            for year, part in judged[(judged["test"] == name) & judged["part"].isin(parts)].groupby("year"):
                found = set(part["verdict"])
                word = next(word for word in ("contradicted", "undecided", "holds") if word in found)
                line = [line for line in shown.split("<br>") if str(year) in line and words in line]
                assert len(line) == 1 and verdicts.marked(word) in line[0], (test, name, year)
    both = lines["AE+BC ensemble (mix) minus AE ensemble and minus BC ensemble, each of them, all machine types"]
    assert "holds" not in both.split(" | ")[3], "mix leads only one of the families"
    important = lines["AE+BC ensemble (mix) minus AE+BC ensemble (max), all machine types"].split(" | ")[3]
    assert all(word in important for word in ("undecided", "contradicted", "holds"))
    headline, *others = [line for test, line in lines.items() if test not in verdicts.ON_SYSTEMS]
    assert headline.split(" | ")[2:4] == [tables.BLANK] * 2 and "not run" not in headline, "arithmetic needs no run"
    assert others and all("not run" in line.split(" | ")[3] for line in others)


def test_effects_without_labels_are_the_stored_differences_of_fixed_rows():
    folder = stored_results.REAL
    differences = read_table(folder / real.DIFFERENCES)
    cell = differences[(differences["machine"] == "all") & (differences["domain"] == "all")]
    for test in ("AE ensemble minus AE, all machine types", "BC ensemble minus BC, all machine types"):
        one, other = test.removesuffix(", all machine types").split(" minus ")
        row = cell[(cell["row"] == one) & (cell["selection"] == "fixed") & (cell["than"] == other)
                   & (cell["than_selection"] == "fixed")].iloc[0]  # fmt: skip
        assert verdicts.without_labels(test, differences) == tuple(row[["difference", "low", "high"]])
    tests = [f"{row} ensemble minus {row}, all machine types" for row in ("BC", "AE")]
    gains = [verdicts.without_labels(test, differences)[0] for test in tests]
    test = "gain of BC ensemble over BC minus gain of AE ensemble over AE, all machine types"
    both = verdicts.without_labels(test, differences)
    assert both[0] == gains[0] - gains[1] and np.isnan(both[1])
    for absent in (
        "AE+BC ensemble (mix) minus AE+BC ensemble (max), all machine types",
        "BC minus AE, gearbox",
        "rank correlation of x",
    ):
        assert np.isnan(verdicts.without_labels(absent, differences)).all()


def test_verdicts_on_real_systems_follow_from_what_is_shown():
    frame = stored_results.read(stored_results.SYSTEMS / "claims.csv")
    for item in frame.to_dict("records"):
        if not item["counted"]:
            assert item["verdict"] == decide(item), item
        elif "ahead by" in item["counted"]:
            assert (item["verdict"] == claims.HOLDS) == (int(re.search(r"\d+", item["counted"])[0]) >= 2)
    text = real_systems.claims(stored_results.SYSTEMS, 2022)
    assert "+0.82 (+0.22 to +2.33) [−0.46 to +3.04]" in text, "both intervals of an effect that one of them leaves open"
    assert "ahead by more than a point in 1 of 7" in text and real_systems.RULE in text
    assert "(https://github.com/liuyoude/DCASE2022Task2-Record) `GMM" in real_systems.provenance(stored_results.SYSTEMS)


def test_false_alarms_and_flags_are_shown():
    alarms = [("AE", "", "fan", "00", "source", 1.0, 20, 0.1, 0.0, 0.2, 30, 0.3, "no", 0.5),
              ("AE", "", "fan", "00", "target", 1.0, 20, 0.1, np.nan, np.nan, 30, 0.3, "", 0.5)]  # fmt: skip
    text = tables.false_alarms(pd.DataFrame(alarms, columns=false_alarms.COLUMNS))
    assert "| AE | 1 | 0 | 30.00 |" in text and "no promise" in text and "| 0.00 to 20.00 | 30.00 | **no** |" in text
    flags = pd.DataFrame([("Baseline (AE)", "x", "fan", "00", "source", "calls 100% outliers")], columns=health.COLUMNS)
    text = tables.health_notes(flags)
    assert ":::{warning}" in text and "Baseline (AE) (x), fan 00 source" in text and "100 % outliers" in text
    assert ":::{warning}" not in tables.health_notes(flags.iloc[:0])


def test_a_table_whose_column_mixes_formats_fails_the_build():
    frame = pd.DataFrame({"Row": ["a", "b"], "Value": ["1.25 (1.10 to 1.40)", "12.50 (−3.00 to 1,000.00)"]})
    assert "| b | 12.50 (−3.00 to 1,000.00) |" in tables.table(frame, "Figures.", align="lr")
    for odd in ("12.5", "12.50 (−3.0 to 20.0)", "12"):
        frame.loc[1, "Value"] = odd
        with pytest.raises(AsdError, match=r"'Figures.': the numbers of the column 'Value' differ"):
            tables.table(frame, "Figures.", align="lr")
    assert odd in tables.table(frame, "Figures.", align="ll"), "versions, sizes in words"


def test_a_figure_and_its_interval_have_the_same_digits():
    for text in (tables.percent(0.51234, 0.4, 0.6), tables.effect(-0.01, -0.2, 0.03)):
        assert len({len(digits) for digits in tables.NUMBER.findall(text)}) == 1, text


def test_a_column_of_dashes_is_left_out():
    frame = pd.DataFrame({"a": ["x", "y"], "b": [tables.BLANK] * 2, "c": ["1", tables.BLANK]})
    assert tables.table(frame, "Caption", align="lrr").splitlines()[3:5] == ["| a | c |", "| :-- | --: |"]


def test_a_stored_result_of_an_uncommitted_tree_fails_the_build(tmp_path, monkeypatch):
    stored_results.check()
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "odd.csv").write_text("a,commit\n1,0123abc+changes\n")
    monkeypatch.setattr(stored_results, "RESULTS", tmp_path / "results")
    with pytest.raises(AsdError, match=r"odd.csv: made from a working tree with uncommitted changes"):
        stored_results.check()


def test_buttons_need_a_repository():
    config = {"html": {}, "parse": {"myst_substitutions": {}}}
    assemble.with_repository(config, "")
    assert (
        config["html"] == {} and "does not say where its code is" in config["parse"]["myst_substitutions"]["repository"]
    )
    assemble.with_repository(config | {"repository": {"url": "https://x"}}, "")
    assert config["parse"]["myst_substitutions"]["repository"].endswith("(https://x)")
    assert config["html"]["use_issues_button"] and config["html"]["use_edit_page_button"]


def test_the_code_of_the_book_can_be_downloaded(tmp_path, monkeypatch):
    if records.commit() == "unknown":
        pytest.skip("no checkout")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASDLIB_HOME", str(tmp_path))  # a project's folder outside the checkout
    link = source_code.pack(tmp_path)
    assert records.commit().partition("+")[0] in link and "downloads/asdlib.tar.gz" in source_code.where("", link)
    with tarfile.open(tmp_path / source_code.ARCHIVE) as packed:
        assert {"asdlib/Makefile", "asdlib/pyproject.toml", "asdlib/asdlib/__init__.py"} <= set(packed.getnames())


def test_a_detector_after_a_change_is_shown_as_it_was_judged():
    folder = stored_results.DETECTOR
    frame = pd.read_csv(folder / "changed.csv")
    lines = [line.split(" | ") for line in changed_detector.changed(folder).splitlines() if line.startswith("| ")]
    assert [line[0] for line in lines[2:]] == [
        "| before the change",
        *(f"| {name}" for name in frame["change"].unique()),
    ]
    for line in lines[3:]:
        part = frame[frame["change"] == line[0].removeprefix("| ")]
        for way, cell in zip(changed_detector.WAYS, line[2:], strict=True):
            own = part[part["way"] == way]
            assert cell.removesuffix(" |") == f"{own['found'].sum()}, {own['false_alarms'].sum()}"
    again = frame[frame["way"] == "fitted again"]
    texts = changed_detector.texts(folder)
    assert texts["changed_fitted_again_found"] == f"{again['found'].sum()} of {again['faults'].sum():,} faults"
    alarms = pd.read_csv(folder / "plain_alarms.csv").query("group == 'fault'")["statistics only"]  # of 20 each
    counted = your_machine_alarms.by_rule(folder)
    assert counted["faults_never"] == str((alarms == 0).sum()) and counted["faults_mailed"] == str((alarms >= 7).sum())


def test_every_exercise_is_in_its_chapter():
    for name in exercises.QUESTIONS:
        assert f"{{include}} generated/exercise_{name}.md" in CHAPTERS[name].partition("## What to try")[2]


def test_a_rerun_of_the_official_autoencoder_is_compared_with_the_first_row():
    text = tables.rerun(pd.read_csv(stored_results.RERUN, dtype={"section": str}))
    assert "| ToyCar | source | 58.92 | 59.44 | −0.52 |" in text and "| all | all | 57.39 | 57.28 | +0.11 |" in text
    assert re.search(r"by 0\.\d\d points on average, and by \+1\.44 points at most \(pump target\)", text)


def test_several_seeds_are_shown_if_there_are_some(tmp_path):
    path = tmp_path / "table1_seeds.csv"
    assert table_one.seeds(path, 3).startswith("**One seed** (3)")
    columns = ["row", "machine", "domain", "selection", "seeds", "mean", "deviation"]
    rows = [("Mahalanobis", "all", "all", "", 3, 0.6, 0.0), ("AE", "all", "all", "fixed", 3, 0.7, 0.0123),
            ("AE", "fan", "all", "fixed", 3, 0.1, 0.1)]  # fmt: skip
    pd.DataFrame(rows, columns=columns).to_csv(path, index=False)
    text = table_one.seeds(path, 3)
    assert "over 3 seeds" in text and cell(text, "fixed", "AE") == "70.00 ± 1.23"
    assert cell(text, "selects nothing", "Mahalanobis") == "60.00 ± 0.00" and "10.00" not in text


def test_a_cell_cannot_break_a_table():
    text = tables.table(pd.DataFrame({"a": ["one | two\nthree"]}), "Caption", "name")
    assert text.splitlines() == [
        ":::{table} Caption",
        ":name: name",
        "",
        "| a |",
        "| :-- |",
        "| one \\| two three |",
        ":::",
    ]


def test_departures_are_those_settings_that_differ():
    published = params.load("paper")
    same = provenance.departures(params.load("paper", {"profile": "mine", "title": "Mine"}), published)
    assert "| `" not in same
    other = provenance.departures(params.load("paper", {"autoencoder.training.steps": 7}), published)
    assert re.findall(r"^\| `.*$", other, re.M) == ["| `autoencoder.training.steps` | `50000` | `7` |"]
    candidates = provenance.departures(params.load("smoke"), published)
    assert re.search(r"`classifier_candidates` \| 25 candidates \| 2 candidates: `base`, `shifted` \|", candidates)


def test_what_made_the_artefacts_is_told_by_folder(tmp_path):
    made = {"date": "2026-11-27T01:00:00+00:00", "versions": {"torch": "2"}, "data_fingerprint": "f", "device": "CPU"}
    for folder, commit in (("data/fan", "aaa"), ("autoencoder/fan/base", "bbb"), (".", "ccc")):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "record.json").write_text(json.dumps(made | {"commit": commit}))
    text = provenance.computed(params.load("smoke"), Run(tmp_path), {"papermill": "3"})
    for line in ("| `data` | 1 | `aaa` |", "| `autoencoder` | 1 | `bbb` |", "| Table 1 and claims | 1 | `ccc` |"):
        assert f"{line} `f` | CPU, model not recorded |" in text
    assert "record.json" not in text
    text = provenance.stored(BOOK / "results")
    line = next(line for line in text.splitlines() if line.startswith("| `demo` |"))
    assert "downloads/demo_requirements.lock" in line
    assert "| `shifts/kinds` |" in text
    for name in (
        "gpu/figures",
        "gpu/paper_size",
        "benchmarks",
        "growth",
        "paper_run",
        "service",
        "reliability/figures",
    ):
        frame = pd.read_csv(BOOK / "results" / f"{name}.csv", dtype=str)
        line = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
        device = frame["device" if "device" in frame else "processor"][0] if name[0] in "gbs" else tables.BLANK
        cells = [part.strip() for part in line.strip("|").split(" | ")]
        assert cells[2] == f"`{frame['commit'][0]}`" and cells[3] == device
        assert f"<downloads/{name.replace('/', '_')}.csv>" in cells[5]


def test_cost_adds_up(tmp_path):
    run = Run(tmp_path)
    folder = run.system("autoencoder", "fan", "base")
    folder.mkdir(parents=True)
    (folder / "record.json").write_text(json.dumps({"device": "a processor", "peak_bytes": 3 * 2**29}))
    items = [Executed.of(Path(f"{name}.ipynb")) for name in ("03_train_autoencoder.fan.base", "08_table1")]
    frame = costs.costs({items[0]: notebook(duration=10.4), items[1]: notebook(duration=30.2)}, run)
    text = costs.cost(frame)
    assert cell(text, "Seconds in all", "All notebooks") == "41" and cell(text, "Longest", "All notebooks") == "30"
    assert (
        cell(text, "Device", "Reconstruction errors") == "a processor" and cell(text, "GiB", "All notebooks") == "1.5"
    )
    shown = costs.notebook_map(frame).set_index("notebook")
    assert [f"`{path.stem}`" for path in sorted((BOOK.parent / "notebooks").glob("*.ipynb"))] == list(shown.index)
    assert tuple(shown.loc["`03_train_autoencoder`", ["runs", "minutes", "GiB"]]) == ("1", "0.2", "1.5")
    assert tuple(shown.loc["`09_playground`", ["runs", "minutes", "GiB"]]) == (tables.BLANK,) * 3


def test_growth_is_a_slope(tmp_path):
    rows = [("clips", size, repeat, 2 * size**0.5, 2**30) for size in (10, 100, 1000) for repeat in (0, 1)]
    frame = pd.DataFrame(rows, columns=["work", "size", "repeat", "seconds", "peak_bytes"])
    frame.assign(device="a processor", commit="abc").to_csv(tmp_path / "growth.csv", index=False)
    text = costs.growth(tmp_path / "growth.csv")
    assert "| 10 / 100 / 1,000 | 6,325 / 20,000 / 63,246 | 0.50 | 1.00 / 1.00 / 1.00 |" in text and "2 repeats" in text


def test_hours_of_the_papers_run_are_those_that_the_gpu_benchmark_extrapolated():
    counted, measured = stored_results.read(BOOK / "results" / "paper_run.csv"), gpu_figures.read(stored_results.GPU)
    found = paper_costs.hours(counted, measured)
    trainings = measured.set_index("what").loc["all trainings of the profile paper", "value"]
    assert found["hours"].sum() == pytest.approx(trainings, rel=1e-3)
    untimed = measured[~measured["what"].str.contains("resnext")]
    slower = paper_costs.hours(counted, untimed).set_index("candidate")["slower"]
    operations = counted.set_index("candidate")["operations_a_step"]
    assert slower["resnext50"] == pytest.approx(operations["resnext50"] / operations["augmented"])


def test_the_cost_of_the_papers_run_says_how_each_line_is_known(tmp_path):
    path, growth = (BOOK / "results" / f"{name}.csv" for name in ("paper_run", "growth"))
    text = paper_costs.paper_run(path, stored_results.GPU, growth)
    assert cell(text, "Together", "Trainings") == f"{pd.read_csv(path)['models'].sum():,}"
    assert cell(text, "How it is known", "GPU hours of training") == "extrapolated from timed steps"
    clips = 7 * 6 * sum(catalogue.DCASE2021.values())
    assert f"about {clips:,} clips" in text and f"| {clips * 640_000 / 1e9:.0f} |" in text
    assert "GPU hours" not in paper_costs.paper_run(path, tmp_path / "none.csv", growth)


def test_the_wall_time_of_a_run_leaves_out_when_nothing_ran():
    times = [("00:00:00", "00:01:00"), ("00:00:30", "00:02:00"), ("01:00:00", "01:00:05")]
    books = [
        notebook(start_time=f"2026-11-22T{start}.000000", end_time=f"2026-11-22T{end}.000000") for start, end in times
    ]
    assert costs.wall(books) == (125.0, 2)


def test_gpu_hours_are_extrapolated_or_said_to_be_unknown(tmp_path):
    readme = (BOOK.parent / "README.md").read_text(encoding="utf-8")
    row = next(line for line in readme.splitlines() if line.startswith("| `paper`"))
    assert paper_costs.gpu_hours(stored_results.GPU) in row
    none = tmp_path / "none.csv"
    assert "not measured" in paper_costs.gpu_hours(none)
    assert "Nothing was measured on a GPU" in gpu_figures.figures(none)
    frame = pd.DataFrame(columns=["row", "machine", "value"])
    assert "* Training on a GPU: not measured." in provenance.absent(frame, params.load("paper"), none)
    rows = [("whole", next(iter(gpu_figures.HOURS)), 12.3, "GPU hours", "extrapolated", "", "measured")]
    rows.append(("fast", "CUDA graphs", None, "", "", "at least 3", "missed"))
    names = ["part", "what", "value", "unit", "reference", "tolerance", "verdict"]
    table = pd.DataFrame(rows, columns=names).assign(device="an H100", torch="2.11", commit="abc")
    table.to_csv(tmp_path / "figures.csv", index=False)
    measured = paper_costs.gpu_hours(tmp_path / "figures.csv")
    assert measured == "12 GPU hours, extrapolated from steps timed on an H100"
    rows = [("right", f"{name}: loss, float32", 1e-6, "relative", "", "", "met") for name in "ab"]
    rows += [("right", "b: gradient, float32", 1.0, "relative", "", "at most 1e-5", "missed")]
    rows += [
        ("right", "all, compiled", None, "", "", "", "not run: no time"),
        ("right", "windows", 0, "", "", "", "met"),
    ]
    rows += [("fast", f"classifier x.y: {name}", 1234.5, "", "", "", "met") for name in ("ours", "launches")]
    rows += [("fast", "classifier x.y: ours over plain", 4.372, "times", "", "at least 3", "met")]
    table = pd.DataFrame(rows, columns=names).assign(device="an H100", torch="2.11", commit="abc")
    table.to_csv(tmp_path / "figures.csv", index=False)
    text = gpu_figures.figures(tmp_path / "figures.csv")
    assert "next to the CPU in float64 | 2 of 3 |" in text and "next to float32 | not run |" in text
    assert "log-mel, next to the CPU | 1 of 1 |" in text
    assert "| x | 1,234 | 4.37 | 1,234 |" in text and "| b: gradient, float32 |" in text
    assert "* Planned on a GPU and not run: all, compiled. {doc}`cost` shows what was run there." in provenance.absent(
        frame, params.load("paper"), tmp_path / "figures.csv"
    )


def test_the_papers_size_is_shown_or_called_not_trained(tmp_path):
    frame = pd.DataFrame(columns=["row", "machine", "value"])
    path = tmp_path / gpu_figures.PAPER_SIZE
    assert "No network was trained at the paper's size" in gpu_figures.paper_size(path)
    assert "size: not trained" in provenance.absent(frame, params.load("paper"), tmp_path / "figures.csv")
    rows = [
        (profile, "autoencoder", "ToyCar", "source", variant, value)
        for profile, gain in (("quick", 0), ("paper_size", 0.05))
        for variant, value in (("without labels", 0.6 + gain), ("mean", 0.6 + gain), ("max", 0.7 - gain))
    ]
    names = ["profile", "branch", "machine", "domain", "variant", "value"]
    table = pd.DataFrame(rows, columns=names).assign(device="an H100", commit="abc", steps=500, seed=0)
    change = dict(zip(names, ("difference", "autoencoder", "ToyCar", "source", "without labels", 0.05), strict=True))
    change |= {"low": -0.01, "high": 0.11}
    pd.concat([table, pd.DataFrame([change])]).to_csv(path, index=False)
    text = gpu_figures.paper_size(path)
    assert (
        "| fixed | 60.00 | 65.00 | +5.00 (−1.00 to +11.00) |" in text
        and "| development | 70.00 | 65.00 | −5.00 |" in text
    )
    assert "an H100, commit `abc`; `quick` was trained again on it" in text and "; one seed." in text
    assert "500 for the autoencoder of `quick`" in text
    assert "size: not trained" not in provenance.absent(frame, params.load("paper"), tmp_path / "figures.csv")


def test_what_the_text_says_of_the_papers_size_is_stored():
    found = pd.read_csv(stored_results.GPU.with_name(gpu_figures.PAPER_SIZE))
    change = found[found["profile"] == "difference"].set_index(["branch", "domain"])[["value", "low", "high"]]
    assert change.loc["autoencoder", "value"].between(0.02, 0.05).all(), "a few points in both domains"
    low = change["low"]
    assert low["autoencoder", "source"] < 0 < low["autoencoder", "target"], "more surely in the target"
    assert low["classifier", "source"] < 0 < change["high"]["classifier", "source"], "gains nothing for certain"
    assert change["high"]["classifier", "target"] < 0, "loses in the target"
    assert -change["value"]["classifier", "target"] > change["value"]["autoencoder"].max(), "more than the other gains"
    target = found[(found["domain"] == "target") & (found["profile"] == "paper_size")]
    assert target["value"].lt(0.6).all(), "close to chance"
    assert found["seed"].dropna().nunique() == 1, "one seed"


def test_shifts_can_be_heard_and_told_apart():
    found = shifts.sounds()
    assert len({example.title for example in found}) == len(found) == 6
    source, *others = [example.decibel.mean(0) for example in found]
    assert all(np.abs(example.waveform).max() <= 1.5 and np.isfinite(example.decibel).all() for example in found)
    assert all(np.abs(spectrum - source).mean() > 1.5 for spectrum in others), "dB"


def test_the_lock_names_what_computed_a_run():
    versions = {"python": "3.11.7", "asdlib": "0.1.0", "torch": "2.1", "librosa": "not installed"}
    one = {"commit": "abc", "versions": versions}
    assert provenance.lock([one, one]) == "# Python 3.11.7; code of commit abc\ntorch==2.1\n"
    later = {"commit": "def", "versions": {name: versions[name] for name in ("python", "asdlib", "torch")}}
    assert provenance.lock([one, later]) == "# Python 3.11.7; code of commit abc, def\ntorch==2.1\n"
    with pytest.raises(AsdError, match=r"with torch 2.1 and 2.2, .*; delete the run"):
        provenance.lock([one, one | {"versions": versions | {"torch": "2.2"}}])


def test_stored_locks_can_be_installed():
    found = sorted((BOOK / "results").glob(f"*/{provenance.LOCK}"))
    assert BOOK / "results" / "demo" / provenance.LOCK in found
    for path in found:
        first, *lines = path.read_text(encoding="utf-8").splitlines()
        assert re.fullmatch(r"# Python [\d.]+; code of commit [0-9a-f, ]+", first)
        assert {"torch", "numpy"} <= {Requirement(line).name for line in lines}
        assert all(str(Requirement(line).specifier).startswith("==") for line in lines)


def test_the_readme_has_the_costs_of_the_stored_demonstration():
    readme = (BOOK.parent / "README.md").read_text(encoding="utf-8")
    costs = BOOK / "results" / "demo" / "costs.csv"
    assert store.with_map(readme, costs) == readme, "python book/store.py --profile demo demo writes it"
    assert store.with_map(re.sub(r"\| \d+ \| [\d.]+ \|", "| ? | ? |", readme), costs) == readme, "whatever stood there"
    assert {path.stem for path in (BOOK.parent / "notebooks").glob("*.ipynb")} == set(pd.read_csv(costs)["notebook"])


# The stored run -------------------------------------------------------------------------------------------------------
def test_scores_are_the_same_after_they_were_stored(tmp_path):
    """Check every row, selection and half, for two sections whose clips have the same names."""
    labels = ("normal", "anomaly")
    rows = [
        (system, "ToyCar", section, "source", "test", f"clip_{number}.wav", labels[number % 2], number + .5)
        for section in ("00", "01") for number in range(4)
        for system in ("mahalanobis_shift", "autoencoder/base/l1", "ensemble/fixed/AE", "ensemble/cross-fitted/AE")
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=scores.COLUMNS)
    frame["fold"] = np.where(
        frame["system"] == "ensemble/cross-fitted/AE", np.where(frame["score"] > 2, "first", "second"), ""
    )
    store.wide(frame).to_csv(tmp_path / "scores.csv", index=False)
    again = real.read(tmp_path)
    keys = ["system", "section", "clip"]
    columns = [*scores.COLUMNS, "fold"]
    pd.testing.assert_frame_equal(
        again.sort_values(keys)[columns].reset_index(drop=True), frame.sort_values(keys)[columns].reset_index(drop=True)
    )
    names = dict(zip(again["system"], zip(again["row"], again["selection"], strict=True), strict=True))
    assert names["mahalanobis_shift"] == ("Mahalanobis (shift)", "")
    assert names["autoencoder/base/l1"] == ("autoencoder/base/l1", "")
    assert names["ensemble/cross-fitted/AE"] == ("AE", "cross-fitted")


def test_stored_scores_give_the_stored_table():
    """Compare to 0.05 points, because scores are stored with five digits, which may create ties."""
    folder = stored_results.REAL
    frame = pd.read_csv(folder / "table1.csv").fillna({"selection": ""}).dropna(subset=["value"])
    every = real.read(folder)
    for item in frame[(frame["machine"] != "all") & frame["selection"].isin(["", "fixed"])].itertuples():
        part = every[(every["row"] == item.row) & (every["selection"] == item.selection)]
        part = part[(part["domain"] == item.domain) | (item.domain == "all")]
        value = metrics.official_score(metrics.sections(metrics.evaluable(part), 0.1))
        assert abs(value - item.value) < 5e-4, item
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    assert sum(path.stat().st_size for path in folder.iterdir()) < 2.2e6
    assert set(record["settings"]["autoencoder_candidates"]) == {
        row.split("/")[1] for row in every["row"] if row.startswith("autoencoder/")
    }


def test_what_is_stored_stays_if_the_new_cannot_be_completed(monkeypatch, tmp_path):
    (tmp_path / "ablations").mkdir()
    (tmp_path / "ablations" / "record.json").write_text("old")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "settings.json").write_text('{"data": {"root": "x"}}')

    def refuse(records):
        raise AsdError("two environments")

    monkeypatch.setattr(store, "RESULTS", tmp_path)
    monkeypatch.setattr(store.ablations, "over_seeds", lambda runs: pd.DataFrame({"seeds": [1]}))
    monkeypatch.setattr(store.provenance, "lock", refuse)
    with pytest.raises(AsdError, match="two environments"):
        store.keep_ablations([tmp_path / "run"], tuned=True)
    assert [path.name for path in (tmp_path / "ablations").iterdir()] == ["record.json"]
    assert (tmp_path / "ablations" / "record.json").read_text() == "old"


def test_the_stored_settings_are_those_of_quick():
    record = json.loads((stored_results.REAL / "record.json").read_text(encoding="utf-8"))
    stored, now = (provenance.flatten(each) for each in (record["settings"], params.load("quick").resolved()))
    assert {key for key, value in stored.items() if now.get(key) != value} == {"title", "data.root"}
    assert "/" not in stored["data.root"], "where the recordings lay is nobody's business"


@pytest.mark.parametrize("name", ["demo", "toycar"])
def test_stored_verdicts_are_those_of_the_present_rule(name):
    folder = stored_results.REAL.with_name(name)
    frame = claims.set_types(pd.read_csv(folder / "claims.csv").astype(dict.fromkeys(claims.BASIS, "Int64")))
    machines = json.loads((folder / "record.json").read_text(encoding="utf-8"))["machines"]
    pd.testing.assert_frame_equal(claims_paper.limit(frame, len(machines)), frame)
    table = pd.read_csv(folder / "table1.csv").fillna({"selection": ""})
    for item in table[table["domain"] == "all"].itertuples():
        theirs = paper.compared(item.row, item.machine, item.domain, tuple(machines))
        assert item.paper == pytest.approx(theirs, nan_ok=True), "what the page compares with"
    without = frame["verdict"].isin([claims.NOT_RUN]) | (frame["unit"] == claims.ARITHMETIC)
    assert (frame["clips"].isna() == without).all(), "a test that was not run rests on nothing"


def test_stored_comparisons_are_those_of_the_stored_scores():
    folder = stored_results.REAL
    frame = real.read(folder)
    settings = json.loads((folder / "record.json").read_text(encoding="utf-8"))["settings"]
    names = ["classifier/base/mahalanobis", "classifier/base/source_mahalanobis", "autoencoder/base/median"]
    again = real_compared.compare(frame[frame["row"].isin([*names, real_compared.REFERENCE])], settings)
    stored = pd.read_csv(folder / real_compared.SYSTEMS_FILE)
    both = again.merge(stored, on=["system", "than", "domain"], suffixes=("", "_stored"))
    assert len(both) == len(again) == 3 * (4 + 1)  # fine-tuned against its source model, too
    stored_values = both[[f"{name}_stored" for name in real_compared.COMPARED]].to_numpy()
    np.testing.assert_allclose(both[real_compared.COMPARED], stored_values, atol=1e-6)
    assert "| base | mahalanobis |" in real_compared.systems(stored, "classifier")


# Other people's systems -----------------------------------------------------------------------------------------------
def test_every_number_of_the_page_on_real_systems_is_stored(tmp_path):
    values = real_systems.values(stored_results.SYSTEMS)
    asked = re.findall(r"\{\{ systems\.(\w+) \}\}", CHAPTERS["real_systems"])
    assert asked and not [name for name in asked if name not in values]
    pages = real_systems.pages(stored_results.SYSTEMS)
    included = re.findall(r"\{include\} (generated/systems_\w+\.md)", CHAPTERS["real_systems"])
    assert sorted(included) == sorted(pages) and not any("nan" in text for text in pages.values())
    real_systems.draw(stored_results.SYSTEMS, tmp_path)
    shown = re.findall(r"\{figure\} generated/(systems_\w+\.svg)", CHAPTERS["real_systems"])
    assert sorted(shown) == sorted(path.name for path in tmp_path.iterdir())
    assert sum(path.stat().st_size for path in stored_results.SYSTEMS.iterdir()) < 3e5


def test_the_stored_tables_of_real_systems_agree_with_each_other():
    """Gains are differences of the values shown; every system has its origin."""
    figures, effects = (stored_results.read(stored_results.SYSTEMS / f"{name}.csv") for name in ("figures", "effects"))
    whole = figures[(figures["machine"] == "all") & (figures["domain"] == "all") & (figures["family"] == "all")]
    value = whole.set_index(["year", "selection", "method"])["value"]
    checked = effects[effects["than"] == "best single"]
    for item in checked.itertuples():
        apart = value[item.year, item.selection, item.method] - value[item.year, item.than_selection, item.than]
        assert item.effect == pytest.approx(apart, abs=2e-6), item
    about = stored_results.read(stored_results.SYSTEMS / "systems.csv")
    assert about.groupby("year").size().to_dict() == {2021: 6, 2022: 30} and (about["origin"].str.count("/") >= 1).all()


# The figure -----------------------------------------------------------------------------------------------------------
DOT = """digraph snakemake_dag {
    0[label = "all", color = "0.2 0.6 0.85", style="rounded"];
    1[label = "table1", color = "0.3 0.6 0.85", style="rounded"];
    2[label = "data", color = "0.1 0.6 0.85", style="rounded"];
    1 -> 0
    2 -> 1
}"""


def test_the_graph_is_snakemakes():
    assert flow.parsed(DOT) == {"table1": {"data"}, "data": set()}


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20))
def test_every_rule_is_below_the_rules_that_it_needs(pairs):
    needs = {f"rule{number}": set() for number in range(8)}
    for one, other in pairs:
        if one != other:
            needs[f"rule{max(one, other)}"].add(f"rule{min(one, other)}")
    depth = {name: row for row, names in enumerate(flow.layers(needs)) for name in names}
    assert depth.keys() == needs.keys()
    assert all(depth[name] == max((depth[other] + 1 for other in before), default=0) for name, before in needs.items())


def test_the_figure_has_an_opaque_background_and_the_same_bytes_again(tmp_path):
    for name in ("one.svg", "two.svg"):
        flow.draw({"data": set(), "train_autoencoder": {"data"}}, {"data": 1, "train_autoencoder": 6}, tmp_path / name)
    text = (tmp_path / "one.svg").read_text()
    assert text == (tmp_path / "two.svg").read_text()
    patch = ElementTree.fromstring(text).find(".//*[@id='patch_1']/*")
    assert "fill: #ffffff" in patch.get("style") and "opacity" not in patch.get("style")


def test_boxes_of_the_figure_do_not_overlap_and_no_arrow_is_a_point(tmp_path, monkeypatch):
    needs = {"data": set(), "baselines": {"data"}, "integrated": {"data"}, "table1": {"baselines", "integrated"}}
    for branch in ("autoencoder", "classifier"):
        needs |= {f"train_{branch}": {"data"}, f"score_{branch}": {f"train_{branch}"}}
        needs["table1"] = needs["table1"] | {f"score_{branch}"}
    figures = []
    monkeypatch.setattr(flow.plt, "close", figures.append)
    flow.draw(needs | {"playground": {"score_autoencoder"}}, dict.fromkeys(needs, 20), tmp_path / "flow.svg")
    monkeypatch.undo()
    flow.plt.close(figures[0])
    texts = [text for text in figures[0].axes[0].texts if text.get_text()]
    boxes = [text.get_bbox_patch().get_window_extent() for text in texts]
    assert len(boxes) == len(needs), "what only explores is left out"
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


def test_modules_of_the_book_are_short_and_share_no_name_with_a_benchmark():
    """Tests put the folders of both on the path of modules, where a name stands for one file."""
    modules = {path.stem: path for path in BOOK.glob("*.py")}
    assert not modules.keys() & {path.stem for path in (BOOK.parent / "benchmarks").rglob("*.py")}
    assert max(len(path.read_text(encoding="utf-8").splitlines()) for path in modules.values()) <= 250


def test_the_parts_of_the_book_explain_themselves():
    for module in (
        ablation_tables,
        answers,
        assemble,
        clips,
        contents,
        exercises,
        flow,
        method_sentences,
        one_model_run,
        paired,
        paper_costs,
        provenance,
        real,
        real_systems,
        schematics,
        shown,
        store,
        table_one,
        tables,
        variants,
        why,
    ):
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == module.__name__ and not name.startswith("_"):
                assert function.__doc__, f"{module.__name__}.{name}"


def test_the_answers_on_the_real_toy_cars_follow_from_made_up_tables():
    place = [(0, 0, "normal"), (1, 0, "anomaly")]
    points = pd.DataFrame(
        [("00", "last", "section", domain, "test", label, sign * x, y)
         for domain, sign in (("source", 1), ("target", -1)) for x, y, label in place]
        + [("00", "last", "outlier", "source", "train", "normal", 2, 0)],
        columns=["model", "stage", "kind", "domain", "split", "label", "x", "y"],
    )  # fmt: skip
    assert real_answers.cosines(points).set_index("domain")["cosine"].to_dict() == {"source": 1.0, "target": -1.0}
    clips = [("00", domain, "test", "normal", value + shift) for domain, shift in (("source", 0), ("target", 6))
             for value in range(5)]  # fmt: skip
    scores = pd.DataFrame(clips, columns=["section", "domain", "split", "label", "s"])
    assert real_answers.heights(scores, "s").tolist() == [3.0], "six, where the middle half of 0 to 4 is two wide"
    figures = {"a": (0.5, 0.6, 0.7), "b": (0.7, 0.8, 0.9)}
    rows = [
        (f"autoencoder/{name}/{variant}", real_answers.REFERENCE, "all", value)
        for name, values in figures.items()
        for variant, value in zip(real_answers.SCORES, values, strict=True)
    ]
    rows.append(("autoencoder/c/l1", real_answers.REFERENCE, "all", 0.1))
    found = real_answers.deviations(pd.DataFrame(rows, columns=["system", "than", "domain", "value"]), ["a", "b"])
    assert found == pytest.approx({"variants": 0.1, "candidates": 0.2 / 2**0.5})


def test_gains_of_fine_tuning_count_candidates_that_have_every_score():
    rows = [
        ("classifier/a/w50_mean", "classifier/a/source_model", 0.01),
        ("classifier/a/mahalanobis", "classifier/a/source_mahalanobis", -0.01),
        ("classifier/b/mahalanobis", "classifier/b/source_mahalanobis", 0.01),
        ("classifier/a/w50_mean", real_compared.REFERENCE, 0.01),
    ]
    frame = pd.DataFrame(rows, columns=["system", "than", "difference_low"]).assign(domain="target")
    frame["difference_high"] = frame["difference_low"] + 0.005
    assert real_compared.helped(frame) == {
        "finetuning_helps_mahalanobis": "0 of 1",
        "finetuning_harms_mahalanobis": "1 of 1 (`a`)",
        "finetuning_helps_w50_mean": "1 of 1 (`a`)",
        "finetuning_harms_w50_mean": "0 of 1",
    }


def test_rates_in_the_target_are_the_lowest_and_the_highest_of_the_sections(tmp_path):
    columns = ["row", "selection", "machine", "section", "domain", "inside", "false_alarms", "recall"]
    rows = [
        ("mix+", "fixed", "ToyCar", "00", "target", "", 0.0, 0.1),
        ("mix+", "fixed", "ToyCar", "01", "target", "", 0.0, 0.3),
        ("mix+", "fixed", "ToyCar", "01", "source", "yes", 0.9, 0.9),
    ]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "false_alarms.csv", index=False)
    assert real.rates_in_target(tmp_path) == {"alarms_mix_plus": "0", "hits_mix_plus": "10 to 30"}
