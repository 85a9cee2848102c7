"""Define the score table, the interface between all systems and their evaluation.

It has one row per clip and system. A system may write several variants of its score (post-processing choices); each
counts as a separate system, named ``<branch>/<candidate>/<variant>``. Training clips are included because
normalisation by training scores and decision thresholds need them. Higher scores are more anomalous.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from asdlib.errors import ScoreError
from asdlib.tables import write_table

CLIP = ["machine", "section", "domain", "split", "clip", "label"]
"""columns of a clip"""
COLUMNS = ["system", *CLIP, "score"]
UNITS = ["system", "machine", "section", "domain", "split"]
"""columns of clips that are in one table"""
DOMAINS = ("source", "target")
SPLITS = ("train", "test")
LABELS = ("normal", "anomaly", "unknown")
_MACHINE = re.compile(r"[^/\\\0]+")  # must be usable in file names
_SECTION = re.compile(r"\d{2,}")
_TEXT = {column: str for column in COLUMNS if column != "score"}  # keeps section "00" a string


def table(clips: pd.DataFrame, system: str, score: np.ndarray) -> pd.DataFrame:
    """Build the score table of one system from catalogue rows and one score per row.

    Args:
        clips: Rows of the catalogue (columns ``machine, section, domain, split, label, clip``).
        system: Name of the system, for example ``autoencoder/base/median``.
        score: Anomaly scores, shape ``(len(clips),)``; higher is more anomalous.
    """
    frame = clips[CLIP].copy()
    frame.insert(0, "system", system)
    frame["score"] = np.asarray(score, dtype=np.float64)
    return check(frame.reset_index(drop=True)[COLUMNS], system)


def check(frame: pd.DataFrame, origin: str | Path) -> pd.DataFrame:
    """Return ``frame`` if it is a valid score table, or raise a :class:`ScoreError` that names ``origin``."""
    missing = [column for column in COLUMNS if column not in frame.columns]
    if missing:
        raise ScoreError(f"{origin}: the column(s) {', '.join(missing)} are missing; expected {', '.join(COLUMNS)}")
    for column, allowed in (("domain", DOMAINS), ("split", SPLITS), ("label", LABELS)):
        invalid = sorted(set(frame[column].astype(str)) - set(allowed))
        if invalid:
            raise ScoreError(f"{origin}: {column} {invalid[0]!r} found; expected one of {', '.join(allowed)}")
    invalid = sorted(name for name in set(frame["machine"].astype(str)) if not _MACHINE.fullmatch(name))
    if invalid:
        raise ScoreError(f"{origin}: machine {invalid[0]!r} found; expected a name that can be part of a file name")
    invalid = sorted(section for section in set(frame["section"].astype(str)) if not _SECTION.fullmatch(section))
    if invalid:
        raise ScoreError(f"{origin}: section {invalid[0]!r} found; expected two digits such as 00")
    score = pd.to_numeric(frame["score"], errors="coerce").to_numpy(dtype=np.float64)
    bad = ~np.isfinite(score) | (frame["score"].dtype == bool)  # True and False would count as 1 and 0
    if bad.any():
        row = frame.loc[bad].iloc[0]
        raise ScoreError(
            f"{origin}: the score of clip {row['clip']} (machine {row['machine']}, section {row['section']}) is "
            f"{row['score']}; expected a finite number. {bad.sum()} clip(s) in total; check the training of "
            f"{row['system']}"
        )
    repeated = frame.duplicated([*UNITS, "clip"])
    if repeated.any():
        row = frame.loc[repeated].iloc[0]
        raise ScoreError(
            f"{origin}: clip {row['clip']} of system {row['system']} has more than one score; expected one"
        )
    return frame


def finite(clips: pd.DataFrame, values: np.ndarray, name: str) -> np.ndarray:
    """Return ``values`` if all are finite, or raise a :class:`ScoreError` that names the first clip with others.

    Args:
        clips: Rows of the catalogue.
        values: Number or vector of each clip, shape ``(clips, ...)``.
        name: Name of the values in the message.
    """
    bad = ~np.isfinite(values).reshape(len(clips), -1).all(1)
    if bad.any():
        row = clips.loc[bad].iloc[0]
        raise ScoreError(
            f"clip {row['clip']} (machine {row['machine']}, section {row['section']}): {name} contains NaN or "
            f"infinity; expected finite numbers. {bad.sum()} clip(s) in total; check the training of the model"
        )
    return values


def write(frame: pd.DataFrame, path: Path) -> None:
    """Write a score table to ``path`` (CSV) atomically."""
    check(frame, path)
    write_table(frame, path)


def read(paths: Path | Iterable[Path]) -> pd.DataFrame:
    """Read one or several score tables into one frame, in the given order."""
    paths = [paths] if isinstance(paths, str | Path) else list(paths)
    frames = []
    for path in paths:
        if not Path(path).is_file():
            raise ScoreError(f"{path}: no such score table; run make reproduce to create it")
        try:
            frame = pd.read_csv(path, keep_default_na=False, dtype=_TEXT, encoding="utf-8-sig")
        except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
            reason = " ".join(str(error).split())
            raise ScoreError(f"{path}: not a score table ({reason}); expected CSV with {', '.join(COLUMNS)}") from None
        if not isinstance(frame.index, pd.RangeIndex):  # pandas used surplus columns on the left as the index
            raise ScoreError(f"{path}: rows have more values than the header has columns; expected equal numbers")
        if frame.empty:
            raise ScoreError(f"{path}: no rows; expected one row per clip")
        twice = set(COLUMNS) & {name.rpartition(".")[0] for name in frame if name.rpartition(".")[2].isdecimal()}
        if twice:  # pandas numbers the second one
            raise ScoreError(f"{path}: the column {min(twice)} occurs twice; expected each once, so remove one")
        if "section" in frame:
            frame["section"] = frame["section"].str.zfill(2)  # spreadsheets turn 00 into 0
        frame = check(frame, path)
        frames.append(frame.assign(score=frame["score"].astype(np.float64)))
    if not frames:
        raise ScoreError("no score table was given; expected at least one")
    units = [frame[UNITS].drop_duplicates() for frame in frames]
    if pd.concat(units).duplicated().any():  # rarely; looking at all clips takes longer
        keys = pd.concat([frame[[*UNITS, "clip"]].assign(path=path) for frame, path in zip(frames, paths, strict=True)])
        repeated = keys.duplicated([*UNITS, "clip"])
        if repeated.any():
            row = keys[repeated].iloc[0]
            raise ScoreError(
                f"{row['path']}: clip {row['clip']} of system {row['system']} ({row['machine']}) also has a score in "
                "another of these tables; expected one; remove one of the tables"
            )
    return pd.concat(frames, ignore_index=True)
