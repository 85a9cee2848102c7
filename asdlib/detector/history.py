"""Show verdicts over time, and say whether sound or level have drifted since the detector learnt.

A slow drift, as of a microphone that ages or was moved, changes the scores of most recordings a little long before it
raises alarms. Two rules look at the latest days (:data:`DAYS`), once each time that a history is written:

* *Sound*: how many recordings score above the middle one of the n held-out clips, or have a changed level or response.
  If nothing has changed, a new recording and the held-out clips are exchangeable, so the probability of lying above is
  a draw of Beta(n + 1 - k, k) with k the rank of the middle clip, common to all recordings, and the count is
  beta-binomial. A count that would be reached with a probability of at most :data:`RATE` is a drift. Few held-out clips
  leave it open where the middle of normal sound lies, which the rule takes into account: however many recordings there
  are, it does not mistake an unlucky choice of held-out clips for a drift.
* *Level*: whether the median lies outside the range of 99 of 100 windows that the detector learnt from.
"""

import codecs
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import betabinom

from asdlib.detector import page
from asdlib.detector.output import is_changed
from asdlib.errors import DetectorError
from asdlib.plots import detector as plots

_CLOCKS_SET = pd.Timestamp("2001-01-02", tz="UTC").timestamp()  # unset, they start in 1970, 1980, 2000 or 2001
_AHEAD = 86_400.0  # seconds by which the clock of a recorder may be ahead of this machine's
DAYS = 7
"""number of the latest days with recordings in which a drift is looked for"""
RATE = 0.01
"""probability with which a drift of the sound is claimed although nothing changed, for independent recordings"""
ADVICE = (
    "What to do: listen to some recordings (report), and check that the machine runs as it did when the detector "
    "learnt, and that the microphone's place, cover, cable and gain are the same. A moved microphone often changes the "
    "level or the response, too; a fault raises the scores, often at the same frequencies each time. If all is well, "
    "collect new normal recordings and set the thresholds on them (calibrate), but never while a fault is possible."
)
HEAD = {
    "day": "day (UTC)",
    "recordings": "recordings",
    "anomalies": "anomalies",
    "level_changed": "level changed",
    "response_changed": "response changed",
    "errors": "errors",
    "percentile": "median percentile",
    "excess": "median score minus threshold",
    "level": "median level (dB)",
}


def history(journals: Iterable[Path], out: Path) -> tuple[pd.DataFrame, list[str]]:
    """Write a page or a figure about verdicts over time.

    Args:
        journals: Journals of ``score --watch``, or outputs of ``score --json``.
        out: File to write, ``.html`` or ``.png``.

    Returns:
        One row per day in UTC: ``day, recordings, anomalies``; ``level_changed`` and ``response_changed``, recordings
        that were not searched for faults; ``errors``, recordings that could not be judged; and the medians of
        ``percentile`` and ``excess`` (score minus threshold), both without those changed, and of ``level``, in dB
        relative to the recordings that the detector learnt from. Then sentences on drift (:func:`describe_drift`).

    Raises:
        DetectorError: There are no verdicts, or a file contains something else.
    """
    as_figure = page.is_figure(out)
    verdicts = read(journals)
    groups = verdicts.groupby("day")
    counts = {name: groups[name].sum() for name in ("anomaly", "level_changed", "response_changed", "error")}
    medians = {name: groups[name].median() for name in ("percentile", "excess", "level")}
    medians["percentile"] = np.floor(100 * medians["percentile"]) / 100  # no score is known to lie above all
    days = pd.DataFrame({"recordings": groups.size(), **counts, **medians}).reset_index()
    days = days.rename(columns={"anomaly": "anomalies", "error": "errors"})
    sentences = describe_drift(verdicts)
    picture = page.png(plots.drift(verdicts, days))
    if as_figure:
        page.write_bytes(picture, out)
        return days, sentences
    forms = {"percentile": "{:.2f}".format, "excess": "{:z.2f}".format, "level": "{:z.1f}".format}
    cells = days.assign(**{name: days[name].map(form, na_action="ignore") for name, form in forms.items()}).fillna("")
    parts = [
        *(f"<p>{sentence}</p>" for sentence in sentences),
        page.image(picture, "Scores, percentiles and levels over time"),
        page.table([HEAD[name] for name in days], cells.to_numpy().tolist()),
    ]
    page.write_page("Verdicts over the days", "\n".join(parts), out)
    return days, sentences


def read(journals: Iterable[Path]) -> pd.DataFrame:
    """Read verdicts and errors, one row each, in the order of time; arguments and errors as of :func:`history`."""
    once = dict.fromkeys(map(Path.resolve, journals))
    verdicts = pd.concat([_read(path) for path in once], ignore_index=True).sort_values("when", kind="stable")
    if verdicts.empty:
        raise DetectorError("no verdicts in these files; expected those of score --watch or score --json")
    return verdicts.assign(day=verdicts["when"].dt.strftime("%Y-%m-%d"))


