"""Executed notebooks become pages: whose they are, what made them, and how they look in a book."""

import ast
import json
import re
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import nbformat

from asdlib.errors import AsdError
from asdlib.execution.workflow import BY_NAME
from asdlib.paths import BASELINES, INTEGRATED, RECORD, Run, project_root
from asdlib.records import read_records

WIDGET = "application/vnd.jupyter.widget-view+json"
"""type of an output that only a running kernel can answer"""
LINES = 12
"""lines of a cell's printed output that a page shows; the downloaded notebook has all"""

NUMBER = re.compile(r"(?<=>)([-+]?)(\d[\d.,]*)(%?)(?=</td>)")
"""a number in a cell of an HTML table"""
PARAMETER = re.compile(r"(\w+)(?::[^=]*)? = (.*?)(  #.*)?")
"""a line of the cell of parameters: name, default, comment"""
TABLE = re.compile(r"(?s)<table\b([^>]*)>(.*?)</table>")
CLASS = re.compile(r' class="([^"]*)"')


@dataclass(frozen=True)
class Executed:
    """One executed notebook of a run, named ``<stage>[.<machine>[.<section>]][.<candidate>].ipynb``."""

    path: Path
    stage: str
    machine: str = ""
    section: str = ""
    candidate: str = ""

    @classmethod
    def of(cls, path: Path) -> "Executed":
        stage, *parts = path.name.removesuffix(".ipynb").split(".")
        machine = parts.pop(0) if parts else ""
        section = parts.pop(0) if parts and re.fullmatch(r"\d{2}", parts[0]) else ""
        return cls(path, stage, machine, section, ".".join(parts))

    @property
    def page(self) -> str:
        """Name of its page, without suffix."""
        return "notebooks/" + self.path.name.removesuffix(".ipynb").replace(".", "-")

    @property
    def whose(self) -> str:
        """Machine type, section and candidate in words; empty for a stage of the whole run."""
        section = f"section {self.section}" if self.section else ""
        return ", ".join(part for part in (self.machine, section, self.candidate) if part)

    def read(self) -> nbformat.NotebookNode:
        """The notebook; :class:`asdlib.AsdError` if it did not run to its end."""
        notebook = nbformat.read(self.path, as_version=4)
        papermill = notebook.metadata.get("papermill", {})
        if papermill.get("exception") or not papermill.get("end_time"):
            raise AsdError(f"{self.path}: did not run to its end; run make reproduce, which resumes there")
        return notebook

    def record(self, run: Run) -> dict:
        """What made the artefacts of this notebook; empty for one that leaves no record."""
        return next(iter(self.records(run)), {})

    def records(self, run: Run) -> list[dict]:
        """The records of all artefacts of this notebook."""
        machine, candidate = self.machine, self.candidate
        folders = {
            "data": sorted(run.folder.glob("data/*")),
            "baselines": [run.system(system, machine) for system in BASELINES],
            "train_autoencoder": [run.system("autoencoder", machine, candidate)],
            "score_autoencoder": [run.system("autoencoder", machine, candidate)],
            "train_classifier": [run.system("classifier", machine, candidate, self.section)],
            "score_classifier": [run.system("classifier", machine, candidate)],
            "ensemble": [run.system("ensemble", machine)],
            "integrated": [run.system(INTEGRATED, machine)],
            "table1": [run.folder],
        }
        stage = BY_NAME.get(self.stage)
        paths = [folder / RECORD for folder in folders[stage.rule]] if stage else []
        found = [read_records(path) for path in paths if path.is_file()]
        return [records[-1 if stage.rule == "score_autoencoder" else 0] for records in found]


def seconds(notebook: nbformat.NotebookNode) -> float:
    """Wall time of an executed notebook, kernel start included."""
    return float(notebook.metadata["papermill"]["duration"])


def date(notebook: nbformat.NotebookNode) -> str:
    """When it ended, for example ``22 November 2026, 12:14 UTC``."""
    return f"{datetime.fromisoformat(notebook.metadata['papermill']['end_time']):%-d %B %Y, %H:%M} UTC"


def title(notebook: nbformat.NotebookNode) -> str:
    """The notebook's title: the heading that its first cell begins with."""
    heading = notebook.cells[0].source.partition("\n")[0]
    if notebook.cells[0].cell_type != "markdown" or not heading.startswith("# "):
        raise AsdError(f"a notebook begins with {heading!r}; expected a Markdown cell with a title")
    return heading.removeprefix("# ")


