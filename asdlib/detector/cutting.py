"""Cut recordings into windows, and decide which of the windows are held out from all training."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from asdlib.detector import recordings
from asdlib.detector.sources import Recordings
from asdlib.detector.survey import FEW_FILES, Survey

FEWEST = 8
"""minimum number of normal clips of a section"""
HELD_OUT = 0.25
"""share of a section's clips that are held out for the thresholds"""
FOLDS = 20
"""number of groups of clips in turn left out, where statistics alone are cross-fitted"""
ENOUGH_TARGET = 20
"""number of clips of changed conditions from which on a share of them is held out, too"""


def window_seconds(sources: Recordings, found: Mapping[Path, Survey]) -> float:
    """Return the length of a window: that of the machine's median recording, at most :data:`~.recordings.LONGEST`.

    The last parts of few recordings are held out, so in a section with few recordings a quarter of one must hold a
    window, and all together must give enough windows.
    """
    known = {
        name: [found[path].recording.seconds for path in files if path in found]
        for name, files in sources.sections.items()
    }
    every = [seconds for group in known.values() for seconds in group]
    longest = recordings.LONGEST
    for group in known.values():
        if 0 < len(group) < FEW_FILES:
            part = min(HELD_OUT * float(np.median(group)), sum(group) / (2 * FEWEST))
            longest = min(longest, max(part, recordings.SHORTEST))
    return min(float(np.median(every)), longest)


def cut(
    files: Sequence[Path], found: Mapping[Path, Survey], seconds: float, apart: bool = False
) -> list[tuple[Path, float]]:
    """Cut recordings into windows, without those that contain samples of an earlier recording.

    Args:
        files: Recordings.
        found: Findings of :func:`asdlib.detector.survey.survey`.
        seconds: Length of a window.
        apart: Whether to leave gaps between the windows rather than let them share samples.

    Returns:
        The recording and the start time, in seconds, of each window.
    """
    result = []
    for path in files:
        shared = found[path].shared
        for start in recordings.start_times(found[path].recording, seconds, apart):
            if not ((shared >= start) & (shared < start + seconds)).any():
                result.append((path, start))
    return result


def held_out(files: Sequence[Path], domain: str, false_alarm_rate: float, seed: int) -> np.ndarray:
    """Decide which clips are held out: a quarter, or as many as the false-alarm rate needs, but at most half.

    Whole recordings are drawn at random, since windows of one recording are alike; of few recordings, the last part of
    each is held out. Clips of changed conditions are held out only if there are at least :data:`ENOUGH_TARGET`.

    Args:
        files: The recording of each clip.
        domain: ``source`` or ``target``.
        false_alarm_rate: Rate of false alarms; its inverse minus one is the smallest number of clips that can bound it.
        seed: Seed of the random draw.

    Returns:
        Whether each clip is held out.
    """
    result = np.zeros(len(files), dtype=bool)
    if domain == "target" and len(files) < ENOUGH_TARGET:
        return result
    wanted = min(max(round(HELD_OUT * len(files)), int(np.ceil(1 / false_alarm_rate)) - 1), len(files) // 2)
    paths = list(dict.fromkeys(files))
    positions = {path: np.array([i for i, other in enumerate(files) if other == path]) for path in paths}
    if len(paths) < FEW_FILES:
        for index in positions.values():
            share = round(wanted * len(index) / len(files))
            result[index[len(index) - share :]] = True
        return result
    for choice in np.random.default_rng(seed).permutation(len(paths)):
        if result.sum() >= wanted:
            break
        result[positions[paths[choice]]] = True
    return result


def folds(files: Sequence[Path], seed: int) -> np.ndarray:
    """Divide clips into at most :data:`FOLDS` groups, such that no two groups share a recording.

    Of fewer than :data:`~.survey.FEW_FILES` recordings, a group is a part of each recording instead.

    Args:
        files: The recording of each clip, in order of time.
        seed: Seed of the random order of the recordings.

    Returns:
        The number of each clip's group.
    """
    paths = list(dict.fromkeys(files))
    if len(paths) < FEW_FILES:
        result = np.zeros(len(files), dtype=int)
        for path in paths:
            own = np.array([index for index, other in enumerate(files) if other == path])
            result[own] = np.arange(len(own)) * min(FOLDS, len(own)) // len(own)
        return result
    order = dict(zip(paths, np.random.default_rng(seed).permutation(len(paths)), strict=True))
    return np.array([order[path] % FOLDS for path in files])