def describe_drift(verdicts: pd.DataFrame) -> list[str]:
    """Say in sentences whether sound or level have drifted in the latest days, and what to do if one has.

    Args:
        verdicts: One row per verdict, in the order of time, as :func:`read` returns them. Those of other detectors
            than the last one, or of the same one before it was calibrated, are left out.
    """
    own = verdicts[~verdicts["error"] & (verdicts["detector"] == verdicts["detector"].iloc[-1])]
    own = own[own["day"].isin(sorted(set(own["day"]))[-DAYS:])]
    if own.empty:
        return ["No recording has been judged by the present detector, so nothing can be said about drift."]
    days, count = own["day"].nunique(), len(own)
    above = int((own["changed"] | (own["percentile"] >= 50)).sum())
    limit = highest_count(count, int(own["normals"].min()))
    middle = own["percentile"].median()
    sound = (
        f"Sound: {above} of {count} recordings of the latest {days} day{'s' * (days != 1)} are odder than the middle "
        f"normal clip{'' if np.isnan(middle) else f' (median percentile {middle:.0f}; 50 is expected)'}"
    )
    if limit >= count:
        sentences, drifted = [f"{sound}; these are too few recordings to tell a drift from chance."], False
    else:
        drifted = above > limit
        sentences = [
            f"{sound}. Up to {limit} would be within chance if nothing had changed, so "
            f"{'the sound has drifted' if drifted else 'no drift is shown'}. (In {100 * RATE:g} % of cases chance "
            "exceeds this, and more often if the recordings resemble each other, as those of one hour or one state do.)"
        ]
    level, spread = own["level"].median(), own["level_spread"].max()
    words = f"Level: its median is {page.minus(f'{level:+z.1f}')} dB relative to what the detector learnt"
    outside = abs(level) > spread
    drifted |= outside
    sentences.append(
        f"{words}; 99 of 100 learnt windows lie within {spread:.1f} dB, so "
        f"{'the level has drifted' if outside else 'no drift is shown'}."
    )
    levels, responses = int(own["level_changed"].sum()), int(own["response_changed"].sum())
    sentences.append(f"Changes: the level changed in {levels} of {count} verdicts, the response in {responses}.")
    return [*sentences, ADVICE] if drifted else sentences


def highest_count(recordings: int, normals: int) -> int:
    """Return how many of the recordings may lie above the middle held-out clip before a drift is claimed.

    Args:
        recordings: Number of recordings.
        normals: Number of held-out clips.

    A larger number has a probability of at most :data:`RATE` if nothing changed.

    >>> highest_count(50, 25), highest_count(10_000, 25), highest_count(3, 25)
    (38, 7189, 3)
    """
    middle = (normals + 2) // 2  # smallest rank whose percentile is at least 50
    chance = betabinom(recordings, normals + 1 - middle, middle)
    counts = np.arange(recordings + 1)
    return int(counts[chance.sf(counts) <= RATE][0])


def _read(path: Path) -> pd.DataFrame:
    try:
        lines = path.read_bytes().removeprefix(codecs.BOM_UTF8).splitlines(keepends=True)
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise DetectorError(f"{path}: could not be read ({reason}); expected a journal of score --watch") from None
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            rows += [_row(json.loads(line))] if line.strip() else []
        except (ValueError, KeyError, TypeError):
            if number == len(lines) > 1 and not line.endswith(b"\n"):
                continue  # score is still writing it, or was killed
            raise DetectorError(
                f"{path}: line {number} contains something other than a verdict; expected a journal of score --watch, "
                "or the output of score --json, of this version"
            ) from None
    return pd.DataFrame(rows, columns=list(_NOTHING))


def _when(entry: dict) -> pd.Timestamp:
    """Return when a recording was made or, if its own time comes from a clock that was not set, when it was judged."""
    if "time" in entry:
        judged = pd.Timestamp(entry["time"]).tz_convert("UTC")
        made = entry.get("modified", 0) / 1e9
        if not _CLOCKS_SET <= made <= judged.timestamp() + _AHEAD:
            return judged
    return pd.Timestamp(entry["modified"], unit="ns", tz="UTC")


_NOTHING = {"when": None, "detector": ""}
_NOTHING |= dict.fromkeys(("excess", "percentile", "normals", "level", "level_spread"), np.nan)
_NOTHING |= dict.fromkeys(("anomaly", "changed", "level_changed", "response_changed", "error"), False)


def _row(entry: dict) -> dict:
    """Return one row of a history; scores of changed recordings are left out, as no fault is searched for in them."""
    row = _NOTHING | {"when": _when(entry), "detector": entry["detector"]}
    if "error" in entry:
        return row | {"error": True}
    row |= {
        "normals": entry["normals"],
        "level": entry["level"],
        "level_spread": entry["level_spread"],
        "anomaly": bool(entry["anomaly"]),
        "changed": is_changed(entry),
        "level_changed": entry["verdict"].startswith("level changed"),
        "response_changed": entry["verdict"].startswith("response changed"),
    }
    if row["changed"]:
        return row
    excess = entry["score"] - entry["threshold"]
    return row | {"excess": excess, "percentile": float(entry["percentile"])}
