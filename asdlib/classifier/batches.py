"""Draw mini-batches (Sec. 2.2): normal clips and outliers 1:1, augmented and mixed, with target clips in fine-tuning.

A batch is a pure function of its generator, which the training loop seeds with (seed, step).
"""

import dataclasses
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from asdlib import paths
from asdlib.classifier import augment, pseudo_target
from asdlib.classifier.device_windows import Windows
from asdlib.classifier.positives_and_negatives import (
    Clips,
    Negatives,
    choose_machines,
    group_clips,
    held_out_clips,
    split,
)
from asdlib.classifier.windows import samples_of
from asdlib.data import plan
from asdlib.data.audio import Waveforms
from asdlib.errors import ModelError
from asdlib.shift import shifted_clips
from asdlib.training import to_device
from asdlib.units import FULL_SCALE


class Batch(NamedTuple):
    """Waveform windows for one training step."""

    waveform: Tensor
    """float32 in about -1 to 1, shape (batch, samples)"""
    label: Tensor
    """1 normal, 0 outlier, in between with Mixup; shape (batch,)"""
    kind: np.ndarray
    """kind of each row: ``target`` (pure), ``pseudo-target`` (a target clip mixed with a source clip), ``shifted``,
    ``normal`` or ``outlier``; shape (batch,)"""
    share: np.ndarray
    """weight of that clip in the mixture, 1 without Mixup; shape (batch,)"""


