"""Collect what a GPU benchmark measures: one row per figure, with its reference, its tolerance and a verdict."""

import math
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from asdlib import atomic

COLUMNS = ["part", "what", "value", "unit", "reference", "tolerance", "verdict", "device", "torch", "commit"]
MEASURED, MET, MISSED, FAILED, NOT_RUN = "measured", "met", "missed", "failed", "not run"


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
    ) -> None:
        """Add a figure; with a limit, the verdict says whether it is met."""
        tolerance, verdict = "", MEASURED
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
