"""Draw mini-batches (Sec. 2.2): normal clips and outliers 1:1, Mixup, and pseudo-target clips for fine-tuning.

A batch is a pure function of its generator, which the training loop seeds with (seed, step).
"""

import dataclasses
from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from asdlib import paths
from asdlib.classifier import augment
from asdlib.classifier.resident import Windows
from asdlib.classifier.windows import samples_of
from asdlib.data import plan, roles
from asdlib.data.audio import Waveforms
from asdlib.data.machine_clips import open_machine
from asdlib.errors import ModelError
from asdlib.shift import shifted_clips
from asdlib.training import to_device
from asdlib.units import FULL_SCALE

DATASETS = {"MIMII DUE": ("fan", "gearbox", "pump", "slider", "valve"), "ToyADMOS2": ("ToyCar", "ToyTrain")}
"""machine types of DCASE2021 by the data set from which they come"""


@dataclasses.dataclass(frozen=True)
class Clips:
    """Normal training clips of one machine type, section and domain."""

    machine: str
    section: str
    domain: str
    waveforms: Waveforms
    rows: np.ndarray
    """rows of ``waveforms``"""


class Batch(NamedTuple):
    """Waveform windows for one training step."""

    waveform: Tensor
    """float32 in about -1 to 1, shape (batch, samples)"""
    label: Tensor
    """1 normal, 0 outlier, in between with Mixup; shape (batch,)"""
    kind: np.ndarray
    """kind of each row before Mixup: ``target`` (pure), ``pseudo-target``, ``normal`` or ``outlier``; shape (batch,)"""
    share: np.ndarray
    """weight of that clip in the mixture, 1 without Mixup; shape (batch,)"""


def groups(waveforms: Waveforms, without: Collection[str] = ()) -> list[Clips]:
    """Group the normal training clips of a machine type, except those named ``without``, by section and domain."""
    clips = waveforms.clips
    chosen = clips[(clips["split"] == "train") & (clips["label"] == "normal") & ~clips["clip"].isin(without)]
    return [
        Clips(*key, waveforms, part.index.to_numpy()) for key, part in chosen.groupby(["machine", "section", "domain"])
    ]


def held_out_clips(settings, machine: str) -> set[str]:
    """Return the names of a machine type's training clips that no network learns from (:mod:`asdlib.data.roles`)."""
    clips = open_machine(settings, machine)
    return set(clips.table["clip"][clips.role == roles.HELD_OUT])


def normalisation(waveforms: Waveforms, without: Collection[str] = ()) -> tuple[float, float]:
    """Compute mean and standard deviation of a machine type's training clips, scaled to -1 to 1, except ``without``."""
    total, squares, count = 0.0, 0.0, 0
    clips = waveforms.clips
    for row in np.flatnonzero((clips["split"] == "train") & ~clips["clip"].isin(without)):
        samples = waveforms.read(row).astype(np.float64) / FULL_SCALE
        total, squares, count = total + samples.sum(), squares + np.square(samples).sum(), count + len(samples)
    mean = total / count
    return mean, max(squares / count - mean**2, 1e-12) ** 0.5


