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
from importlib import metadata
from pathlib import Path

import ablation_tables
import answers
import clips
import costs
import detector_pages
import exercises
import flow
import gpu_figures
import integrated
import matplotlib.pyplot as plt
import nbformat
import one_network
import pandas as pd
import plain_detectors
import provenance
import real
import schematics
import shifts
import shown
import systems
import table_one
import tables
import verdicts
import yaml
from contents import api, contents, firsts, machine_page, reference_page
from executed import Executed, as_page, seconds
from paired import read_differences

from asdlib import params, paths
from asdlib.classifier import clip_outputs
from asdlib.errors import AsdError
from asdlib.evaluation import false_alarms, health, paper
from asdlib.paths import Run
from asdlib.plots import evaluation, scaling, style
from asdlib.tables import read_table
from asdlib.workflow import BY_NAME, BY_RULE, EXPLORING, STAGES

SOURCES = Path(__file__).parent
RERUN = SOURCES / "results" / "official_ae_rerun.csv"
"""the official autoencoder on DCASE2021, trained by somebody else, by our metric"""
GPU = SOURCES / "results" / "gpu" / "figures.csv"
"""what `make gpu` measured, if it was run"""
ABLATIONS = SOURCES / "results" / "ablations"
"""runs of several seeds with one thing changed"""
REAL = SOURCES / "results" / "toycar"
"""a run on real recordings that are not part of the project"""
SYSTEMS = SOURCES / "results" / "real_systems"
"""ensembles of other people's systems"""
SHIFTS = SOURCES / "results" / "shifts"
"""scorers without a network under five kinds of shift"""
ALSO = ". This page also shows stored results of other runs, and says where"
"""of pages that show more than the book's own run"""
MIXED = ("claims", "cost", "index", "one_model", "reliability", "your_machine")
TOOLS = ("jupyterlab", "jupyter-book", "latex2mathml", "papermill", "snakemake")
"""packages that leave no artefact of a stage, whose versions the book states as of its own building"""