class Batches:
    """Source of the mini-batches for training one section's classifier.

    Args:
        settings: :class:`asdlib.params.classifier.Classifier`.
        clips: Normal training clips of all machine types that may be used.
        machine: The positive machine type.
        section: The positive section.
        device: Device of the batches.
        shifted: Shifted clips (:mod:`asdlib.shift.shifted_clips`) of the section and of its outliers, our extension,
            which fine-tuning then uses instead of pseudo-target clips.

    Raises:
        ModelError: The section has no source training clips, or there are no negatives of the requested kind.
    """

    def __init__(
        self,
        settings,
        clips: list[Clips],
        machine: str,
        section: str,
        device: str | torch.device = "cpu",
        shifted: list[Clips] | None = None,
    ):
        self.settings, self.device = settings.batches, torch.device(device)
        candidates = choose_machines(settings.batches.negatives, machine, clips)
        own, negatives = split(clips, machine, section, candidates)
        self.normal, self.target = own["source"], own.get("target")
        self.source_negatives = Negatives([part for part in negatives if part.domain == "source"])
        self.shifted = None
        if shifted is not None:
            self.shifted = next((part for part in shifted if (part.machine, part.section) == (machine, section)), None)
            negatives += [part for part in shifted if part.machine in candidates and part.section != section]
        self.all_negatives = Negatives(negatives) if settings.batches.target_negatives else self.source_negatives
        if not self.source_negatives.clips:
            raise ModelError(
                f"classifier.batches.negatives is {settings.batches.negatives!r}, but apart from section {section} of "
                f"{machine} there are no source training clips in {', '.join(candidates)}; add some, add further "
                "machine types to the data, or choose other negatives"
            )
        used = [part.waveforms for part in [*clips, *(shifted or [])]]
        self.windows = Windows(used, samples_of(settings), self.device)

    @classmethod
    def open(cls, settings, candidate: str, machine: str, section: str, device="cpu") -> "Batches":
        """Draw from the decoded clips of a run (settings: :class:`asdlib.params.settings.Settings`)."""
        branch = settings.candidate("classifier", candidate)
        run, planned = paths.Run.of(settings), plan.read(settings)
        held_out = held_out_clips(settings, machine)
        known = {
            name: group_clips(Waveforms.open(run.data(name)), held_out if name == machine else ())
            for name in sorted({*planned.machines, *planned.outliers})
        }
        every = [part for parts in known.values() for part in parts]
        clips = [part for name in choose_machines(branch.batches.negatives, machine, every) for part in known[name]]
        shifted = None
        if branch.batches.pseudo_target_by == "shift":
            shifted = group_clips(shifted_clips.open_clips(settings, machine), held_out)
        return cls(branch, clips, machine, section, device, shifted)

    @property
    def epoch_steps(self) -> int:
        """Number of steps in which as many normal clips are drawn as there are."""
        return -(-len(self.normal.rows) // (self.settings.batch_size // 2))

    @property
    def fingerprint(self) -> dict[str, str]:
        """Fingerprints of the decoded clips of each machine type from which batches may be drawn."""
        recorded = {part.machine: part.waveforms.fingerprint for part in [self.normal, *self.source_negatives.clips]}
        return recorded | ({"shifted": self.shifted.waveforms.fingerprint} if self.shifted else {})

    def source(self, generator: torch.Generator) -> Batch:
        """Draw a batch of the source domain: normal clips, then as many outliers; ``source_mixup`` mixes all of them.

        The paper names Mixup for fine-tuning only.
        """
        rng, half = _random(generator), self.settings.batch_size // 2
        return self._draw(rng, [self.normal] * half + [self.source_negatives.draw(rng) for _ in range(half)])

    def finetuning(self, generator: torch.Generator) -> Batch:
        """Draw a batch in which target and pseudo-target clips take the places of ``target_clips`` normal ones.

        The first half of them are pure target clips. The others are shifted clips if there are any, and otherwise
        pseudo-target clips (:mod:`asdlib.classifier.pseudo_target`). The remaining clips are mixed with one another, as
        in :meth:`source`.
        """
        if self.target is None:
            raise ModelError(
                f"section {self.normal.section} of {self.normal.machine} has no target training clips to fine-tune on"
            )
        rng, half, targets = _random(generator), self.settings.batch_size // 2, self.settings.target_clips
        pure = targets // 2
        picks = [self.target] * pure + [self.shifted or self.target] * (targets - pure)
        picks += [self.normal] * (half - targets)
        return self._draw(rng, picks + [self.all_negatives.draw(rng) for _ in range(half)], targets)

    def outliers(self, count: int, generator: torch.Generator) -> list[Clips]:
        """Draw at most ``count`` different outliers in the same way as the negatives of :meth:`source`, to inspect."""
        rng, chosen = _random(generator), {}
        for _ in range(count):
            part = self.source_negatives.draw(rng)
            key = part.machine, part.section
            chosen.setdefault(key, (part, set()))[1].add(int(rng.choice(part.rows)))
        return [
            dataclasses.replace(part, rows=np.array(sorted(rows)))
            for part, rows in (chosen[key] for key in sorted(chosen))
        ]

    def _draw(self, rng: np.random.Generator, picks: list[Clips], targets: int = 0) -> Batch:
        """Cut, augment and mix windows of ``picks`` (normal clips first, starting with ``targets`` target clips)."""
        size, half, pure = len(picks), len(picks) // 2, targets // 2
        second = "shifted" if self.shifted else "pseudo-target" if self.settings.mixup else "target"
        kind = ["target"] * pure + [second] * (targets - pure) + ["normal"] * (half - targets) + ["outlier"] * half
        label = np.repeat([1.0, 0.0], half)
        count = targets - pure if self.settings.mixup and not self.shifted else 0  # of pseudo-target clips
        mixed = range(pure, size if self.settings.mixup and self.settings.source_mixup else pure + count)
        if not mixed:
            return Batch(self._augment(rng, picks), self._tensor(label), np.array(kind), np.ones(size))
        partners, normal = pseudo_target.draw_partners(rng, count, self.normal, self.source_negatives)
        waveform, label = self._augment(rng, picks + partners), self._tensor(np.append(label, normal))
        waveform, label, share = pseudo_target.mix(rng, waveform, label, size, mixed, self.settings.mixup)
        return Batch(waveform, label, np.array(kind), share)

    def _augment(self, rng: np.random.Generator, picks: list[Clips]) -> Tensor:
        """Cut a random window of a random clip of each of ``picks``, with random volume and noise; (picks, samples)."""
        options, size = self.settings, len(picks)
        places = []
        for part in picks:
            row = rng.choice(part.rows)
            free = int(part.waveforms.clips["samples"].iat[row]) - self.windows.length
            places.append((part.waveforms, row, int(rng.integers(free + 1)) if free > 0 else 0))
        waveform = self.windows.cut(places).float() / FULL_SCALE
        gain = np.where(rng.random(size) < options.volume, rng.uniform(-1, 1, size) * options.volume_range, 0)
        snr = np.where(rng.random(size) < options.noise, rng.uniform(*options.noise_snr, size), np.inf)
        generator = torch.Generator(self.device).manual_seed(int(rng.integers(2**62)))
        return augment.noise(augment.volume(waveform, self._tensor(gain)), torch.from_numpy(snr).float(), generator)

    def _tensor(self, values: np.ndarray) -> Tensor:
        return to_device(torch.as_tensor(values, dtype=torch.float32), self.device)


def _random(generator: torch.Generator) -> np.random.Generator:
    return np.random.default_rng(generator.initial_seed())
