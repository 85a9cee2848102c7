"""Draw the figures of the chapters that no notebook shows: of the run, and of stored results."""

from pathlib import Path

import ablation_tables
import interval_by_hand
import pandas as pd
import real
import real_figures
import real_systems
import schematics
import stored_results
from clips import ten_clips
from generated import first_section

from asdlib.evaluation import paper
from asdlib.paths import Run
from asdlib.plots import evaluation, scaling, style
from asdlib.tables import read_table


def draw(settings, run: Run, table: pd.DataFrame, machines: list[str], where: Path) -> None:
    """Draw all of them as ``where/<name>.svg``.

    Args:
        settings: Of the run.
        run: The run.
        table: Its Table 1.
        machines: Its machine types.
        where: A folder.
    """
    real_figures.draw(stored_results.REAL, real.read(stored_results.REAL), where)
    ablation_tables.draw(stored_results.ABLATIONS, where)
    real_systems.draw(stored_results.SYSTEMS, where)
    schematics.draw(settings, where)
    style.use()
    total = table[(table["machine"] == "all") & (table["domain"] == "all")]
    drawn = {
        "table1": evaluation.intervals(total, printed(machines), "the paper"),
        "false_alarms": evaluation.false_alarms(read_table(run.false_alarms)),
        "ten_clips_roc": interval_by_hand.draw_roc(
            ten_clips(run, *first_section(run, machines)), settings.evaluation.p
        ),
        "growth": scaling.growth(stored_results.read(stored_results.RESULTS / "growth.csv")),
    }
    for name, figure in drawn.items():
        style.save_svg(figure, where / f"{name}.svg")


def printed(machines: list[str]) -> pd.Series:
    """The paper's figure of each row, from its printed cells of the machine types of this run."""
    shared = tuple(machine for machine in paper.MACHINES if machine in machines)
    return pd.Series({row: paper.value(row, machines=shared) for row in paper.ROWS} if shared else {}, dtype=float)
