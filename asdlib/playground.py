"""Judge one clip with the networks of a trained run, in the same way as a detector judges a recording (notebook 09).

This uses one candidate per branch by the variant of the selection ``fixed``, and no labels. The reference clips are the
section's held-out training clips, which no network has learnt from. For the target domain they are scored as if
they were target clips.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from asdlib import origin, paths, scores
from asdlib.autoencoder import scorer
from asdlib.classifier import clip_outputs
from asdlib.classifier.reference_statistics import ReferenceStatistics
from asdlib.compute import resolve_compute
from asdlib.data import wav
from asdlib.data.audio import evenly_spaced
from asdlib.data.held_out_split import HELD_OUT, LEARN
from asdlib.data.machine_clips import MachineClips, open_machine
from asdlib.detector.calibration import ENSEMBLE
from asdlib.detector.description import FORMAT, Description
from asdlib.detector.judge import Judge, Verdict
from asdlib.detector.level import Learnt, level
from asdlib.detector.localize import FrameStatistics
from asdlib.detector.networks import AutoencoderCandidate, ClassifierCandidate, Window, with_one_variant
from asdlib.detector.pytorch import PyTorch
from asdlib.detector.recordings import to_int16
from asdlib.detector.store import Stored
from asdlib.errors import DataError
from asdlib.features import mel_frequencies
from asdlib.units import FULL_SCALE

CLIPS = 40
"""maximum number of clips from which the usual level and the usual frames are estimated"""


class RunDescription(Description):
    """Description of the networks of a run, whose sections have their own numbers."""

    @property
    def codes(self) -> list[str]:
        return self.sections


def pick(settings, machine: str, clip: str, section: str, domain: str) -> tuple[pd.Series, np.ndarray]:
    """Open one clip, from the run or from a file.

    Args:
        settings: Settings of the run.
        machine: Machine type.
        clip: Name of a clip of the run, or path of a WAV file (relative to the working directory or the project).
        section: Section to assume for a WAV file.
        domain: Domain to assume for a WAV file, ``source`` or ``target``.

    Returns:
        A row with ``machine, section, domain, split, label, clip``, and the samples in units of 1/32768.

    Raises:
        DataError: There is neither a file nor a clip with this name, the section or domain does not exist, or the file
            cannot be used.
    """
    opened = open_machine(settings, machine)
    clips = opened.waveforms.clips
    rows = np.flatnonzero(clips["clip"] == clip)
    if len(rows):
        return clips.iloc[rows[0]], opened.waveforms.read(int(rows[0]))
    path = next((path for path in (Path(clip), paths.project_root() / clip) if path.is_file()), None)
    if path is None:
        listed = paths.Run.of(settings).data(machine) / paths.CLIPS
        raise DataError(f"{clip!r} is neither a file nor the name of a clip of {machine}; {listed} lists all names")
    if section not in opened.planned or domain not in scores.DOMAINS:
        raise DataError(
            f"{machine} has no section {section!r} or no domain {domain!r}; choose one of the sections "
            f"{', '.join(opened.planned)}, and one of the domains {', '.join(scores.DOMAINS)}"
        )
    values = {"machine": machine, "section": section, "domain": domain, "split": "test", "label": "unknown"}
    return pd.Series(values | {"clip": path.name}), wav.read(path, settings.data)


def load_judge(
    settings, clip: pd.Series, waveform: np.ndarray, autoencoder: str, classifier: str, false_alarm_rate: float = 0.1
) -> Judge:
    """Load the networks of a run as the judge of one clip.

    Args:
        settings: Settings of the run.
        clip: The clip, as returned by :func:`pick`. Clips of the run get the same masks as in the run.
        waveform: Its samples. It is judged as a whole unless it is longer than all held-out clips of its section.
        autoencoder: Name of the autoencoder candidate.
        classifier: Name of the classifier candidate.
        false_alarm_rate: Intended rate of false alarms.
    """
    machine, section, domain = clip["machine"], clip["section"], clip["domain"]
    run, rate = paths.Run.of(settings), settings.data.sample_rate
    clips, net = scorer.open_trained(settings, machine, autoencoder)
    networks, _ = clip_outputs.open_trained(settings, machine, section, classifier, resolve_compute(settings))
    (key,) = scorer.mask_keys(clip.to_frame().T)
    models = {(classifier, section, stage): network for stage, network in networks.items()}
    backend = PyTorch(clips.sections, {autoencoder: net}, models, key)
    folder = run.system("autoencoder", machine, autoencoder)
    first = AutoencoderCandidate.load(settings, autoencoder, backend, folder, origin.PAPER)
    table, embedding = clip_outputs.read(settings, machine, classifier)
    options = with_one_variant(settings.candidate("classifier", classifier), "classifier", origin.PAPER)
    statistics = ReferenceStatistics.fit(table, embedding, options.scorer)
    second = ClassifierCandidate(
        classifier, options, backend, clip_outputs.select_centroids(table, embedding), statistics
    )

    held_out = _select(clips, HELD_OUT, section, "source")
    samples = min(int(clips.waveforms.clips["samples"].iloc[held_out].max()), len(waveform))
    reference = _group_reference(run, machine, section, {"autoencoder": first, "classifier": second})
    description = RunDescription(
        format=FORMAT,
        sections=clips.sections,
        seconds=samples / rate,
        lengths=[samples / rate],
        level_limit=0,
        level=None,
        levels=_measure_levels(clips, section, rate),
        false_alarm_rate=false_alarm_rate,
        autoencoder=[autoencoder],
        classifier=[classifier],
        missing=[],
        outliers=[],
        record={},
    )
    stored = Stored(
        description,
        settings,
        autoencoders={autoencoder: first},
        classifiers={classifier: second},
        reference={(section, name, samples): part for name, part in reference.items()},
        frames={(section, domain, samples): _summarise_frames(clips, held_out, first, section, domain, rate)},
        statistics={},
        clips=clips.table,
    )
    return Judge(stored)


def judge(loaded: Judge, clip: pd.Series, waveform: np.ndarray) -> Verdict:
    """Judge the clip for which a judge was loaded.

    Args:
        loaded: The judge (:func:`load_judge`).
        clip: Row of the clip (:func:`pick`).
        waveform: Its samples in units of 1/32768.
    """
    recording = waveform / FULL_SCALE, loaded.stored.settings.data.sample_rate
    return loaded.judge(recording, clip["section"], changed=clip["domain"] == "target")


def tabulate(verdict: Verdict) -> pd.DataFrame:
    """Return a verdict as a table ``system, score, threshold, percentile, verdict``: the branches, then the ensemble.

    Only the ensemble decides. Of a branch the verdict says on which side of its own threshold the score lies.
    """
    rows = verdict.branches | {ENSEMBLE: verdict.as_dict()}
    table = pd.DataFrame.from_dict(rows, orient="index")[["score", "threshold", "percentile", "anomaly"]]
    side = np.where(table["score"] > table["threshold"], "above its threshold", "below its threshold")
    table["verdict"] = np.where(table.index == ENSEMBLE, verdict.verdict, side)
    return table.drop(columns="anomaly").rename_axis("system").reset_index()


def outcome(clip: pd.Series, table: pd.DataFrame) -> str:
    """Say whether the ensemble's verdict is right, as far as the label of the clip is known.

    Args:
        clip: Row of the clip (:func:`pick`).
        table: Table returned by :func:`tabulate`.
    """
    last = table.set_index("system").loc[ENSEMBLE]
    alarm, label = bool(last["score"] > last["threshold"]), clip["label"]
    words = {
        ("anomaly", True): "the fault is found",
        ("anomaly", False): "the fault is missed",
        ("normal", True): "a false alarm",
        ("normal", False): "no false alarm",
    }
    if (label, alarm) not in words:
        return f"The ensemble says {last['verdict']}. The clip has no label to compare that with."
    return f"The clip is labelled {label} and the ensemble says {last['verdict']}: {words[label, alarm]}."


def show(table: pd.DataFrame) -> Styler:
    """Format the table of a verdict for a notebook; a score that is rounded to zero has no minus sign."""
    shown = table.style.set_uuid("verdict").hide(axis="index")
    return shown.format("{:z.2f}", subset=["score", "threshold", "percentile"], na_rep="–")


def _select(clips: MachineClips, role: str, section: str, domain: str) -> np.ndarray:
    """Return the rows of ``clips.waveforms`` of a role, section and domain."""
    table = clips.table
    return clips.rows[(clips.role == role) & (table["section"] == section) & (table["domain"] == domain)]


def _measure_levels(clips: MachineClips, section: str, rate: int) -> dict[str, Learnt]:
    """Summarise the levels of a section's training clips, by section and domain."""
    result = {}
    for domain in scores.DOMAINS:
        rows = _select(clips, LEARN, section, domain)
        waves = clips.waveforms.read_each(rows[evenly_spaced(len(rows), CLIPS)])
        levels = np.array([level(wave / FULL_SCALE, rate) for wave in waves])
        if len(levels):
            result[f"{section}/{domain}"] = Learnt.of(levels)
    return result