class Batches:
    """Source of the mini-batches for training one section's classifier.

    Negatives are drawn by machine type first, then by section, (in fine-tuning) domain, and clip, each uniformly, so
    that machine types with many sections or clips do not dominate smaller ones.

    Args:
        settings: :class:`asdlib.params.classifier.Classifier`.
        clips: Normal training clips of all machine types that may be used (:func:`groups`).
        machine: The positive machine type.
        section: The positive section.
        device: Device of the batches.
        shifted: Pseudo-target clips (:mod:`asdlib.shift.shifted_clips`) of the section and of its outliers, which
            fine-tuning then uses instead of Mixup with target clips.

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
        own = {part.domain: part for part in clips if (part.machine, part.section) == (machine, section)}
        if "source" not in own:
            raise ModelError(
                f"section {section} of {machine} has no normal source training clips; add some, or exclude the section "
                "with data.sections"
            )
        self.normal, self.target = own["source"], own.get("target")
        candidates = machines(settings.batches.negatives, machine, clips)
        negatives = [
            part for part in clips if part.machine in candidates and (part.machine, part.section) != (machine, section)
        ]
        self.source_negatives = _tree([part for part in negatives if part.domain == "source"])
        self.shifted = None
        if shifted is not None:
            self.shifted = next((part for part in shifted if (part.machine, part.section) == (machine, section)), None)
            negatives += [part for part in shifted if part.machine in candidates and part.section != section]
        self.all_negatives = _tree(negatives) if settings.batches.target_negatives else self.source_negatives
        if not self.source_negatives:
            raise ModelError(
                f"classifier.batches.negatives is {settings.batches.negatives!r}, but apart from section {section} of "
                f"{machine} there are no source training clips in {', '.join(candidates)}; add some, add further "
                "machine types to the data, or choose other negatives"
            )
        heard = [part.waveforms for part in [*clips, *(shifted or [])]]
        self.windows = Windows(heard, samples_of(settings), self.device)

    @classmethod
    def open(cls, settings, candidate: str, machine: str, section: str, device="cpu") -> "Batches":
        """Draw from the decoded clips of a run (settings: :class:`asdlib.params.settings.Settings`)."""
        branch, run, planned = (
            settings.candidate("classifier", candidate),
            paths.Run.of(settings),
            plan.read(settings),
        )
        held_out = held_out_clips(settings, machine)
        known = {
            name: groups(Waveforms.open(run.data(name)), held_out if name == machine else ())
            for name in sorted({*planned.machines, *planned.outliers})
        }
        wanted = machines(branch.batches.negatives, machine, [part for parts in known.values() for part in parts])
        clips = [part for name in wanted for part in known[name]]
        shifted = None
        if branch.batches.pseudo_target_by == "shift":
            shifted = groups(shifted_clips.open_clips(settings, machine), held_out)
        return cls(branch, clips, machine, section, device, shifted)

    @property
    def epoch_steps(self) -> int:
        """Number of steps in which as many normal clips are drawn as there are."""
        return -(-len(self.normal.rows) // (self.settings.batch_size // 2))

    @property
    def fingerprint(self) -> dict[str, str]:
        """Fingerprints of the decoded clips of each machine type from which batches may be drawn."""
        parts = [self.normal, *_leaves(self.source_negatives)]
        recorded = {part.machine: part.waveforms.fingerprint for part in parts}
        return recorded | ({"pseudo-target": self.shifted.waveforms.fingerprint} if self.shifted else {})

    def source(self, generator: torch.Generator) -> Batch:
        """Draw a batch of the source domain: normal clips, then as many outliers."""
        rng, half = _random(generator), self.settings.batch_size // 2
        return self._mixed(rng, [self.normal] * half + [_pick(rng, self.source_negatives) for _ in range(half)])

    def finetuning(self, generator: torch.Generator) -> Batch:
        """Draw a batch for the target domain, in which ``target_clips`` (pseudo-)target clips replace normal ones.

        The first half of them are pure target clips. The others are pseudo-target clips if there are any, and otherwise
        Mixup of a target clip and a source clip, which is normal or an outlier with equal probability. The rest of the
        batch is mixed among itself, as in :meth:`source`.
        """
        if self.target is None:
            raise ModelError(
                f"section {self.normal.section} of {self.normal.machine} has no target training clips to fine-tune on"
            )
        rng, half, targets = _random(generator), self.settings.batch_size // 2, self.settings.target_clips
        pure = targets // 2
        picks = [self.target] * pure + [self.shifted or self.target] * (targets - pure)
        picks += [self.normal] * (half - targets)
        return self._mixed(rng, picks + [_pick(rng, self.all_negatives) for _ in range(half)], targets)

    def pair(self, generator: torch.Generator) -> Tensor:
        """Draw a normal window and an outlier window, augmented but not mixed, to plot; (2, samples)."""
        rng = _random(generator)
        return self._augmented(rng, [self.normal, _pick(rng, self.source_negatives)])

    def outliers(self, count: int, generator: torch.Generator) -> list[Clips]:
        """Draw at most ``count`` different outliers in the same way as the negatives of :meth:`source`, to inspect."""
        rng, chosen = _random(generator), {}
        for _ in range(count):
            part = _pick(rng, self.source_negatives)
            key = part.machine, part.section
            chosen.setdefault(key, (part, set()))[1].add(int(rng.choice(part.rows)))
        return [
            dataclasses.replace(part, rows=np.array(sorted(rows)))
            for part, rows in (chosen[key] for key in sorted(chosen))
        ]

    def _mixed(self, rng: np.random.Generator, picks: list[Clips], targets: int = 0) -> Batch:
        """Cut, augment and mix windows of ``picks`` (normal clips first, starting with ``targets`` target clips)."""
        size, half, alpha, pure = len(picks), len(picks) // 2, self.settings.mixup, targets // 2
        kind = np.array(["target"] * pure + ["pseudo-target"] * (targets - pure) + ["normal"] * (half - targets))
        kind = np.append(kind, ["outlier"] * half)
        by_mixup = 0 if self.shifted else targets - pure  # number of clips that become pseudo-target through Mixup
        label = np.repeat([1.0, 0.0], half)
        if not alpha:
            kind[: pure + by_mixup] = "target"
            return Batch(self._augmented(rng, picks), self._tensor(label), kind, np.ones(size))
        normal = rng.random(by_mixup) < 0.5  # partners of the pseudo-target clips
        picks = picks + [self.normal if chosen else _pick(rng, self.source_negatives) for chosen in normal]
        waveform, label = self._augmented(rng, picks), self._tensor(np.append(label, normal))
        rest = pure + by_mixup
        partner = torch.tensor([*range(pure), *range(size, len(picks)), *(rest + rng.permutation(size - rest))])
        partner = to_device(partner, self.device)
        share = np.append(np.ones(pure), rng.beta(alpha, alpha, size - pure))
        first = self._tensor(share)
        mixed = augment.mixup(waveform[:size], waveform[partner], first)
        return Batch(mixed, augment.mixup(label[:size], label[partner], first), kind, share)

    def _augmented(self, rng: np.random.Generator, picks: list[Clips]) -> Tensor:
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


def machines(negatives: str, machine: str, clips: list[Clips]) -> list[str]:
    """Return the machine types, including ``machine``, whose clips are used for a choice of negatives.

    If ``negatives`` is ``machine`` for a machine type with one section, which leaves no negatives, all are used.

    Args:
        negatives: ``all``, ``machine`` or ``dataset``.
        machine: The positive machine type.
        clips: All clips that may be used.

    Raises:
        ModelError: ``dataset`` was chosen for a machine type that belongs to neither data set.
    """
    known = sorted({part.machine for part in clips})
    sections = {part.section for part in clips if (part.machine, part.domain) == (machine, "source")}
    if negatives == "all" or (negatives == "machine" and len(sections) < 2):
        return known
    if negatives == "machine":
        return [machine]
    for members in DATASETS.values():
        if machine in members:
            return [name for name in known if name in members]
    raise ModelError(
        f"classifier.batches.negatives is 'dataset', but {machine} is in none of their machine types "
        f"({', '.join(name for members in DATASETS.values() for name in members)}); use all or machine"
    )


def _random(generator: torch.Generator) -> np.random.Generator:
    return np.random.default_rng(generator.initial_seed())


def _tree(clips: list[Clips]) -> list[list[list[Clips]]]:
    """Nest clips by machine type, then section, then domain."""
    tree: dict[str, dict[str, list[Clips]]] = {}
    for part in clips:
        tree.setdefault(part.machine, {}).setdefault(part.section, []).append(part)
    return [list(sections.values()) for sections in tree.values()]


def _pick(rng: np.random.Generator, tree) -> Clips:
    while isinstance(tree, list):
        tree = tree[rng.integers(len(tree))]
    return tree


def _leaves(tree) -> list[Clips]:
    return [leaf for branch in tree for leaf in _leaves(branch)] if isinstance(tree, list) else [tree]
