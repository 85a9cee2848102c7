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
from asdlib.paths import RECORD, Run


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
        f"frame, too few to copy {branch.features.n_mels} mel bands. It is also given gaps to fill: at inference "
        f"{round(masks.time_masks * frames / masks.clip_frames)} stripes hide some of the {frames} frames of a clip "
        f"({counted(2 * cut, 'frame')} at its ends, whose windows reach beyond it, are left out), and others some of "
        f"its bands. The masks put in each band's mean{kept}. In a gap the network can only write "
        "what is usual there, so what is unusual is left as an error.\n\n"
        "Chance is left as an error, too, since the level of noise in one band and one frame is random. Whoever always "
        f"writes each band's mean makes an error; `{name}`, on its own training clips of {machine} and without masks, "
        f"makes one that is {explained:.0f} % smaller, and the rest is chance and what it has not learnt. A fault no "
        "larger than this chance is missed in a single frame and band; what pooling over frames makes of it depends on "
        "the order ({ref}`below <errors-to-score>`).\n\n"
        f"{_shift(frame, section, variant, len(_clips(waveforms, section, 'target')), machine)}"
    )


def frames_of_a_clip(run: Run, settings, machine: str, candidate: str) -> int:
    """Number of frames that an autoencoder reads of the first clip: without those that reach beyond its ends."""
    log_mel = LogMel(settings.candidate("autoencoder", candidate).features, settings.data.sample_rate)
    frames, cut = log_mel.frames(len(Waveforms.open(run.data(machine)).read(0))), 2 * edge_frames(log_mel)
    return frames - cut if frames > cut else frames


def _shift(frame: pd.DataFrame, section: str, variant: str, few: int, machine: str) -> str:
    """The medians of normal clips under both Gaussians, and what they say of the target's."""
    source, shifted, target = gaussians(frame, section)
    return (
        "The shift makes errors as well: a target clip is unusual without a fault. The Gaussian of the target domain "
        f"should absorb this, but is fitted on {counted(few, 'clip')}, which the network has learnt from. In section "
        f"{section} of {machine} normal clips of the source have a median score (`{variant}`) of {source:.1f} nats. "
        f"Under the target's Gaussian, held-out *source* clips have {shifted:.1f}, and real target clips {target:.1f}: "
        "as long as the latter is the largest, the Gaussian fits the source better than the target it is meant for. "
        "{numref}`scorer-gap` says in which sections the Gaussian narrows the gap between the domains."
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
        f"The anomaly scores {anomaly:.1f} nats and the normal clip {normal:.1f} (`{variant}`), and {above} of "
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
