"""What chapters include of a run and of stored results: tables, figures in HTML, and whole pages."""

from importlib import metadata
from pathlib import Path

import ablation_tables
import answers
import clips
import command_costs
import costs
import exercises
import gpu_figures
import interval_by_hand
import longer_trainings
import negative_results
import one_model_run
import one_model_stored
import pandas as pd
import paper_costs
import plain_detectors
import printed_cells
import provenance
import real
import real_systems
import shifts
import stored_results
import table_one
import tables
import variants
import verdicts
import yaml
from claim_tests import Scope
from contents import api, machine_page, reference_page

from asdlib import params
from asdlib.errors import AsdError
from asdlib.paths import Run, project_root
from asdlib.tables import read_table

TOOLS = ("jupyterlab", "jupyter-book", "latex2mathml", "papermill", "snakemake")
"""packages that leave no artefact of a stage, whose versions the book states as of its own building"""


def from_stored() -> dict[str, str]:
    """What is made of the larger stored results alone, by file name."""
    return {
        **real.pages(stored_results.REAL),
        **real_systems.pages(stored_results.SYSTEMS),
        **shifts.pages(stored_results.SHIFTS),
        **one_model_stored.pages(stored_results.SHIFTS),
        **longer_trainings.pages(stored_results.SHIFTS),
        **ablation_tables.pages(stored_results.ABLATIONS),
    }


def from_run(settings, run: Run, table: pd.DataFrame, machines: list[str], notebooks: dict) -> dict[str, str]:
    """What is made of the run, by file name; also the tables of stored results that stand next to it."""
    versions = {name: metadata.version(name) for name in TOOLS}
    spent, scope = costs.costs(notebooks, run), Scope(tuple(machines), settings)
    result = {
        "generated/table1.md": table_one.table1(table, machines, synthetic=settings.data.synthetic is not None),
        "generated/printed.md": table_one.printed(),
        "generated/ablations_settings.json": (stored_results.ABLATIONS / "record.json").read_text(encoding="utf-8"),
        "generated/seeds.md": table_one.seeds(run.over_seeds(run.table1), settings.seed),
        "generated/audit.md": tables.audit(),
        "generated/rerun.md": tables.rerun(stored_results.read(stored_results.RERUN)),
        "generated/larger.md": tables.larger(),
        "generated/printed_leads.md": printed_cells.sentences(),
        "generated/claims.md": verdicts.claims(
            read_table(there(run.claims)),
            read_table(there(run.differences)),
            real.over_seeds(stored_results.REAL, "claims.csv"),
            stored_results.read(stored_results.SYSTEMS / "claims.csv"),
            scope,
        ),
        "generated/claims_extensions.md": verdicts.extensions(
            read_table(there(run.claims_extensions)), differences=read_table(there(run.differences))
        ),
        "generated/claims_seeds.md": verdicts.over_seeds(run, scope),
        "generated/by_hand.md": clips.by_hand(run, *first_section(run, machines), settings.evaluation.p),
        "generated/interval_by_hand.md": interval_by_hand.page(run, settings, *first_section(run, machines)),
        "generated/ten_clips_roc.md": interval_by_hand.roc_page(
            clips.ten_clips(run, *first_section(run, machines)), settings.evaluation.p
        ),
        "generated/colours.md": tables.colours(),
        "generated/false_alarms.md": tables.false_alarms(read_table(there(run.false_alarms))),
        "generated/health.md": tables.health_notes(read_table(there(run.health))),
        "generated/reliability.md": tables.reliability(stored_results.RESULTS / "reliability" / "figures.csv"),
        "generated/cost.md": costs.answer(notebooks, run, project_root() / settings.data.root) + costs.cost(spent),
        "generated/commands.md": command_costs.commands(settings.profile, notebooks, run),
        "generated/notebooks.md": tables.table(
            costs.notebook_map(spent).rename(columns=lambda name: name[:1].upper() + name[1:]),
            "All notebooks: how many ran, minutes of one on average, and the most memory that one held.",
            "notebooks-table",
            "llllrrr",
            "5 5 4 4 1 2 1",
        ),
        "generated/benchmarks.md": costs.benchmarks(stored_results.RESULTS / "benchmarks.csv"),
        "generated/growth.md": costs.growth(stored_results.RESULTS / "growth.csv"),
        "generated/paper_run.md": paper_costs.paper_run(
            stored_results.RESULTS / "paper_run.csv", stored_results.GPU, stored_results.RESULTS / "growth.csv"
        ),
        "generated/gpu.md": gpu_figures.figures(stored_results.GPU),
        "generated/paper_size.md": gpu_figures.paper_size(stored_results.GPU.with_name(gpu_figures.PAPER_SIZE)),
        **plain_detectors.pages(stored_results.DETECTOR),
        **negative_results.pages(
            read_table(there(run.differences)), stored_results.REAL, stored_results.SHIFTS, stored_results.DETECTOR
        ),
        "generated/service.md": costs.service(stored_results.RESULTS / "service.csv"),
        "generated/computed.md": provenance.computed(settings, run, versions),
        "generated/stored.md": provenance.stored(stored_results.RESULTS),
        "generated/departures.md": provenance.departures(settings, params.load("paper")),
        "generated/absent.md": provenance.absent(table, settings, stored_results.GPU),
        "generated/settings.yaml": yaml.safe_dump(settings.resolved(), sort_keys=False),
    }
    machine, section = first_section(run, machines)
    result |= clips.plots(run, machine, next(iter(settings.classifier_candidates)), section)
    result |= exercises.pages(run, settings, machine) | answers.pages(run, settings, machine)
    result |= variants.pages(settings) | one_model_run.pages(run, settings, machines)
    for machine in machines:
        mine = {item: notebook for item, notebook in notebooks.items() if item.machine == machine}
        result[f"machines/{machine}.md"] = machine_page(machine, mine)
    return result | {f"{page}.md": reference_page(title, modules) for page, (title, modules) in api().items()}


def first_section(run: Run, machines: list[str]) -> tuple[str, str]:
    """The machine type and section whose clips are shown one by one."""
    table = read_table(run.scores("ensemble", machines[0]))
    return machines[0], table["section"].min()


def there(path: Path) -> Path:
    """``path`` if it exists, else :class:`asdlib.AsdError`."""
    if not path.is_file():
        raise AsdError(f"{path}: no such file; run make reproduce, which makes it")
    return path