def assemble(settings, overrides: dict, source: Path) -> None:
    """Write the sources of the book of one run to the new folder ``source``.

    Args:
        settings: Of the run (:class:`asdlib.params.Settings`).
        overrides: What they change in the profile.
        source: Folder to fill.

    Raises:
        AsdError: Something of the run is missing, or a notebook did not run to its end.
    """
    check_stored()
    run = Run.of(settings)
    table = read_table(there(run.table1))
    machines = [name for name in dict.fromkeys(table.dropna(subset=["value"])["machine"]) if name != "all"]
    notebooks = {item: item.read() for item in ordered(run, settings, machines)}
    for name in ("downloads", "generated", "notebooks", "machines", "api"):
        (source / name).mkdir(parents=True)
    for name in ("_static", "_ext"):
        shutil.copytree(SOURCES / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(SOURCES / "references.bib", source / "references.bib")
    profile = paths.project_root() / "params" / "paper.yaml"
    for path in [*run.folder.glob("*.csv"), *run.folder.glob("table1.*"), profile]:
        shutil.copyfile(path, source / "downloads" / path.name)
    shutil.copyfile(paths.project_root() / "LOG.md", source / "downloads" / "LOG.md")
    for path in (SOURCES / "results").glob("*.csv"):
        shutil.copyfile(path, source / "downloads" / path.name)
    for path in (SOURCES / "results").glob("*/*.*"):  # runs whose recordings are not part of the project
        shutil.copyfile(path, source / "downloads" / f"{path.parent.name}_{path.name}")
    for name, text in provenance.locks(SOURCES / "results").items():
        write(source / "downloads" / name, text)
    stamp = f"**{settings.title}.** Profile `{settings.profile}`"
    facts = provenance.facts(provenance.records(run), sum(map(seconds, notebooks.values())))
    for chapter in sorted(SOURCES.glob("*.md")):
        made = (*real.stamp(REAL), "real-settings") if chapter.stem in real.PAGES else (stamp, facts)
        made = (*real.stamp(ABLATIONS), "ablations-settings") if chapter.stem == "ablations" else made
        made = (*systems.stamp(SYSTEMS), "real-systems-made") if chapter.stem in systems.PAGES else made
        made = (*shifts.stamp(SHIFTS), "shifts-made") if chapter.stem in shifts.PAGES else made
        made = (stamp + ALSO, facts) if chapter.stem in MIXED else made
        write(source / chapter.name, stamped(chapter.read_text(encoding="utf-8"), *made))
    scores = real.read(REAL)
    stored, texts = real.pages(REAL)
    stored |= systems.pages(SYSTEMS) | shifts.pages(SHIFTS) | integrated.pages(SHIFTS)
    stored |= ablation_tables.pages(ABLATIONS)
    stored |= detector_pages.pages(settings, run, *first_section(run, machines), source)
    for name, text in (stored | generated(settings, run, table, machines, notebooks)).items():
        write(source / name, text if name.startswith("generated/") else stamped(text, stamp, facts))
    real.draw(REAL, scores, source / "generated")
    ablation_tables.draw(ABLATIONS, source / "generated")
    systems.draw(SYSTEMS, source / "generated")
    schematics.draw(settings, source / "generated")
    shown.shown({item: notebooks[item] for item in firsts(list(notebooks)).values()}, run, source)
    for item, notebook in notebooks.items():
        shutil.copyfile(item.path, source / "downloads" / item.path.name)
        nbformat.write(as_page(item, notebook, item.record(run), stamp), source / f"{item.page}.ipynb")
    clips.sounds(run, *first_section(run, machines), source / "_static" / "sounds" / machines[0])
    stages = [item.stage for item in notebooks]
    style.use()
    total = table[(table["machine"] == "all") & (table["domain"] == "all")]
    evaluation.intervals(total, printed(machines), "the paper").savefig(source / "generated" / "table1.svg")
    shutil.copyfile(SOURCES / "results" / "demo" / "table1.png", source / "_static" / "preview.png")
    evaluation.false_alarms(false_alarms.read(run.false_alarms)).savefig(source / "generated" / "false_alarms.svg")
    with plt.rc_context({"svg.hashsalt": "asdlib"}):
        growth = scaling.growth(pd.read_csv(SOURCES / "results" / "growth.csv"))
        growth.savefig(source / "generated" / "growth.svg", metadata={"Date": None})
    numbers = {stage.rule: stages.count(stage.name) for stage in STAGES + EXPLORING}
    flow.draw(flow.graph(settings.profile, overrides), numbers, source / "generated" / "flow.svg")
    config = yaml.safe_load((SOURCES / "_config.yml").read_text(encoding="utf-8"))
    numbers = values(settings, json.loads(there(run.values).read_text(encoding="utf-8")))
    judged = {
        name: verdicts.counts(verdicts.read(path))
        for name, path in (("paper", run.claims), ("extensions", run.claims_extensions))
    }
    python = metadata.metadata("asdlib")["Requires-Python"]
    rate = params.load("detector").data.sample_rate
    first_candidate = run.system("classifier", machines[0], next(iter(settings.classifier_candidates)))
    config["parse"]["myst_substitutions"] = numbers | {
        "embedding_length": str(clip_outputs.load(first_candidate)[1].shape[1]),
        "toycar": texts,
        "systems": systems.values(SYSTEMS),
        "verdicts": judged,
        "shifts": shifts.values(SHIFTS),
        "ablated": integrated.values(SHIFTS),
        "steps": gpu_figures.paper_steps(),
        "rerun": tables.rerun_means(pd.read_csv(RERUN)),
        "project": {"python": python.removeprefix(">=") + " or newer", "rate": f"{rate:,}"},
        "detector": plain_detectors.values(SOURCES / "results" / "detector"),
    }
    with_repository(config)
    write(source / "_config.yml", yaml.safe_dump(config, sort_keys=False))
    write(source / "_toc.yml", yaml.safe_dump(contents(list(notebooks), machines), sort_keys=False))


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


def stamped(text: str, stamp: str, facts: str, settings: str = "settings") -> str:
    """A page with a box below its title: what the data are, what made the run, and a link to all that was set."""
    title, _, rest = text.partition("\n")
    if not title.startswith("# "):
        raise AsdError(f"a chapter begins with {title!r}; expected a title")
    words = "How this was made" if settings.endswith("-made") else "All settings"
    return f"{title}\n\n:::{{div}} stamp\n{stamp}.\n{facts} {{ref}}`{words} <{settings}>`.\n:::\n{rest}"


def generated(settings, run: Run, table: pd.DataFrame, machines: list[str], notebooks: dict) -> dict[str, str]:
    """The Markdown that is made of the run, by file name: what chapters include, and whole pages."""
    versions = {name: metadata.version(name) for name in TOOLS}
    spent = costs.costs(notebooks, run)
    result = {
        "generated/table1.md": table_one.table1(table, machines),
        "generated/printed.md": table_one.printed(),
        "generated/ablations_settings.json": (ABLATIONS / "record.json").read_text(encoding="utf-8"),
        "generated/seeds.md": table_one.seeds(run.seeds, settings.seed),
        "generated/audit.md": tables.audit(),
        "generated/rerun.md": tables.rerun(pd.read_csv(RERUN, dtype={"section": str})),
        "generated/larger.md": tables.larger(),
        "generated/claims.md": verdicts.claims(
            verdicts.read(there(run.claims)),
            read_differences(there(run.differences)),
            verdicts.read(REAL / "claims.csv"),
            verdicts.read(SYSTEMS / "claims.csv"),
        ),
        "generated/claims_extensions.md": verdicts.extensions(
            verdicts.read(there(run.claims_extensions)), differences=read_differences(there(run.differences))
        ),
        "generated/claims_seeds.md": verdicts.over_seeds(run),
        "generated/by_hand.md": clips.by_hand(run, *first_section(run, machines), settings.evaluation.p),
        "generated/colours.md": tables.colours(),
        "generated/false_alarms.md": tables.false_alarms(false_alarms.read(there(run.false_alarms))),
        "generated/health.md": tables.health_notes(health.read(there(run.health))),
        "generated/reliability.md": tables.reliability(SOURCES / "results" / "reliability" / "figures.csv"),
        "generated/cost.md": costs.cost(spent),
        "generated/notebooks.md": tables.table(
            costs.notebook_map(spent).rename(columns=lambda name: name[:1].upper() + name[1:]),
            "All notebooks: minutes of this run (how many times, on average) and the most memory that one held.",
            "notebooks-table",
            "llllrr",
            "5 5 4 4 2 1",
        ),
        "generated/benchmarks.md": costs.benchmarks(SOURCES / "results" / "benchmarks.csv"),
        "generated/growth.md": costs.growth(SOURCES / "results" / "growth.csv"),
        "generated/paper_run.md": costs.paper_run(SOURCES / "results" / "paper_run.csv", GPU),
        "generated/gpu.md": gpu_figures.figures(GPU),
        "generated/paper_size.md": gpu_figures.paper_size(GPU.with_name(gpu_figures.PAPER_SIZE)),
        **plain_detectors.pages(SOURCES / "results" / "detector"),
        "generated/service.md": costs.service(SOURCES / "results" / "service.csv"),
        "generated/computed.md": provenance.computed(settings, run, versions),
        "generated/stored.md": provenance.stored(SOURCES / "results"),
        "generated/departures.md": provenance.departures(settings, params.load("paper")),
        "generated/absent.md": provenance.absent(table, settings, GPU),
        "generated/settings.yaml": yaml.safe_dump(settings.resolved(), sort_keys=False),
    }
    machine, section = first_section(run, machines)
    result |= clips.plots(run, machine, next(iter(settings.classifier_candidates)), section)
    result |= exercises.pages(run, settings, machine) | answers.pages(run, settings, machine)
    result |= one_network.pages(run, settings, machines)
    for machine in machines:
        mine = {item: notebook for item, notebook in notebooks.items() if item.machine == machine}
        result[f"machines/{machine}.md"] = machine_page(machine, mine)
    return result | {f"{page}.md": reference_page(title, modules) for page, (title, modules) in api().items()}


def first_section(run: Run, machines: list[str]) -> tuple[str, str]:
    """The machine type and section whose clips are shown one by one."""
    table = read_table(run.scores("ensemble", machines[0]))
    return machines[0], table["section"].min()


def printed(machines: list[str]) -> pd.Series:
    """The paper's figure of each row, from its printed cells of the machine types of this run."""
    shared = tuple(machine for machine in paper.MACHINES if machine in machines)
    return pd.Series({row: paper.value(row, machines=shared) for row in paper.ROWS} if shared else {}, dtype=float)


def with_repository(config: dict) -> None:
    """Add what leads to the repository, if its address is configured (``repository`` in ``_config.yml``), or say so."""
    url = config.get("repository", {}).get("url")
    config["parse"]["myst_substitutions"]["repository"] = (
        f"[Code of this book and of `asdlib`]({url})"
        if url
        else "This copy of the book was built without the address of a repository (`repository` in "
        "`book/_config.yml`), so it cannot say where its code is published: ask whoever gave it to you."
    )
    if url:
        buttons = ("use_repository_button", "use_issues_button", "use_edit_page_button")
        config["html"] |= dict.fromkeys(buttons, True)
        config["launch_buttons"] = {"binderhub_url": "https://mybinder.org", "notebook_interface": "jupyterlab"}


def check_stored() -> None:
    """Raise :class:`AsdError` if a stored result was made from a tree with uncommitted changes."""
    for path in sorted((SOURCES / "results").rglob("*.*")):
        if path.suffix not in (".csv", ".json"):
            continue
        if "+changes" in path.read_text(encoding="utf-8"):
            raise AsdError(
                f"{path.relative_to(SOURCES.parent)}: made from a working tree with uncommitted changes, so nobody can "
                "tell which code made it; commit, then make it again"
            )


def values(settings, numbers: dict[str, float]) -> dict:
    """What chapters may name in ``{{ }}``: the run's numbers as text, and ``settings``, ``published`` (those
    of ``params/paper.yaml``) and ``values`` as they are.

    Fractions become per cent with two digits, as in the paper's table; counts stay what they are.

    >>> values(params.load("smoke"), {"mix": 0.75062, "test_clips": 1200})["mix"]
    '75.06'
    """
    texts = {
        name: f"{100 * value:.2f}" if isinstance(value, float) else f"{value:,}" for name, value in numbers.items()
    }
    return texts | {"settings": settings.resolved(), "published": params.load("paper").resolved(), "values": numbers}


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


def there(path: Path) -> Path:
    """``path`` if it exists, else :class:`asdlib.AsdError`."""
    if not path.is_file():
        raise AsdError(f"{path}: no such file; run make reproduce, which makes it")
    return path


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