def as_page(item: Executed, notebook: nbformat.NotebookNode, record: dict, stamp: str) -> nbformat.NotebookNode:
    """The notebook as a page of the book: whose it is in the title, then what made it; parameters hidden.

    Cells tagged ``boilerplate``, which load settings or import, are left out, since they are the same everywhere; the
    downloaded notebook has them. Figures have the page's name before theirs, since chapters show some of them under
    their own.

    Args:
        item: Which notebook.
        notebook: As it was executed.
        record: What made its artefacts; may be empty.
        stamp: What the data are and which run this is.
    """
    page = deepcopy(notebook)
    heading, _, text = page.cells[0].source.partition("\n")
    heading += f": {item.whose}" if item.whose else ""
    page.cells[0].source = f"{heading}\n\n{banner(item, notebook, record, stamp)}\n\n{text.strip()}"
    page.metadata.pop("widgets", None)  # the state of drop-downs; shown, it would be asked of another host
    given = any("injected-parameters" in cell.metadata.get("tags", []) for cell in page.cells)
    declared = next((cell.source for cell in page.cells if "parameters" in cell.metadata.get("tags", [])), "")
    for cell in page.cells:
        if cell.cell_type == "code":
            tags = set(cell.metadata.get("tags", []))
            if "injected-parameters" in tags:
                tags.add("hide-input")
                cell.source = with_comments(declared, cell.source)
            elif "parameters" in tags and given:  # defaults that were not used
                tags.add("remove-cell")
            if "boilerplate" in tags:
                tags.add("remove-input" if any("data" in output for output in cell.outputs) else "remove-cell")
            cell.metadata["tags"] = sorted(tags)
            kept = [output for output in cell.outputs if WIDGET not in output.get("data", {})]
            cell.outputs = [shortened(output) for output in joined(kept)]
            figure = cell.metadata.get("mystnb", {}).get("figure", {})
            if figure:
                figure["name"] = f"{item.page.removeprefix('notebooks/')}-{figure['name']}"
    return page


def with_comments(declared: str, injected: str) -> str:
    """All parameters of a notebook with the values that it ran with, each with the comment of its declaration.

    Args:
        declared: The cell of parameters, one per line with its type, default and a comment.
        injected: The cell of values that papermill added.

    >>> print(with_comments('a: str = "x"  # a name\\nb: int = 1  # a number', '# Parameters\\nb = 2'))
    a = "x"  # a name
    b = 2  # a number
    """
    values = {}
    for node in ast.parse(injected).body:
        if isinstance(node, ast.Assign):
            values[node.targets[0].id] = ast.get_source_segment(injected, node.value)
    lines = []
    for line in declared.splitlines():
        found = PARAMETER.fullmatch(line)
        if found:
            name, default, comment = found.groups()
            lines.append(f"{name} = {values.pop(name, default)}{comment or ''}")
    return "\n".join([*lines, *(f"{name} = {value}" for name, value in values.items())])


def banner(item: Executed, notebook: nbformat.NotebookNode, record: dict, stamp: str) -> str:
    """What made a notebook's page, in MyST Markdown; the settings are folded."""
    facts = [date(notebook), f"{seconds(notebook):.0f} s"]
    if record:
        facts += [record["device"], f"commit `{record['commit']}`"]
    download = f"{{download}}`Download the notebook <../downloads/{item.path.name}>`"
    text = f":::{{div}} stamp\n{stamp}{item.whose and f', {item.whose}'}.\n\n{'; '.join(facts)}. {download}\n:::"
    if record:
        settings = json.dumps(record["settings"], indent=1)
        text += f"\n\n:::{{dropdown}} Settings\n```json\n{settings}\n```\n:::"
    return text


def joined(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Outputs with what was printed without a break in one piece: each flush makes a piece of its own."""
    result = []
    for output in outputs:
        last = result[-1] if result else {}
        if output.output_type == last.get("output_type") == "stream" and output.name == last.name:
            last.text += output.text
        else:
            result.append(deepcopy(output))
    return result


def typeset(text: str) -> str:
    """HTML whose tables look like those of chapters: classes, minus signs, no sign at a rounded zero, a space before %.

    >>> typeset("<td>-0.52%</td><td>-0.00</td><td>+0.00</td><td>+1.20</td>")
    '<td>−0.52 %</td><td>0.00</td><td>0.00</td><td>+1.20</td>'
    >>> typeset('<table border="1" class="dataframe"><tbody></tbody></table>')
    '<table class="dataframe table numbers"><tbody></tbody></table>'
    """

    def write(number: re.Match) -> str:
        sign, digits, percent = number.groups()
        return f"{digits.strip('0.,') and sign.replace('-', '−')}{digits}{percent and ' %'}"

    return NUMBER.sub(write, TABLE.sub(_with_classes, text))


def _with_classes(found: re.Match) -> str:
    """A table with the classes of a chapter's; the first column stays in sight only if no cell of it spans rows."""
    attributes, content = found.groups()
    own = CLASS.search(attributes)
    kept = re.sub(r' border="\d+"', "", CLASS.sub("", attributes))
    classes = [*(own[1].split() if own else []), "table"]
    classes += ["numbers"] * ("rowspan" not in content.partition("<tbody")[2])
    return f'<table{kept} class="{" ".join(classes)}">{content}</table>'


def shortened(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """An output without this machine's folders; a printed one of :data:`LINES`, without what was overwritten."""
    home = f"{project_root()}/"
    for kind, text in output.get("data", {}).items():
        if kind in ("text/markdown", "text/html", "text/plain") and isinstance(text, str):
            output.data[kind] = typeset(text.replace(home, ""))
    if output.output_type == "stream":
        text = output.text.replace(home, "").removesuffix("\n")
        lines = [line.rpartition("\r")[2] for line in text.split("\n")]
        if len(lines) > LINES:
            left = len(lines) - LINES + 1
            lines = [
                *lines[: LINES // 2],
                f"... {left} lines more in the notebook ...",
                *lines[LINES // 2 - LINES + 1 :],
            ]
        output.text = "\n".join(lines) + "\n"
    return output
