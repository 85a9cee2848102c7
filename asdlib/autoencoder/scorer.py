"""Score all clips of a machine type with a trained autoencoder (Sec. 2.1): the stage of notebook 04.

The network gives the errors (:mod:`.reconstruction_errors`). Gaussians are fitted to those of some clips
(:mod:`.section_domain_gaussians`) and score the others (:mod:`.frame_to_clip_scores`).
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from asdlib import paths, scores
from asdlib.autoencoder import frame_to_clip_scores, train
from asdlib.autoencoder.frame_to_clip_scores import error_kinds, score_clip
from asdlib.autoencoder.reconstruction_errors import TrainedAutoencoder
from asdlib.autoencoder.section_domain_gaussians import Errors, cross_fit, fit
from asdlib.data.audio import Waveforms
from asdlib.data.held_out_split import HELD_OUT, LEARN
from asdlib.data.machine_clips import MachineClips, open_machine
from asdlib.errors import ModelError
from asdlib.gaussian import Gaussian
from asdlib.paths import BANDS, MODEL, RECORD, SCORES
from asdlib.records import SCORING, check_settings
from asdlib.shift import shifted_clips
from asdlib.stage import Stage
from asdlib.tables import write_table

FILE = "scorers.safetensors"
"""file of the fitted Gaussians in a candidate's folder"""
MEANS = ("signed", "absolute")
"""kinds of errors whose mean over time is kept for every clip"""


def score(settings, machine: str, candidate: str) -> pd.DataFrame:
    """Score the test clips and the held-out training clips of a machine type, and write the scores.

    Besides ``scores.csv``, this writes ``scorers.safetensors`` (the Gaussians over frames and over clips),
    ``bands.csv`` (mean error of each mel band in dB, by section, domain, split and label) to the candidate's folder,
    and adds to its record.

    Returns:
        The score table of all variants, systems ``autoencoder/<candidate>/<variant>``, in the order of the settings.
    """
    clips, net = open_trained(settings, machine, candidate)
    stage, options = Stage(settings, "autoencoder", machine, candidate, compute=net.compute), net.settings.scorer
    shifted = None
    if options.target_from == "shifted":
        found = shifted_clips.open_rows(settings, machine, clips.sections)
        shifted = found and Errors.of(
            found[0].clips.iloc[found[1]], list(clip_errors(net, *found, clips.sections, error_kinds(options)))
        )

    values, gaussians, means = score_clips(clips, net, shifted)
    system, scored = f"autoencoder/{candidate}", clips.scored
    result = pd.concat(
        [scores.table(scored, f"{system}/{name}", value) for name, value in values.items()], ignore_index=True
    )
    planned = clips.table["section"].isin(clips.planned).to_numpy()
    deviation = net.model.deviation.cpu().numpy()
    bands = band_errors(clips.table[planned], *(means[kind][planned] for kind in MEANS), deviation)

    depends = settings.common() | settings.candidate("autoencoder", candidate).model_dump(mode="json")
    with stage.adding(depends, seed=net.seed, data=clips.waveforms.fingerprint, part=SCORING) as folder:
        frame_to_clip_scores.save(gaussians, folder / FILE)
        write_table(bands, folder / BANDS)
        scores.write(result, folder / SCORES)
    return result


def open_trained(settings, machine: str, candidate: str) -> tuple[MachineClips, TrainedAutoencoder]:
    """Open a machine type's clips and load the autoencoder that was trained on them.

    Raises:
        ModelError: The model does not exist.
        ArtefactError: It was trained with other settings or other clips.
    """
    clips = open_machine(settings, machine)
    folder = paths.Run.of(settings).system("autoencoder", machine, settings.trained_as("autoencoder", candidate))
    if not (folder / RECORD).is_file():
        raise ModelError(
            f"{folder}: no trained autoencoder; run notebook 03_train_autoencoder to train it, or make reproduce"
        )
    wanted = train.stored_settings(settings, machine, candidate, clips.sections, clips.waveforms.fingerprint)
    check_settings(folder / RECORD, wanted)
    file = folder / MODEL
    return clips, TrainedAutoencoder.load(file, settings, machine, candidate, len(clips.sections))


