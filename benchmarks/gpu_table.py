"""Collect what a GPU benchmark measures: one row per figure, with its reference, its tolerance and a verdict."""

import math
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from asdlib import atomic, params

COLUMNS = ["part", "what", "value", "unit", "reference", "tolerance", "verdict", "device", "torch", "commit"]
COUNTED = Path(__file__).parents[1] / "book" / "results" / "paper_run.csv"
MEASURED, MET, MISSED, FAILED, NOT_RUN = "measured", "met", "missed", "failed", "not run"
EXTRAPOLATED = "extrapolated"


class Table:
    """Rows of the benchmark, printed as they come.

    Args:
        facts: What all rows have in common: device, torch and commit.
        out: CSV file that is written again with each row, in case the machine goes away; none by default.
    """

    def __init__(self, facts: dict[str, str], out: Path | None = None):
        self.facts, self.out, self.rows = facts, out, []
        self._part, self._ends = "", math.inf

    def begin(self, part: str, seconds: float) -> None:
        """Begin a part that may take ``seconds``; what would start later is noted as not run."""
        self._part, self._ends = part, time.monotonic() + seconds

    def add(
        self,
        what: str,
        value: float,
        unit: str,
        reference: str = "",
        *,
        at_most: float | None = None,
        at_least: float | None = None,
        verdict: str = MEASURED,
    ) -> None:
        """Add a figure; with a limit, the verdict says whether it is met."""
        tolerance = ""
        if at_most is not None:
            tolerance, verdict = f"at most {at_most:g}", MET if value <= at_most else MISSED
        if at_least is not None:
            tolerance, verdict = f"at least {at_least:g}", MET if value >= at_least else MISSED
        self._append(what, value, unit, reference, tolerance, verdict)

    def skip(self, what: str, why: str) -> None:
        """Note that something was not run, and why."""
        self._append(what, math.nan, "", "", "", f"{NOT_RUN}: {why}")

    def attempt(self, what: str, measure: Callable[[], None]) -> None:
        """Call ``measure``, which adds rows, if there is time left; an exception becomes a row."""
        if time.monotonic() > self._ends:
            self.skip(what, "the time of this part was used up")
            return
        try:
            measure()
        except Exception as error:
            traceback.print_exc()
            reason = " ".join(str(error).split())[:200]
            self._append(what, math.nan, "", "", "", f"{FAILED}: {type(error).__name__}: {reason}")

    def _append(self, what: str, value: float, unit: str, reference: str, tolerance: str, verdict: str) -> None:
        row = (self._part, what, float(value), unit, reference, tolerance, verdict)
        self.rows.append(dict(zip(COLUMNS, [*row, *self.facts.values()], strict=True)))
        print(f"{self._part}: {what}: {value:.4g} {unit} {tolerance} {verdict}".rstrip(), flush=True)
        if self.out:
            with atomic.writing(self.out) as temporary:
                self.frame.to_csv(temporary, index=False, float_format="%.5g", lineterminator="\n")

    @property
    def frame(self) -> pd.DataFrame:
        """All rows, with the columns :data:`COLUMNS`."""
        return pd.DataFrame(self.rows, columns=COLUMNS)

    @property
    def wrong(self) -> bool:
        """Whether anything failed, or a result is not what it should be. A speed that misses its goal is not wrong."""
        return any(
            row["verdict"].startswith(FAILED) or (row["part"] == "right" and row["verdict"] == MISSED)
            for row in self.rows
        )

    def slower(self, settings: params.Settings, part: pd.DataFrame, branch: str) -> pd.Series:
        """Return how many times as long as the base candidate's a step of each candidate takes.

        A candidate whose network was not timed is assumed to reach the base candidate's rate of operations.

        Args:
            settings: Settings of the benchmark, which name the backbones that were timed.
            part: Counted operations of a step of the branch's candidates.
            branch: ``autoencoder`` or ``classifier``.
        """
        ratio = part["operations_a_step"] / part["operations_a_step"]["base"]
        if branch == "classifier":
            rate = {name: self.rate(settings, name) for name in settings.classifier_candidates}
            for candidate in ratio.index:
                name = next((name for name in rate if candidate.startswith(name)), "base")
                if rate[name] and rate["base"]:
                    ratio[candidate] = rate["base"] / rate[name]
        return ratio

    def rate(self, settings: params.Settings, candidate: str) -> float | None:
        """Return the steps per second of a classifier, None if it was not timed."""
        backbone = settings.candidate("classifier", candidate).model.backbone
        found = self.frame.set_index("what")["value"]
        return found.get(f"classifier {backbone}: ours")

    def all_trainings(self, settings: params.Settings) -> None:
        """Add how long all trainings of the profile ``paper`` take at the measured steps per second."""
        counted, ours = operations_counted(), self.frame.set_index("what")["value"]
        base = {"autoencoder": ours["autoencoder base: ours"], "classifier": self.rate(settings, "base")}
        hours = 0.0
        for branch, rate in base.items():
            part = counted.loc[branch]
            hours += (part["models"] * part["steps"] * self.slower(settings, part, branch)).sum() / rate / 3600
        what = "all trainings of the profile paper"
        self.add(what, hours, "GPU hours", "from steps per second", verdict=EXTRAPOLATED)


def operations_counted() -> pd.DataFrame:
    """Return the operations of a step of each candidate of the profile ``paper``, by branch and candidate."""
    return pd.read_csv(COUNTED).set_index(["branch", "candidate"])
