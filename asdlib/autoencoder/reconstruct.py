"""Reconstruct masked copies of each clip with a trained autoencoder, and pool their errors (Sec. 2.1)."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_model
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from asdlib import params, paths, scores, training
from asdlib.autoencoder import specaugment, train
from asdlib.autoencoder.model import Autoencoder
from asdlib.data.audio import Waveforms
from asdlib.data.machine_clips import open_machine
from asdlib.errors import ModelError
from asdlib.features import LogMel, edge_frames, interior, log_mels


@dataclass(frozen=True)
class Reconstruction:
    """Input and output of the autoencoder for one clip, ``(frames, mels)`` each."""

    clip: pd.Series
    """row of the catalogue"""
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


@dataclass(frozen=True)
class Reconstructor:
    """A trained autoencoder with the clips of its machine type, created by :meth:`load`."""

    branch: params.Autoencoder
    compute: training.Compute
    model: Autoencoder
    log_mel: LogMel
    waveforms: Waveforms
    rows: np.ndarray
    """rows of ``waveforms.clips`` to use"""
    sections: list[str]
    role: np.ndarray
    """role of each of ``rows``, as returned by :func:`asdlib.data.roles.roles`"""
    seed: int
    sample_rate: int

    @classmethod
    def load(cls, settings, machine: str, candidate: str) -> "Reconstructor":
        """Load the model written by :func:`asdlib.autoencoder.train.fit`.

        Raises:
            ModelError: The model does not exist, or was trained with other settings or data.
        """
        clips = open_machine(settings, machine)
        waveforms, sections = clips.waveforms, clips.sections
        trained = settings.trained_as("autoencoder", candidate)
        folder = paths.Run.of(settings).system("autoencoder", machine, trained)
        again = "run notebook 03_train_autoencoder to train it, or make reproduce"
        if not (folder / "record.json").is_file():
            raise ModelError(f"{folder}: no trained autoencoder; {again}")
        stored = json.loads((folder / "record.json").read_text(encoding="utf-8"))["settings"]
        wanted = train.stored_settings(settings, machine, candidate, sections, waveforms.fingerprint)
        odd = [key for key in wanted if stored.get(key) != wanted[key]]
        if odd:
            raise ModelError(
                f"{folder}: the autoencoder was trained with {odd[0]}: {json.dumps(stored.get(odd[0]))}, but the "
                f"settings now have {json.dumps(wanted[odd[0]])}; restore the settings of the training, or {again}"
            )
        file = folder / "model.safetensors"
        return cls.restore(settings, machine, candidate, file, sections, waveforms, clips.rows, clips.role)

    @classmethod
    def restore(
        cls, settings, machine: str, candidate: str, file: Path, sections: list[str], waveforms, rows, role
    ) -> "Reconstructor":
        """Load an autoencoder from a safetensors file, for any clips (for the arguments, see the attributes above)."""
        branch, compute = settings.candidate("autoencoder", candidate), training.compute(settings)
        model = Autoencoder(branch.model, branch.features.n_mels, len(sections))
        load_model(model, str(file))
        return cls(
            branch=branch,
            compute=compute,
            model=model.to(compute.device).eval(),
            log_mel=LogMel(branch.features, settings.data.sample_rate).to(compute.device),
            waveforms=waveforms,
            rows=rows,
            sections=sections,
            role=role,
            seed=training.derive(settings.seed, "autoencoder", machine, branch.seed),
            sample_rate=settings.data.sample_rate,
        )

    @property
    def copies(self) -> int:
        """Number of masked copies per clip."""
        return self.branch.scorer.copies if self.branch.scorer.masking else 1

    def errors(self, rows: Sequence[int], kinds: Sequence[str]) -> Iterator[dict[str, np.ndarray]]:
        """Compute the reconstruction errors of clips in standardised log-mel, pooled over the masked copies.

        Args:
            rows: Rows of ``waveforms.clips``.
            kinds: Errors to compute: ``signed`` (reconstruction minus input), ``absolute`` or ``squared``, averaged
                over the copies, or with the pooling over copies after a dot, as in ``absolute.max``.

        Yields:
            For each clip, a ``(frames, dims)`` array per kind; dims are the mel bands, followed by the section if the
            model regresses it. Frames whose window reaches beyond the clip are left out
            (:func:`asdlib.features.interior`).
        """
        size = self.branch.scorer.batch_size
        decibels = log_mels(self.waveforms, rows, self.log_mel, batch=size)
        for first in range(0, len(rows), size):
            batch = [int(row) for row in rows[first : first + size]]
            features = [self.model.standardise(interior(next(decibels), self.log_mel)) for _ in batch]
            error = self._reconstruct(batch, features)[1]
            pooled = {kind: pool_copies(error, kind).cpu().numpy() for kind in kinds}
            for index, clip in enumerate(features):
                of_clip = {kind: values[index, : len(clip)] for kind, values in pooled.items()}
                for kind, values in of_clip.items():
                    row = self.waveforms.clips.iloc[[batch[index]]]
                    scores.finite(row, values[None], f"the {kind} reconstruction error")
                yield of_clip

    def example(self, row: int) -> Reconstruction:
        """Return one clip's input, masked input, reconstruction and error, all in dB."""
        spectrum = next(log_mels(self.waveforms, [row], self.log_mel))
        features = self.model.standardise(interior(spectrum, self.log_mel))
        output, error, gains = self._reconstruct([row], [features])
        pooled = pool_copies(error, "signed")[0]
        mels = features.shape[1]

        def decibel(values: Tensor) -> np.ndarray:
            return self.model.decibel(values[..., :mels]).cpu().numpy()

        return Reconstruction(
            clip=self.waveforms.clips.iloc[row],
            original=decibel(features),
            masked=decibel(features * gains[0, 0]),
            reconstruction=decibel(output[0].mean(0)),
            error=(pooled[:, :mels] * self.model.deviation).cpu().numpy(),
            seconds=self.seconds(len(features), len(spectrum)),
        )

    def seconds(self, frames: int, computed: int) -> np.ndarray:
        """Return the times of a clip's ``frames`` frames, of the ``computed`` ones including the edges."""
        first = edge_frames(self.log_mel) if frames < computed else 0
        return (first + np.arange(frames)) * self.log_mel.hop_length / self.sample_rate

    @torch.inference_mode()
    def _reconstruct(self, rows: list[int], features: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return output, error (output minus target) and gains of clips, ``(clips, copies, frames, dims)`` each."""
        gains = pad_sequence([self.gains(row, *clip.shape) for row, clip in zip(rows, features, strict=True)], True)
        lengths = torch.tensor([len(clip) for clip in features])
        features = pad_sequence(features, batch_first=True)  # (clips, frames, mels)
        size, frames, mels = features.shape
        section = [self.sections.index(name) for name in self.waveforms.clips["section"].iloc[rows]]
        section = torch.tensor(section, device=features.device)
        valid = None
        if int(lengths.min()) < frames:
            valid = (torch.arange(frames) < lengths[:, None]).to(features.device).repeat_interleave(self.copies, 0)
        gains = gains.transpose(1, 2).to(features.device)  # (clips, copies, frames, mels)
        copies = (features[:, None] * gains).reshape(size * self.copies, frames, mels)
        with self.compute.autocast():
            output = self.model(copies, section.repeat_interleave(self.copies), valid)
        output = output.float().view(size, self.copies, frames, -1)
        return output, output - self.model.target(features, section)[:, None], gains

    def gains(self, row: int, frames: int, mels: int) -> Tensor:
        """Draw the gains of a clip's copies, seeded by its name: ``(frames, copies, mels)``, ready for padding."""
        if not self.branch.scorer.masking:
            return torch.ones(frames, 1, mels)
        clip = "/".join(self.waveforms.clips.iloc[row][["section", "split", "clip"]])
        return specaugment.copies(self.branch.specaugment, clip, self.copies, frames, mels, self.seed).transpose(0, 1)


def pool_copies(errors: Tensor, kind: str) -> Tensor:
    """Pool the errors of masked copies: ``(clips, copies, frames, dims)`` to ``(clips, frames, dims)``.

    Args:
        errors: Signed errors.
        kind: The error to pool, ``signed``, ``absolute`` or ``squared``. Alone, it is averaged over the copies; with
            the suffix ``.median`` or ``.max``, the median (the lower of two middle values) or the value of the largest
            magnitude (with its sign) is taken.
    """
    error, _, how = kind.partition(".")
    errors = {"signed": errors, "absolute": errors.abs(), "squared": errors.square()}[error]
    if how == "median":
        # PyTorch's median would be the same, but has no deterministic implementation on GPUs.
        return errors.sort(1).values[:, (errors.shape[1] - 1) // 2]
    if how == "max":
        return errors.gather(1, errors.abs().argmax(1, keepdim=True)).squeeze(1)
    return errors.mean(1)