def clip_errors(
    net: TrainedAutoencoder, waveforms: Waveforms, rows: np.ndarray, sections: list[str], kinds: Sequence[str]
) -> Iterator[dict[str, np.ndarray]]:
    """Compute the errors of decoded clips (:meth:`asdlib.autoencoder.reconstruction_errors.TrainedAutoencoder.errors`).

    Args:
        net: The network.
        waveforms: Decoded clips.
        rows: Rows of ``waveforms.clips``.
        sections: Sections that the network was trained on, in order.
        kinds: Errors to compute.
    """
    table = waveforms.clips.iloc[rows]
    index = [sections.index(name) for name in table["section"]]
    return net.errors(waveforms.read_each(rows), index, mask_keys(table), kinds)


def mask_keys(clips: pd.DataFrame) -> list[str]:
    """Return the mask keys of catalogue rows: section, split and name of each clip."""
    return ["/".join(names) for names in clips[["section", "split", "clip"]].itertuples(index=False)]


def score_clips(
    clips: MachineClips, net: TrainedAutoencoder, shifted: Errors | None
) -> tuple[dict[str, np.ndarray], dict[str, Gaussian], dict[str, np.ndarray]]:
    """Compute the errors of all clips, fit the Gaussians, and score test clips and held-out clips.

    Args:
        clips: Clips of the machine type.
        net: The network.
        shifted: Errors of shifted clips, if the target's Gaussians are to be fitted on them.

    Returns:
        Scores by variant, one for each row of ``clips.scored``; the Gaussians by name; and the errors of each of
        :data:`MEANS` averaged over time, one row per row of ``clips.table``, zero for clips that nothing uses.
    """
    table, options = clips.table, net.settings.scorer
    planned = table["section"].isin(clips.planned).to_numpy()
    target = (table["domain"] == "target").to_numpy() & (table["split"] == "train").to_numpy()
    dims = net.model.outward.out_features
    means = {kind: np.zeros((len(table), dims)) for kind in MEANS}

    def errors(positions: np.ndarray, kinds: Sequence[str]) -> Iterator[dict[str, np.ndarray]]:
        """Yield the errors of clips at these positions of the table, and keep their means."""
        found = clip_errors(net, clips.waveforms, clips.rows[positions], clips.sections, kinds)
        for position, error in zip(positions, found, strict=True):
            for kind, rows in means.items():
                rows[position] = error[kind].mean(0, dtype=np.float64)
            yield error

    fitted = np.flatnonzero(planned & ((clips.role == HELD_OUT) | target))
    known = Errors.of(table.iloc[fitted], list(errors(fitted, error_kinds(options))))
    learn = np.flatnonzero(planned & (clips.role == LEARN) & ~target)
    for _ in errors(learn, MEANS):
        pass
    learnt = Errors(table.iloc[learn].reset_index(drop=True), [], means["signed"][learn])
    gaussians = fit(known, learnt, options, shifted)

    scored = clips.scored
    values = {variant: np.full(len(scored), np.nan) for variant in options.variants}
    held_out = (scored["split"] == "train").to_numpy()
    for (position, domain), found in cross_fit(known, learnt, options, shifted).items():
        place = held_out & (scored.index == fitted[position]) & (scored["domain"] == domain).to_numpy()
        for variant, value in found.items():
            values[variant][place] = value
    tests = np.flatnonzero(~held_out)
    for place, error in zip(tests, errors(scored.index[tests].to_numpy(), error_kinds(options)), strict=True):
        row = scored.iloc[place]
        for variant, value in score_clip(error, gaussians, row["section"], row["domain"], options).items():
            values[variant][place] = value
    return values, gaussians, means


def band_errors(table: pd.DataFrame, signed: np.ndarray, absolute: np.ndarray, deviation: np.ndarray) -> pd.DataFrame:
    """Compute the mean error of each mel band in dB: ``section, domain, split, label, band, signed, absolute``."""
    keys, parts = ["section", "domain", "split", "label"], []
    for key, index in table.groupby(keys, sort=True).indices.items():
        parts.append(pd.DataFrame([key], columns=keys).loc[np.zeros(len(deviation), int)].reset_index(drop=True))
        parts[-1]["band"] = np.arange(len(deviation))
        for name, values in (("signed", signed), ("absolute", absolute)):
            parts[-1][name] = values[index][:, : len(deviation)].mean(0) * deviation
    return pd.concat(parts, ignore_index=True)
