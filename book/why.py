"""Say why the autoencoder finds what it finds and fails where it does, with the figures of the run."""

import numpy as np
import pandas as pd
from missed import described
from schematics import counted

from asdlib import origin, scores
from asdlib.atomic import read_json
from asdlib.autoencoder.inspection import typical
from asdlib.data.audio import Waveforms
from asdlib.features import LogMel, edge_frames
from asdlib.paths import CLIPS, RECORD, Run
from asdlib.tables import read_table


def bottleneck(run: Run, settings, machine: str) -> str:
    """How a gap is filled, what the network explains, and why the target Gaussian fits source clips better."""
    name, variant, frame = _first(run, settings, machine)
    branch = settings.candidate("autoencoder", name)
    waveforms, masks = Waveforms.open(run.data(machine)), branch.specaugment
    frames, log_mel = frames_of_a_clip(run, settings, machine, name), LogMel(branch.features, settings.data.sample_rate)
    cut = edge_frames(log_mel)
    record = read_json(run.system("autoencoder", machine, settings.trained_as("autoencoder", name)) / RECORD)
    section = frame["section"].min()
    kept = ", and spare the column of the section" * branch.model.section_input
    explained = 100 * record["explained_share"]
    return (
        f"The network has heard normal sound only, and passes it through {counted(branch.model.latent, 'unit')} per "
        f"frame, too few to copy {branch.features.n_mels} mel bands. At inference it also has to fill gaps: "
        f"{round(masks.time_masks * frames / masks.clip_frames)} stripes hide some of the {frames} frames of a clip, "
        f"and others some of its bands. ({counted(2 * cut, 'frame')} at its ends, whose windows reach beyond it, are "
        f"left out.) The masks put in each band's mean{kept}. What it writes into a gap, the network has to guess from "
        "the frames and bands around it, and from similar frames elsewhere in the clip. So it depends on the fault "
        "whether an error is left:\n\n"
        "* A short knock that a stripe hides leaves no trace there. The network writes what is usual, and the knock is "
        "left as an error.\n"
        "* A steady change of colour is seen on both sides of the gap. It is partly reconstructed, and the error is "
        "smaller. That is the known weakness of reconstruction: a network that fills in well also reconstructs the "
        "fault. Of a larger change more is left, so a strong one may still be found.\n\n"
        "{numref}`followed` has input and reconstruction of a fault that is found and of one that is missed.\n\n"
        "**Chance** is left as an error, too, since the level of noise in one band and one frame is random. The error "
        f"of `{name}` is {explained:.0f} % smaller than that of writing each band's mean, on its own training clips of "
        f"{machine} and without masks. The rest is chance and what it has not learnt. A fault no larger than this "
        "chance is missed in a single frame and band. What pooling over frames makes of it depends on the order "
        "({ref}`below <errors-to-score>`).\n\n"
        f"{_shift(frame, section, variant, len(_clips(waveforms, section, 'target')), machine)}"
    )


def frames_of_a_clip(run: Run, settings, machine: str, candidate: str) -> int:
    """Number of frames that an autoencoder reads of the first clip: without those that reach beyond its ends."""
    log_mel = LogMel(settings.candidate("autoencoder", candidate).features, settings.data.sample_rate)
    frames, cut = log_mel.frames(len(Waveforms.open(run.data(machine)).read(0))), 2 * edge_frames(log_mel)
    return frames - cut if frames > cut else frames


