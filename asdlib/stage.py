"""Provide the frame that all stages share: their folder and clips, checkpoints, writing whole or not at all, recording.

A stage opens the clips of its machine type (:attr:`Stage.clips`), computes, and writes its folder in
:meth:`Stage.writing`, which adds the record of what made it. Stages with a training get the checkpoint to resume from
by :meth:`Stage.resuming`.
"""

import contextlib
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from asdlib import atomic, paths, records
from asdlib.data.machine_clips import MachineClips, open_machine


class Stage:
    """One stage at work.

    Args:
        settings: :class:`asdlib.params.settings.Settings`.
        system: System that the stage trains or scores; empty for the stages of a whole run.
        machine: Machine type.
        candidate: Candidate, for the branches that have some.
        section: Section, for a classifier's models.
        compute: :class:`asdlib.compute.Compute`; None if the stage uses neither PyTorch nor a GPU.
    """

    def __init__(
        self,
        settings,
        system: str = "",
        machine: str = "",
        candidate: str | None = None,
        section: str | None = None,
        compute=None,
    ):
        self.settings, self.run = settings, paths.Run.of(settings)
        self.system, self.machine, self.candidate, self.section = system, machine, candidate, section
        self.compute = compute
        self.device = compute.describe() if compute else "CPU"
        self.folder = self.run.system(system, machine, candidate, section) if system else self.run.folder
        self._began, self._checkpoints = time.monotonic(), []

    @cached_property
    def clips(self) -> MachineClips:
        """Decoded clips of the machine type; raises a :class:`asdlib.errors.DataError` if there are none."""
        return open_machine(self.settings, self.machine)

    def resuming(self, settings: dict, part: str = "train") -> dict:
        """Return the arguments of :func:`asdlib.training.train` that say where and as what to resume a training.

        Args:
            settings: Settings that the trained model depends on.
            part: Name of the training, if the stage has several.
        """
        settings = settings | {"compute": self.device}  # other devices give other bits
        names = [part for part in (self.section, part) if part is not None]
        checkpoint = self.run.checkpoint(self.system, self.machine, self.candidate, ".".join(names), settings)
        self._checkpoints.append(checkpoint)
        return {"checkpoint": checkpoint, "settings": settings, "compute": self.compute}

    @contextlib.contextmanager
    def writing(
        self, settings: dict, *, seed: int, data: str, earlier: float = 0.0, folder: Path | None = None, **more: object
    ) -> Iterator[Path]:
        """Write the stage's folder with its record, whole or not at all, and then drop what its trainings kept.

        Args:
            settings: Settings that the artefacts depend on.
            seed: Seed of the stage's random numbers.
            data: Fingerprint of the input data.
            earlier: Seconds that earlier starts of an interrupted training took.
            folder: Folder to write; by default that of the system.
            more: Further entries of the record.

        Yields:
            A temporary folder to write to, which then replaces the stage's folder.
        """
        with atomic.writing(folder or self.folder, folder=True) as temporary:
            yield temporary
            atomic.write_json(self._record(settings, seed, data, earlier, more), temporary / paths.RECORD)
        self._forget()

    @contextlib.contextmanager
    def adding(
        self, settings: dict, *, seed: int, data: str, part: str | None = None, **more: object
    ) -> Iterator[Path]:
        """Write files to the stage's folder together, like :meth:`writing`, but keep its other files.

        Args:
            settings: Settings that the artefacts depend on.
            seed: Seed of the stage's random numbers.
            data: Fingerprint of the input data.
            part: Key in the folder's record that holds the record, if another stage has written the folder.
            more: Further entries of the record.

        Yields:
            A temporary folder to write to. Its files are then moved to the stage's folder, the record last.
        """
        with atomic.writing(self.folder, folder=True, last=paths.RECORD) as temporary:
            yield temporary
            record = self._record(settings, seed, data, 0.0, more)
            if part is not None:
                path = self.folder / paths.RECORD
                record = (atomic.read_json(path) if path.is_file() else {}) | {part: record}
            atomic.write_json(record, temporary / paths.RECORD)

    def _record(self, settings: dict, seed: int, data: str, earlier: float, more: dict) -> dict:
        seconds = time.monotonic() - self._began + earlier
        return records.record(settings, seed=seed, device=self.device, data=data, seconds=seconds, **more)

    def _forget(self) -> None:
        """Remove the finished trainings, unless the workflow keeps them until its end (``keep_finished``).

        Their folder is kept because another job may be about to write to it.
        """
        if not self.settings.keep_finished:
            for checkpoint in self._checkpoints:
                checkpoint.with_suffix(paths.FINISHED).unlink(missing_ok=True)