def _group_reference(run: paths.Run, machine: str, section: str, candidates: dict) -> dict[str, dict[str, np.ndarray]]:
    """Return the held-out clips' scores by domain, then system, in one order of the clips.

    Args:
        run: Folder of the run.
        machine: Machine type.
        section: The section.
        candidates: The candidate of each branch, with one variant.
    """
    result: dict[str, dict[str, np.ndarray]] = {}
    for branch, candidate in candidates.items():
        system = f"{branch}/{candidate.name}"
        known = scores.read(run.scores(branch, machine, candidate.name))
        known = known[(known["section"] == section) & (known["split"] == "train")]
        known = known[known["system"] == f"{system}/{candidate.settings.scorer.variants[0]}"].sort_values("clip")
        for domain, part in known.groupby("domain"):
            result.setdefault(domain, {})[system] = part["score"].to_numpy()
    return result


def _summarise_frames(
    clips: MachineClips, held_out: np.ndarray, candidate: AutoencoderCandidate, section: str, domain: str, rate: int
) -> FrameStatistics:
    """Summarise the frames of held-out clips, scored as clips of ``domain``."""
    waves = clips.waveforms.read_each(held_out[evenly_spaced(len(held_out), CLIPS)])
    windows = [Window(to_int16(wave / FULL_SCALE), section, domain) for wave in waves]
    _, frames, errors = zip(*(candidate.score(window) for window in windows), strict=True)
    edges = mel_frequencies(errors[0].shape[1] + 2, rate / 2)
    return FrameStatistics.of(frames, errors, candidate.step, edges)
