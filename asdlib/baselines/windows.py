"""Cut windows of consecutive frames from the log-mel spectrograms of all clips on demand.

The windows overlap. Storing them all would take five times the memory of the spectrograms for windows of 5 frames, and
eight times or more for windows of 64 frames.
"""

import numpy as np
import torch
from torch import Tensor

from asdlib.data.audio import Waveforms
from asdlib.errors import ModelError
from asdlib.features import LogMel, log_mels
from asdlib.training import to_device


class Spectrograms:
    """Log-mel spectrograms of many clips, concatenated in one tensor on the device.

    Args:
        sources: Pairs of a machine's clips and the rows of them to use.
        log_mel: The front-end, on the device.
        shortest: Minimum number of frames per clip.

    Raises:
        ModelError: A clip is shorter; the message names it.
    """

    def __init__(self, sources: list[tuple[Waveforms, np.ndarray]], log_mel: LogMel, shortest: int):
        tables = [waveforms.clips.iloc[rows] for waveforms, rows in sources]
        for path, samples in ((row.path, row.samples) for table in tables for row in table.itertuples()):
            if log_mel.frames(samples) < shortest:
                raise ModelError(
                    f"{path}: {samples} samples give {log_mel.frames(samples)} frames of log-mel; expected at least "
                    f"{shortest}; remove the clip, or lower frames or hop_length of the baseline"
                )
        self.lengths = np.concatenate([[log_mel.frames(samples) for samples in table["samples"]] for table in tables])
        """number of frames of each clip"""
        self.frames = torch.empty(int(self.lengths.sum()), log_mel.n_mels, device=log_mel.window.device)
        """``(frames, mels)`` in dB"""
        parts = self.frames.split(self.lengths.tolist())
        spectra = (spectrum for waveforms, rows in sources for spectrum in log_mels(waveforms, rows, log_mel))
        for part, spectrum in zip(parts, spectra, strict=True):
            part.copy_(spectrum)


class Windows:
    """All windows of the chosen clips, in the order of the clips.

    Args:
        spectrograms: The clips.
        width: Number of frames per window.
        hop: Frames between windows.
        clips: Indices of the clips to cut windows from; all by default.
    """

    def __init__(self, spectrograms: Spectrograms, width: int, hop: int = 1, clips: np.ndarray | None = None):
        lengths = spectrograms.lengths
        clips = np.arange(len(lengths)) if clips is None else np.asarray(clips)
        self.counts = (lengths[clips] - width) // hop + 1
        """number of windows of each clip"""
        clip = np.repeat(clips, self.counts)
        first = (np.cumsum(lengths) - lengths)[clip]
        within = np.arange(len(clip)) - np.repeat(np.cumsum(self.counts) - self.counts, self.counts)
        self._frames = spectrograms.frames
        self.clip = torch.from_numpy(clip).to(self._frames.device)
        """index of each window's clip"""
        self._start = torch.from_numpy(first + hop * within).to(self._frames.device)
        self._offset = torch.arange(width, device=self._frames.device)

    def __len__(self) -> int:
        return len(self.clip)

    def cut(self, index: Tensor) -> Tensor:
        """Return the windows ``index`` (int64), ``(windows, width, mels)``."""
        return self._frames[self._start[to_device(index, self._frames.device), None] + self._offset]

    def clip_means(self, values: Tensor) -> np.ndarray:
        """Average one value per window over each clip's windows, in float64."""
        first = np.cumsum(self.counts) - self.counts
        return np.add.reduceat(values.double().cpu().numpy(), first) / self.counts
