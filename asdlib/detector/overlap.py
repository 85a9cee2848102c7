"""Find recordings that share samples: copies under other names, and overlapping cuts of one recording; and copies that
were amplified or encoded again.

The hash of a run of 32 samples depends on these samples alone, so a shared part has the same hashes in both recordings
wherever it is. About one run in a thousand is remembered by its hash: a shared part of a tenth of a second may be
missed, a second is not.

Amplified or encoded again, a recording has other samples, but the same noise. So the signs of how the differences
between neighbouring bands change from frame to frame are compared, a fingerprint after Haitsma and Kalker ("A highly
robust audio fingerprinting system", ISMIR 2002): those of two recordings of one machine agree by chance, in half of the
cases, and those of a copy in five of six or more.
"""

import numpy as np

_POWER = 5
RUN = 2**_POWER
"""samples of a run"""
_EVERY = np.uint64(1023)  # mask of the hashes that are remembered
_FACTOR = 0x9E3779B97F4A7C15
_LIVELY = 16  # minimum number of changes between samples of a run: near silence, runs agree by chance
_FRAMES = 64  # in the middle of a recording, compared with those of other recordings
_LAGS = range(-3, 4)  # frames by which encoders may move a recording
_BITS = 500  # minimum number of signs to compare; a band without sound has none
_ALIKE = 0.5  # correlation of signs above which recordings are copies: three of four agree
_ENOUGH = 2  # minimum number of remembered runs that recordings with a shared part have in common


def anchors(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Select the runs of samples to remember.

    Args:
        samples: Floating-point samples, shape ``(samples,)``.

    Returns:
        The hash and the first sample of each run, in order. Runs that recur in these samples, as in silence, are left
        out.
    """
    if len(samples) < RUN:
        return np.zeros(0, np.uint64), np.zeros(0, int)
    exact = np.ascontiguousarray(samples, np.float32)
    value = exact.view(np.uint32).astype(np.uint64)
    with np.errstate(over="ignore"):
        for power in range(_POWER):
            step = 2**power
            factor = np.uint64(pow(_FACTOR, step, 2**64))
            value = value[:-step] * factor + value[step:]
        mixed = (value ^ (value >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(32)
    changes = np.concatenate([[0, 0], np.cumsum(exact[1:] != exact[:-1])])
    lively = changes[RUN:] - changes[1 : len(changes) - RUN + 1] >= _LIVELY
    places = np.flatnonzero(((mixed & _EVERY) == 0) & lively)
    _found, first, count = np.unique(mixed[places], return_index=True, return_counts=True)
    kept = np.sort(first[count == 1])
    return mixed[places[kept]], places[kept]


class Seen:
    """Remember runs of recordings, to compare each recording with all earlier ones."""

    def __init__(self):
        self._owner: dict[int, object] = {}

    def add(self, name: object, hashes: np.ndarray, places: np.ndarray) -> tuple[object | None, np.ndarray]:
        """Compare a recording with all earlier ones, and remember it.

        Args:
            name: Name of the recording.
            hashes: Hashes of its runs, as returned by :func:`anchors`.
            places: First samples of the runs.

        Returns:
            The earlier recording with which it shares most, or None if it shares nothing; and the first samples of the
            runs that it shares with any.
        """
        owners = [self._owner.setdefault(value, name) for value in hashes.tolist()]
        shared = np.array([owner is not name for owner in owners], dtype=bool)
        counts: dict[object, int] = {}
        for owner in owners:
            if owner is not name:
                counts[owner] = counts.get(owner, 0) + 1
        most = max(counts, key=counts.__getitem__, default=None)
        if most is None or counts[most] < _ENOUGH:
            return None, places[:0]
        return most, places[shared]


class Fingerprints:
    """Remember what recordings sound like, to find copies that were amplified or encoded again."""

    def __init__(self):
        self._names: list[object] = []
        self._signs = np.zeros((0, 0), np.float32)  # a row for each name, and spare ones

    def add(self, name: object, spectrum: np.ndarray) -> object | None:
        """Compare a recording with all earlier ones, and remember it.

        Args:
            name: Name of the recording.
            spectrum: Its spectrum over time in dB, ``(frames, bands)``; always as many bands.

        Returns:
            The earlier recording of which it is a copy, or None.
        """
        signs = np.sign(np.diff(np.diff(spectrum, axis=1), axis=0)).astype(np.float32)
        width = _FRAMES + 2 * max(_LAGS)
        first = max((len(signs) - width) // 2, 0)
        signs = signs[first : first + width]
        signs = np.pad(signs, ((0, width - len(signs)), (0, 0)))
        moved = np.stack([signs[max(_LAGS) + lag :][:_FRAMES].ravel() for lag in _LAGS], axis=1)
        count = len(self._names)
        known = self._signs[:count]
        agreed = known @ moved if count else np.zeros((0, len(_LAGS)))
        found, most = None, _ALIKE
        for row, lag in np.argwhere(agreed > _ALIKE * _BITS):
            bits = np.abs(known[row]) @ np.abs(moved[:, lag])
            if bits >= _BITS and agreed[row, lag] / bits > most:
                found, most = self._names[row], agreed[row, lag] / bits
        if count == len(self._signs):
            spare = np.zeros((max(count, 64), len(moved)), np.float32)
            self._signs = np.concatenate([known, spare]) if count else spare
        self._signs[count] = moved[:, max(_LAGS)]
        self._names.append(name)
        return found
