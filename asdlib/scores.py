"""The score table: the contract between every system and everything that evaluates.

One row a clip and system. A system may write several variants of its score (post-processing choices); each is a
system of its own, named ``<branch>/<candidate>/<variant>``. Training clips are included, since normalisation by
training scores and decision thresholds need them. Higher is more anomalous.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from asdlib import AsdError
from asdlib.artefacts import writing

COLUMNS = ["system", "machine", "section", "domain", "split", "clip", "label", "score"]
DOMAINS = ("source", "target")
SPLITS = ("train", "test")
LABELS = ("normal", "anomaly", "unknown")
_SECTION = re.compile(r"\d{2,}")
_TEXT = {column: str for column in COLUMNS if column != "score"}  # keeps section "00" a string


class ScoreError(AsdError):
    """A score table that breaks the contract; the message names the file, what was found and what was expected."""


def table(clips: pd.DataFrame, system: str, score: np.ndarray) -> pd.DataFrame:
    """Make the score table of one system from catalogue rows and one score a row.

    Args:
        clips: Rows of the catalogue (columns ``machine, section, domain, split, label, clip``).
        system: Name of the system, for example ``autoencoder/base/median``.
        score: Anomaly scores, shape ``(len(clips),)``; higher is more anomalous.
    """
    frame = clips[["machine", "section", "domain", "split", "clip", "label"]].copy()
    frame.insert(0, "system", system)
    frame["score"] = np.asarray(score, dtype=np.float64)
    return check(frame.reset_index(drop=True)[COLUMNS], system)


def check(frame: pd.DataFrame, origin: str | Path) -> pd.DataFrame:
    """Return ``frame`` if it keeps the contract, else raise :class:`ScoreError` that names ``origin``."""
    missing = [column for column in COLUMNS if column not in frame.columns]
    if missing:
        raise ScoreError(
            f"{origin}: the column(s) {', '.join(missing)} are missing; a score table has {', '.join(COLUMNS)}"
        )
    for column, allowed in (("domain", DOMAINS), ("split", SPLITS), ("label", LABELS)):
        odd = sorted(set(frame[column].astype(str)) - set(allowed))
        if odd:
            raise ScoreError(f"{origin}: {column} {odd[0]!r} found; expected one of {', '.join(allowed)}")
    odd = sorted(section for section in set(frame["section"].astype(str)) if not _SECTION.fullmatch(section))
    if odd:
        raise ScoreError(f"{origin}: section {odd[0]!r} found; expected two digits such as 00")
    score = pd.to_numeric(frame["score"], errors="coerce").to_numpy(dtype=np.float64)
    bad = ~np.isfinite(score)
    if bad.any():
        row = frame.loc[bad].iloc[0]
        raise ScoreError(
            f"{origin}: the score of clip {row['clip']} (machine {row['machine']}, section {row['section']}) is "
            f"{row['score']}; expected a finite number. {bad.sum()} clip(s) in all: look at the training of "
            f"{row['system']}"
        )
    keys = ["system", "machine", "section", "domain", "split", "clip"]
    twice = frame.duplicated(keys)
    if twice.any():
        row = frame.loc[twice].iloc[0]
        raise ScoreError(
            f"{origin}: clip {row['clip']} of system {row['system']} has more than one score; expected one"
        )
    return frame


def finite(clips: pd.DataFrame, values: np.ndarray, what: str) -> np.ndarray:
    """Return ``values`` if all are finite, else raise :class:`ScoreError` that names the first clip where they are not.

    Args:
        clips: Rows of the catalogue.
        values: A number or a vector a clip, ``(clips, ...)``.
        what: What they are, for the sentence.
    """
    bad = ~np.isfinite(values).reshape(len(clips), -1).all(1)
    if bad.any():
        row = clips.loc[bad].iloc[0]
        raise ScoreError(
            f"clip {row['clip']} (machine {row['machine']}, section {row['section']}): {what} holds NaN or infinity; "
            f"expected finite numbers. {bad.sum()} clip(s) in all: look at the training of the model"
        )
    return values


def write(frame: pd.DataFrame, path: Path) -> None:
    """Write a score table to ``path`` (CSV), whole or not at all."""
    check(frame, path)
    with writing(path) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n")


def read(paths: Path | Iterable[Path]) -> pd.DataFrame:
    """Read one score table or several into one frame, in the order given."""
    paths = [paths] if isinstance(paths, str | Path) else list(paths)
    frames = []
    for path in paths:
        if not Path(path).is_file():
            raise ScoreError(f"{path}: no such score table; run the stage that writes it (make reproduce goes on)")
        try:
            frame = pd.read_csv(path, keep_default_na=False, dtype=_TEXT, encoding="utf-8-sig")
        except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
            raise ScoreError(f"{path}: not a score table ({error}); expected CSV with {', '.join(COLUMNS)}") from None
        if "section" in frame:
            frame["section"] = frame["section"].str.zfill(2)  # spreadsheets make 0 of 00
        frame = check(frame, path)
        frames.append(frame.assign(score=frame["score"].astype(np.float64)))
    if not frames:
        raise ScoreError("no score table was given; expected at least one")
    return pd.concat(frames, ignore_index=True)
