"""Assemble the book of one run and build it: ``python book/assemble.py --profile demo``.

``book/_build/<profile>/source/`` gets the chapters, the executed notebooks, generated pages and the run's numbers;
Jupyter Book makes ``book/_build/<profile>/_build/html`` of it. No notebook is executed, and every warning is an error:
a value that the run lacks, a broken link, mathematics that cannot be typeset.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import clips
import costs
import detector_pages
import figures
import flow
import nbformat
import provenance
import shown
import source_code
import stamps
import stored_results
import substitutions
import yaml
from contents import contents, firsts
from executed import Executed, as_page
from generated import first_section, from_run, from_stored, there

from asdlib import params, paths
from asdlib.errors import AsdError
from asdlib.execution.workflow import BY_NAME, BY_RULE, EXPLORING, STAGES
from asdlib.paths import Run
from asdlib.tables import read_table

SOURCES = Path(__file__).parent


def assemble(settings, overrides: dict, source: Path) -> None:
    """Write the sources of the book of one run to the new folder ``source``.

    Args:
        settings: Of the run (:class:`asdlib.params.Settings`).
        overrides: What they change in the profile.
        source: Folder to fill.

    Raises:
        AsdError: Something of the run is missing, or a notebook did not run to its end.
    """
    stored_results.check()
    run = Run.of(settings)
    table = read_table(there(run.table1))
    machines = [name for name in dict.fromkeys(table.dropna(subset=["value"])["machine"]) if name != "all"]
    notebooks = {item: item.read() for item in ordered(run, settings, machines)}
    for name in ("downloads", "generated", "notebooks", "machines", "api"):
        (source / name).mkdir(parents=True)
    for name in ("_static", "_ext"):
        shutil.copytree(SOURCES / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(SOURCES / "references.bib", source / "references.bib")
    copy_downloads(run, list(notebooks), source / "downloads")
    stamp = f"**{settings.title}.** Profile `{settings.profile}`"
    tuned, facts = stamps.tuned(settings), provenance.facts(provenance.records(run), *costs.wall(notebooks.values()))
    for chapter in sorted(SOURCES.glob("*.md")):
        made = stamps.of_chapter(chapter.stem, stamp, facts, tuned)
        write(source / chapter.name, stamps.stamped(chapter.read_text(encoding="utf-8"), *made))
    section = first_section(run, machines)
    detector = detector_pages.pages(settings, run, *section, source)
    for name, text in (from_stored() | detector | from_run(settings, run, table, machines, notebooks)).items():
        made = (stamp, tuned * name.startswith("machines/") + facts)  # of the other pages, the API prints no figure
        write(source / name, text if name.startswith("generated/") else stamps.stamped(text, *made))
    for item, notebook in notebooks.items():
        nbformat.write(as_page(item, notebook, item.record(run), stamp), source / f"{item.page}.ipynb")
    shown.shown({item: notebooks[item] for item in firsts(list(notebooks)).values()}, run, source)
    clips.sounds(run, *section, source / "_static" / "sounds" / machines[0])
    counts = Counter(item.stage for item in notebooks)
    figures.draw(settings, run, table, machines, source / "generated")
    flow.draw(
        flow.graph(settings.profile, overrides),
        {stage.rule: counts[stage.name] for stage in STAGES + EXPLORING},
        source / "generated" / "flow.svg",
    )
    config = yaml.safe_load((SOURCES / "_config.yml").read_text(encoding="utf-8"))
    config["parse"]["myst_substitutions"] = substitutions.of_run(settings, run, machines)
    with_repository(config, source_code.pack(source / "downloads"))
    write(source / "_config.yml", yaml.safe_dump(config, sort_keys=False))
    write(source / "_toc.yml", yaml.safe_dump(contents(list(notebooks), machines), sort_keys=False))


def copy_downloads(run: Run, notebooks: list[Executed], folder: Path) -> None:
    """Copy what pages offer for download: tables of the run, stored results, executed notebooks, locks, the log."""
    for path in [*run.folder.glob("*.csv"), *run.folder.glob("table1.*"), *(item.path for item in notebooks)]:
        shutil.copyfile(path, folder / path.name)
    root = paths.project_root()
    for path in (root / "params" / "paper.yaml", root / "LOG.md", *(SOURCES / "service").iterdir()):
        shutil.copyfile(path, folder / path.name)
    for path in stored_results.RESULTS.glob("*.csv"):
        shutil.copyfile(path, folder / path.name)
    for path in stored_results.RESULTS.glob("*/*.*"):  # runs whose recordings are not part of the project
        shutil.copyfile(path, folder / f"{path.parent.name}_{path.name}")
    for name, text in provenance.locks(stored_results.RESULTS).items():
        write(folder / name, text)
    shutil.copyfile(stored_results.RESULTS / "demo" / "table1.png", folder.parent / "_static" / "preview.png")


def ordered(run: Run, settings, machines: list[str]) -> list[Executed]:
    """The executed notebooks of a run: by stage, machine type, candidate (as in the settings), section.

    Raises:
        AsdError: A stage has none.
    """
    candidates = [*settings.autoencoder_candidates, *settings.classifier_candidates]
    rank = {name: number for number, name in enumerate(dict.fromkeys(["", *machines, *candidates]))}
    found = [Executed.of(path) for path in (run.folder / "notebooks").glob("*.ipynb")]
    # What an earlier run with other settings left in the folder is no part of this one.
    known = {*BY_NAME, *(stage.name for stage in EXPLORING)}
    found = [item for item in found if item.stage in known and {item.machine, item.candidate} <= rank.keys()]
    for stage in BY_NAME:
        if not any(item.stage == stage for item in found):
            there(run.notebook(stage, "*"))
    return sorted(found, key=lambda item: (item.stage, rank[item.machine], rank[item.candidate], item.section))


def with_repository(config: dict, archive: str) -> None:
    """Say where the code is; add the buttons of the repository if ``repository`` in ``_config.yml`` has its address.

    Args:
        config: Of the book.
        archive: Link to the code as a download.
    """
    url = config.get("repository", {}).get("url", "")
    config["parse"]["myst_substitutions"]["repository"] = source_code.where(url, archive)
    if url:
        buttons = ("use_repository_button", "use_issues_button", "use_edit_page_button")
        config["html"] |= dict.fromkeys(buttons, True)
        config["launch_buttons"] = {"binderhub_url": "https://mybinder.org", "notebook_interface": "jupyterlab"}


def build(source: Path, output: Path, builder: str = "html") -> Path:
    """Build the assembled book, by page (``html``) or as one page (``singlehtml``), and return its first page.

    Raises:
        AsdError: There were warnings; the message lists them.
    """
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    command = [jupyter_book, "build", source, "-W", "-n", "--keep-going", "--path-output", output]
    command += ["--builder", "custom", "--custom-builder", builder] if builder != "html" else []
    environment = os.environ | {"PYDEVD_DISABLE_FILE_VALIDATION": "1", "NO_COLOR": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stdout + done.stderr).splitlines()
        problems = [line for line in lines if "WARNING" in line or "ERROR" in line] or lines[-30:]
        raise AsdError("the book has problems\n" + "\n".join(dict.fromkeys(problems)))
    return output / "_build" / builder / "index.html"


def write(path: Path, text: str) -> None:
    """Write a text file."""
    path.write_text(text, encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Assemble and build; 0 on success, 2 if it cannot be done, the reason on standard error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="demo", help="name of a file in params/, or a path (default: demo)")
    parser.add_argument("--overrides", type=json.loads, help="settings to change, JSON (default: what the run changed)")
    given = parser.parse_args(arguments)
    try:
        overrides = given.overrides
        if overrides is None:
            table1 = Executed.of(there(Run.of(params.load(given.profile)).notebook(BY_RULE["table1"].name)))
            overrides = table1.read().metadata.papermill.parameters.get("overrides", {})
        settings = params.load(given.profile, overrides)
        output = paths.project_root() / "book" / "_build" / settings.profile
        shutil.rmtree(output, ignore_errors=True)
        assemble(settings, overrides, output / "source")
        print(build(output / "source", output))
    except AsdError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
