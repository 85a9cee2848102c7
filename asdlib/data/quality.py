"""Warn about clips that are usable but may make the results misleading, in one sentence per kind, with a count."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import xxhash

from asdlib.messages import summarise
from asdlib.units import FULL_SCALE

SECOND_LIMIT = 1.0
"""seconds; shorter clips contain little information, and the windows of the profiles are longer"""

CLIPPED = 0.001
"""share of samples at full scale above which a clip counts as clipped"""

QUIET = 33
"""steps of 16 bits (-60 dBFS): a clip whose peak is below this counts as quiet"""


def is_clipped(wave: np.ndarray) -> bool:
    """Tell whether more than :data:`CLIPPED` of a waveform's samples, with full scale 1, reach full scale."""
    return bool(np.mean(np.abs(wave) >= 1 - 1 / FULL_SCALE) > CLIPPED)


def summarise_notes(notes: Iterable[tuple[str, str]]) -> list[str]:
    """Return one sentence for each kind of problem with headers, given as name and note; numbers make no kind."""
    kinds: dict[str, list[str]] = {}
    for name, note in notes:
        kinds.setdefault(re.sub(r"\d+", "", note), []).append(f"{name}: {note}")
    return [first + (f" (and {len(rest)} more clips of this kind)" if rest else "") for first, *rest in kinds.values()]


@dataclass(frozen=True)
class Summary:
    """Properties of a clip's samples that are kept after the samples are released."""

    length: int
    """in samples"""
    silent: bool
    clipped: bool
    quiet: bool
    digest: bytes
    """XXH3, 128 bits: equal for equal samples; not secure against deliberate collisions"""

    @classmethod
    def of(cls, samples: np.ndarray) -> "Summary":
        """Summarise a clip in units of 1/32768: int16 or float32, one sample at least."""
        low, high = samples.min(), samples.max()
        full = 0
        if low <= -FULL_SCALE or high >= FULL_SCALE - 1:  # most clips stay below, and are looked through once
            full = np.count_nonzero((samples >= FULL_SCALE - 1) | (samples <= -FULL_SCALE))
        silent, quiet = bool(low == high), bool(-QUIET < low and high < QUIET)
        return cls(len(samples), silent, full > CLIPPED * len(samples), quiet, xxhash.xxh3_128_digest(samples))


class QualityCheck:
    """Collect warnings about the clips of a data folder.

    Args:
        sample_rate: Sampling rate in Hz.
    """

    def __init__(self, sample_rate: int):
        self.sample_rate = sample_rate
        self._short, self._silent, self._clipped, self._quiet = [], [], [], []
        self._first: dict[bytes, tuple[str, str, str]] = {}  # digest of the samples: path, split and label
        self._leaks, self._contradictions, self._twice = [], [], []
        self._headers: list[tuple[str, str]] = []

    def add(self, path: str, split: str, label: str, clip: Summary, note: str = "") -> None:
        """Add a clip.

        Args:
            path: Path of the clip, as it should appear in messages.
            split: ``train`` or ``test``.
            label: ``normal``, ``anomaly`` or ``unknown``.
            clip: Summary of its samples.
            note: Problem with its header (:attr:`asdlib.data.recording.Recording.note`).
        """
        if note:
            self._headers.append((path, note))
        if clip.length < SECOND_LIMIT * self.sample_rate:
            self._short.append(path)
        if clip.silent:
            self._silent.append(path)
        elif clip.clipped:
            self._clipped.append(path)
        elif clip.quiet:
            self._quiet.append(path)
        other, other_split, other_label = self._first.setdefault(clip.digest, (path, split, label))
        if other == path:
            return
        pair = f"{path} as {other}"
        if split != other_split:
            self._leaks.append(pair)
        elif {label, other_label} == {"normal", "anomaly"}:
            self._contradictions.append(pair)
        else:
            self._twice.append(pair)

    def sentences(self) -> list[str]:
        """Return one sentence for each kind of problem found."""
        kinds = [
            (
                self._leaks,
                "clips that contain the same samples in training and test, so scores would flatter; remove one of each",
            ),
            (
                self._contradictions,
                "clips that contain the same samples, once called normal and once anomalous; correct the labels",
            ),
            (
                self._twice,
                "clips that contain the same samples as another of the same split; each counts as a separate clip",
            ),
            (self._silent, "silent clips (all samples equal); check the microphone, or remove them"),
            (
                self._clipped,
                f"clipped clips (over {CLIPPED:.1%} of the samples at full scale); record at a lower level",
            ),
            (
                self._quiet,
                "quiet clips (peak below -60 dBFS), of which 16 bits and the log-mel, which ends at -100 dB, keep "
                "little; record at a higher level, or scale all clips of the machine by one common factor",
            ),
            (self._short, f"clips shorter than {SECOND_LIMIT:g} s; record longer ones, as a window needs more"),
        ]
        return [f"{summarise(paths)}: {words}" for paths, words in kinds if paths] + summarise_notes(self._headers)