def gaussians_frames(run: Run, settings, machine: str) -> str:
    """How many frames fit each Gaussian of the autoencoder, and how much the source's weighs in the target's."""
    clips = read_table(run.data(machine) / CLIPS)
    train = clips[clips["split"] == "train"].groupby(["section", "domain"]).size().unstack(fill_value=0)
    name, _, frame = _first(run, settings, machine)
    branch, first = settings.candidate("autoencoder", name), train.index[0]
    if "target" not in train:
        return "In this run no section has target clips, so that there is no Gaussian of the target domain."
    reference = frame[(frame["section"] == first) & (frame["domain"] == "source") & (frame["split"] == "train")]
    held_out, few = reference["clip"].nunique(), int(train.at[first, "target"])
    each = frames_of_a_clip(run, settings, machine, name)
    mels, prior = branch.features.n_mels, branch.scorer.target_prior
    dims = mels + branch.model.section_regression
    section = " and the section" * branch.model.section_regression
    return (
        f"In this run section {first} of {machine} has {int(train.at[first, 'source'])} normal training clips of the "
        f"source and {few} of the target. The source's Gaussian sees the {held_out} that are held out. Each clip gives "
        f"{each} frames, and each frame an error of {dims} numbers: {mels} mel bands{section}.\n\n"
        f"* The source's covariance is estimated from {held_out} × {each} = {held_out * each:,} frames.\n"
        f"* The target's is estimated from $n$ = {few} × {each} = {few * each:,} frames.\n"
        f"* Each has {dims} × {dims + 1} / 2 = {dims * (dims + 1) // 2:,} parameters.\n"
        f"* The source's weighs $m / (m + n)$ = {prior:g} / {prior + few * each:g} = "
        f"{100 * prior / (prior + few * each):.0f} % in that of the target.\n\n"
        "More frames than dimensions are enough to invert a covariance, but not to know it. Frames of one clip "
        "resemble each other, so a few clips say little about how clips differ, however many frames they have."
    )


def _shift(frame: pd.DataFrame, section: str, variant: str, few: int, machine: str) -> str:
    """The medians of normal clips under both Gaussians, and what they say of the target's."""
    source, shifted, target = gaussians(frame, section)
    return (
        "**The shift** makes errors as well: a target clip is unusual without a fault. The Gaussian of the target "
        f"domain should absorb this, but is fitted on {counted(few, 'clip')}, which the network has learnt from. The "
        f"median scores (`{variant}`) of normal clips in section {section} of {machine}:\n\n"
        f"* source clips: {source:.1f} nats;\n"
        f"* held-out *source* clips under the target's Gaussian: {shifted:.1f} nats;\n"
        f"* real target clips under the target's Gaussian: {target:.1f} nats.\n\n"
        "As long as the last is the largest, the Gaussian fits the source better than the target it is meant for. "
        "{numref}`scorer-gap` says in which sections it narrows the gap between the domains."
    )


def gaussians(frame: pd.DataFrame, section: str) -> tuple[float, float, float]:
    """The median score of normal clips: source test clips, held-out source clips as target clips, target test clips.

    Args:
        frame: Score table of one system.
        section: Of the clips.
    """
    normal = frame[(frame["label"] == "normal") & (frame["section"] == section)]
    medians = normal.groupby(["domain", "split"])["score"].median()
    places = (("source", "test"), ("target", "train"), ("target", "test"))
    return tuple(float(medians.get(place, np.nan)) for place in places)


def median_clips(run: Run, settings, machine: str) -> str:
    """How far the anomaly that the figures show stands out among normal clips, and which figure shows a clearer one."""
    _, variant, frame = _first(run, settings, machine)
    section = frame["section"].min()
    pair = [typical(frame, section, "source", label) for label in ("normal", "anomaly")]
    normal, anomaly = (float(clip["score"]) for clip in pair)
    heard = described(run, settings, machine, pair[1], "It")
    usual = frame[(frame["section"] == section) & (frame["domain"] == "source") & (frame["split"] == "test")]
    usual = usual.loc[usual["label"] == "normal", "score"]
    above = int((usual >= anomaly).sum())
    return (
        f"The anomaly scores {anomaly:.1f} nats and the normal clip {normal:.1f} (`{variant}`). In all, {above} of "
        f"{len(usual)} normal test clips score as high as this anomaly. {heard} The clips are chosen by the score, not "
        "by ear: what is easy to hear need not have a high score, and the other way round. {numref}`followed` has the "
        "anomaly with the highest score of *mix*."
    )


def _first(run: Run, settings, machine: str) -> tuple[str, str, pd.DataFrame]:
    """The first candidate, the variant by which *fixed* scores it, and its scores."""
    name = next(iter(settings.autoencoder_candidates))
    variant = origin.first("autoencoder", settings.candidate("autoencoder", name).scorer.variants, origin.PAPER)
    frame = scores.read(run.scores("autoencoder", machine, name))
    return name, variant, frame[frame["system"] == f"autoencoder/{name}/{variant}"]


def _clips(waveforms: Waveforms, section: str, domain: str) -> pd.DataFrame:
    clips = waveforms.clips
    return clips[(clips["section"] == section) & (clips["domain"] == domain) & (clips["split"] == "train")]
