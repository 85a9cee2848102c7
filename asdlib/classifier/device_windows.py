"""Cut windows of clips on the device if all samples fit there, and otherwise from the memory-mapped files."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from asdlib.classifier.windows import read_window
from asdlib.data.audio import Waveforms
from asdlib.training import to_device

SHARE = 0.5
"""share of a device's free memory that samples may occupy"""


class Windows:
    """Source of windows of one length.

    The samples of all clips are kept on a GPU if they fit, so that a step only sends positions to it. On a CPU they
    stay in the memory-mapped files, so that memory use stays constant.

    Args:
        clips: All clips from which windows may be cut.
        length: Length of a window in samples.
        device: Device of the windows.
        room: Bytes that samples may occupy on the device; by default :data:`SHARE` of the free memory of a GPU, and
            none on a CPU.
    """

    def __init__(self, clips: Iterable[Waveforms], length: int, device: torch.device, room: int | None = None):
        self.length, self.device = length, device
        parts = list({id(waveforms): waveforms for waveforms in clips}.values())
        sizes = [len(waveforms.samples) for waveforms in parts]
        room = _room(device) if room is None else room
        self.samples: Tensor | None = None
        exact = all(waveforms.samples.dtype == np.int16 for waveforms in parts)
        kind = torch.int16 if exact else torch.float32
        if sum(sizes) * kind.itemsize <= room:
            self.samples = torch.empty(sum(sizes), dtype=kind, device=device)
            self._first = dict(zip(map(id, parts), np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))
            for place, waveforms in zip(self.samples.split(sizes), parts, strict=True):
                for row, clip in enumerate(waveforms.clips.itertuples()):  # one in memory at a time
                    place[clip.start : clip.start + clip.samples].copy_(torch.from_numpy(waveforms.read(row)))
                waveforms.release()

    def cut(self, places: Sequence[tuple[Waveforms, int, int]]) -> Tensor:
        """Cut the windows at ``(clips, row, start)``, int16 or float32 on the device, ``(places, length)``.

        Beyond the end of a clip, a window continues as in :func:`asdlib.classifier.windows.read_window`.
        """
        if self.samples is None:
            cut = torch.from_numpy(np.stack([read_window(*place, self.length) for place in places]))
            return to_device(cut, self.device)
        table = []
        for waveforms, row, start in places:
            first, samples = (int(waveforms.clips[name].iat[row]) for name in ("start", "samples"))
            table.append((self._first[id(waveforms)] + first + start, samples - start))
        first, rest = to_device(torch.tensor(table), self.device).T[:, :, None]
        index = torch.arange(self.length, device=self.device) % (2 * rest)
        return self.samples[first + torch.minimum(index, 2 * rest - 1 - index)]


def _room(device: torch.device) -> int:
    """Return the available bytes, or -1 to keep no samples on the device, not even an empty tensor."""
    return int(SHARE * torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else -1
