"""Compute the scores of the followed clips once more, number by number, from the frames to the *fixed* *mix*."""

import numpy as np
import pandas as pd
from tables import BLANK, table

from asdlib import ensemble
from asdlib.autoencoder import inspection
from asdlib.ensemble.blocks import AE_ENSEMBLE, BC_ENSEMBLE, MIX
from asdlib.ensemble.choices import defaults
from asdlib.ensemble.normalisation import normalise
from asdlib.errors import AsdError
from asdlib.evaluation.followed import choose
from asdlib.evaluation.render import typeset
from asdlib.paths import SCORES, Run
from asdlib.tables import read_table


def walk_through(run: Run, settings, machine: str) -> str:
    """From frame scores to the score of *mix*: a sentence on the frames, then a table of every step."""
    wide, chosen = choose(read_table(run.system("ensemble", machine) / SCORES))
    clips = [clip["clip"] for clip in chosen.values()]
    section, domain = wide["section"].iat[0], wide["domain"].iat[0]
    pools = ensemble.pools(settings, machine, "train")
    choices = {choice.row: choice for choice in defaults(*pools, settings) if choice.domain == domain}
    if MIX not in choices:
        return "This run has no ensemble of both branches, whose scores could be computed here."
    steps, parts = [], []
    for row, pool in zip((AE_ENSEMBLE, BC_ENSEMBLE), pools, strict=True):
        group = pool.groups[section, domain]
        names = pool.clips["clip"].to_numpy()[group.columns]
        places = group.columns[[np.flatnonzero(names == clip)[0] for clip in clips]]
        members = [pool.systems.index(name) for name in choices[row].members]
        for k in members:
            held_out = pool.scores[k, group.reference]
            steps.append((f"`{pool.systems[k]}`", held_out, pool.scores[k, places], pool.normalised[k, places]))
        by = choices[row].combination
        combined, held_out = (pool.ensemble(members, by, columns) for columns in (places, group.reference))
        parts.append(normalise(combined, held_out))
        steps.append((f"*{row}*: the {by} of these", held_out, combined, parts[-1]))
    mix = np.mean(parts, axis=0)
    stored = np.array([float(clip[MIX]) for clip in chosen.values()])
    if not np.allclose(mix, stored, rtol=1e-6, atol=1e-9):
        raise AsdError(f"{run.folder}: the scores of mix are {stored}, their steps give {mix}; run make reproduce")
    names = [name for name, *_ in steps] + ["*mix*: the average of both"]
    shown = pd.DataFrame({"Step": names})
    shown["Mean"] = [f"{held_out.mean():.4f}" for _, held_out, *_ in steps] + [BLANK]
    shown["Deviation"] = [f"{held_out.std():.4f}" for _, held_out, *_ in steps] + [BLANK]
    limit = threshold(run, machine, section, domain)
    shown.loc[len(shown)] = ["threshold of *mix*", BLANK, BLANK]
    shown.loc[len(shown)] = ["so the clip is", BLANK, BLANK]
    words = list(chosen)
    found = words.index("found")
    shown["Found, score"] = [typeset(f"{scores[found]:.3f}") for *_, scores, _ in steps] + [BLANK] * 3
    for word in ("found", *(word for word in words if word != "found")):
        place = words.index(word)
        normalised = [z[place] for *_, z in steps] + [mix[place], limit]
        said = verdict(mix[place], limit, anomaly=word != "normal")
        shown[word.capitalize()] = [*(typeset(f"{z:.2f}") for z in normalised), said]
    caption = (
        "From the scores of single systems to *mix*, by the selection *fixed*, for the clips of {numref}`followed`. "
        f"Mean and deviation are those of {len(steps[0][1])} training clips that no system was trained on. The last "
        "columns are normalised: the score minus the mean, over the deviation. An ensemble combines the normalised "
        "scores of the rows above it to a score of its own. The threshold is that of this section, domain and "
        "selection: the reference clips alone set it, so that of new normal clips of the source domain about "
        f"{100 * (1 - settings.evaluation.decision_quantile):g} % raise an alarm ({{numref}}`false-alarms-table`)."
    )
    return f"{_frames(settings, machine, chosen)}\n\n" + table(
        shown, caption, "walk-through-table", "l" + "r" * (shown.shape[1] - 1)
    )


def threshold(run: Run, machine: str, section: str, domain: str) -> float:
    """The threshold that reference clips set for *mix*, *fixed*, in a section and domain (``false_alarms.csv``)."""
    limits = read_table(run.false_alarms).set_index(["row", "selection", "machine", "section", "domain"])["threshold"]
    return float(limits[MIX, "fixed", machine, section, domain])


def verdict(score: float, limit: float, anomaly: bool) -> str:
    """Say what a score is next to a threshold, for a clip whose label is known.

    >>> verdict(2.0, 1.0, anomaly=True), verdict(2.0, 1.0, anomaly=False), verdict(1.0, 1.0, anomaly=True)
    ('found', 'false alarm', 'missed')
    """
    alarm, quiet = ("found", "missed") if anomaly else ("false alarm", "quiet")
    return alarm if score > limit else quiet


def _frames(settings, machine: str, chosen: dict[str, pd.Series]) -> str:
    """How many frames the found clip has, what they score, and what the clip's score is."""
    candidate = next(iter(settings.autoencoder_candidates))
    variant = settings.candidate("autoencoder", candidate).scorer.variants[0]
    frames = inspection.inspect(settings, machine, candidate, chosen["found"]).frame_scores
    low, middle, high = np.percentile(frames, [0, 50, 100])
    return (
        f"In the found clip, `{candidate}` gives each of the {len(frames)} frames a score $s_t$, {{eq}}`nll`, from "
        f"{low:.1f} to {high:.1f} nats; their mean is {frames.mean():.1f} and their median {middle:.1f}. The variant "
        f"`{variant}` makes of them the number in the first row of {{numref}}`walk-through-table`."
    )
