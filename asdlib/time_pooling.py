"""Pool the scores of frames or windows to one score per clip: "to squeeze the time dimension" (Sec. 2.1)."""

import numpy as np


def pool(frames: np.ndarray, how: str, top_share: float = 0.1, percentile: float = 90.0) -> float:
    """Pool the scores of a clip's frames (or windows) to one value.

    Args:
        frames: ``(frames,)``, at least one.
        how: ``mean``, ``median``, ``max``; ``top_k``, the mean of the highest ``top_share`` of the frames (at least
            one); ``percentile``; ``upper_mean``, the mean of the values above the median (of all values if none is).
        top_share: Share of the frames for ``top_k``, 0 to 1.
        percentile: Percentile for ``percentile``, 0 to 100.

    >>> frames = np.array([1.0, 2.0, 3.0, 10.0])
    >>> [pool(frames, how) for how in ("mean", "median", "max", "upper_mean")]
    [4.0, 2.5, 10.0, 6.5]
    """
    if how == "mean":
        value = frames.mean()
    elif how == "median":
        value = np.median(frames)
    elif how == "max":
        value = frames.max()
    elif how == "top_k":
        value = np.sort(frames)[-max(round(top_share * len(frames)), 1) :].mean()
    elif how == "percentile":
        value = np.percentile(frames, percentile)
    elif how == "upper_mean":
        above = frames > np.median(frames)
        value = frames[above].mean() if above.any() else frames.mean()
    else:
        raise ValueError(f"pooling {how!r}; expected mean, median, max, top_k, percentile or upper_mean")
    return float(value)
