"""Map waveforms to reconstruction errors with a trained autoencoder, pooled over masked copies (Sec. 2.1).

Nothing here knows a data set: scorer, notebooks and detector pass waveforms, section indices and mask keys.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_model
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from asdlib import params
from asdlib.autoencoder.frame_to_clip_scores import check_finite
from asdlib.autoencoder.masked_copies import draw_gains, pool_copies
from asdlib.autoencoder.model import Autoencoder
from asdlib.compute import Compute, resolve_compute
from asdlib.features import LogMel, edge_frames, interior, spectrograms
from asdlib.seeds import derive


@dataclass(frozen=True)
class Reconstruction:
    """Input and output of the autoencoder for one clip, ``(frames, mels)`` each."""

    original: np.ndarray
    """log-mel, dB"""
    masked: np.ndarray
    """the first masked copy as the model sees it, dB; masked values are the band's mean"""
    reconstruction: np.ndarray
    """mean over the copies, dB"""
    error: np.ndarray
    """reconstruction minus original, pooled over the copies, dB"""
    seconds: np.ndarray
    """times of the frames, ``(frames,)``"""
    sample_rate: int
    """of the clip in Hz"""


@dataclass(frozen=True)
class TrainedAutoencoder:
    """A trained autoencoder with its log-mel front-end, created by :meth:`load`.

    A mask key is a string that seeds the masks of a clip's copies, so that the clip gets the same masks wherever it is
    scored.
    """

    settings: params.Autoencoder
    compute: Compute
    model: Autoencoder
    log_mel: LogMel
    seed: int
    """seed of the masks, together with the mask key"""
    sample_rate: int

    @classmethod
    def load(cls, file: Path, settings, machine: str, candidate: str, sections: int) -> "TrainedAutoencoder":
        """Load an autoencoder from a safetensors file.

        Args:
            file: File written by :func:`asdlib.autoencoder.train.fit`.
            settings: :class:`asdlib.params.settings.Settings` with which it was trained.
            machine: Machine type that it was trained on, which is part of the seed of the masks.
            candidate: Name of the candidate.
            sections: Number of sections that it was trained on.
        """
        branch, compute = settings.candidate("autoencoder", candidate), resolve_compute(settings)
        model = Autoencoder(branch.model, branch.features.n_mels, sections)
        load_model(model, str(file))
        return cls(
            settings=branch,
            compute=compute,
            model=model.to(compute.device).eval(),
            log_mel=LogMel(branch.features, settings.data.sample_rate).to(compute.device),
            seed=derive(settings.seed, "autoencoder", machine, branch.seed),
            sample_rate=settings.data.sample_rate,
        )

    @property
    def copies(self) -> int:
        """Number of masked copies per clip."""
        return self.settings.scorer.copies if self.settings.scorer.masking else 1

    def errors(
        self, clips: Iterable[np.ndarray], sections: Sequence[int], keys: Sequence[str], kinds: Sequence[str]
    ) -> Iterator[dict[str, np.ndarray]]:
        """Compute the reconstruction errors of clips in standardised log-mel, pooled over the masked copies.

        Args:
            clips: Waveforms ``(samples,)`` in units of 1/32768, int16 or float32.
            sections: Index of each clip's section.
            keys: Mask key of each clip.
            kinds: Errors to compute: ``signed`` (reconstruction minus input), ``absolute`` or ``squared``, averaged
                over the copies, or with the pooling over copies after a dot, as in ``absolute.max``.

        Yields:
            For each clip, a ``(frames, dims)`` array per kind; dims are the mel bands, followed by the section if the
            model regresses it. Frames whose window reaches beyond the clip are left out
            (:func:`asdlib.features.interior`).

        Raises:
            ScoreError: An error is not finite.
        """
        size = self.settings.scorer.batch_size
        inputs = zip(spectrograms(clips, self.log_mel, size), sections, keys, strict=True)
        while batch := list(itertools.islice(inputs, size)):
            spectra, some, names = zip(*batch, strict=True)
            features = [self.model.standardise(interior(spectrum, self.log_mel)) for spectrum in spectra]
            error = self._reconstruct(features, some, names)[1]
            pooled = {kind: pool_copies(error, kind).cpu().numpy() for kind in kinds}
            for index, (clip, key) in enumerate(zip(features, names, strict=True)):
                yield check_finite({kind: values[index, : len(clip)] for kind, values in pooled.items()}, key)

    def reconstruct(self, clip: np.ndarray, section: int, key: str) -> Reconstruction:
        """Return one clip's input, masked input, reconstruction and error; arguments as in :meth:`errors`."""
        (spectrum,) = spectrograms([clip], self.log_mel)
        features = self.model.standardise(interior(spectrum, self.log_mel))
        output, error, gains = self._reconstruct([features], [section], [key])
        pooled = pool_copies(error, "signed")[0]
        mels = features.shape[1]

        def decibel(values: Tensor) -> np.ndarray:
            return self.model.decibel(values[..., :mels]).cpu().numpy()

        first = edge_frames(self.log_mel) if len(features) < len(spectrum) else 0
        return Reconstruction(
            original=decibel(features),
            masked=decibel(features * gains[0, 0]),
            reconstruction=decibel(output[0].mean(0)),
            error=(pooled[:, :mels] * self.model.deviation).cpu().numpy(),
            seconds=(first + np.arange(len(features))) * self.log_mel.hop_length / self.sample_rate,
            sample_rate=self.sample_rate,
        )

    def gains(self, key: str, frames: int, mels: int) -> Tensor:
        """Draw the gains of a clip's copies, ``(copies, frames, mels)``, seeded by its mask key."""
        if not self.settings.scorer.masking:
            return torch.ones(1, frames, mels)
        return draw_gains(self.settings.specaugment, key, self.copies, frames, mels, self.seed)

    @torch.inference_mode()
    def _reconstruct(
        self, features: list[Tensor], sections: Sequence[int], keys: Sequence[str]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return output, error (output minus target) and gains of clips, ``(clips, copies, frames, dims)`` each."""
        gains = [self.gains(key, *clip.shape).transpose(0, 1) for key, clip in zip(keys, features, strict=True)]
        gains = pad_sequence(gains, batch_first=True)  # (clips, frames, copies, mels)
        lengths = torch.tensor([len(clip) for clip in features])
        features = pad_sequence(features, batch_first=True)  # (clips, frames, mels)
        size, frames, mels = features.shape
        section = torch.tensor(sections, device=features.device)
        valid = None
        if int(lengths.min()) < frames:
            valid = (torch.arange(frames) < lengths[:, None]).to(features.device).repeat_interleave(self.copies, 0)
        gains = gains.transpose(1, 2).to(features.device)  # (clips, copies, frames, mels)
        copies = (features[:, None] * gains).reshape(size * self.copies, frames, mels)
        with self.compute.autocast():
            output = self.model(copies, section.repeat_interleave(self.copies), valid)
        output = output.float().view(size, self.copies, frames, -1)
        return output, output - self.model.target(features, section)[:, None], gains
