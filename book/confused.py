"""Let the reader hear the clips that the classifier is most wrong about, and say which part of its score erred."""

import numpy as np
import pandas as pd
from missed import described
from tables import BLANK, table

from asdlib import metrics, origin, scores
from asdlib.autoencoder.inspection import typical
from asdlib.classifier.inspection import example, find_confused
from asdlib.data.audio import Waveforms
from asdlib.evaluation.followed import HEARD, MOMENT, SPECTRUM, deviations
from asdlib.evaluation.render import typeset
from asdlib.paths import Run
from asdlib.plots import sound

PARTS = ("posterior", "distance")


def confused(run: Run, settings, machine: str) -> str:
    """Players of the two clips and of typical normal ones, a sentence on each, and their ranks by every part."""
    judges, system, parts = _judges(run, settings, machine)
    frame = judges[system]
    worst = find_confused(frame).groupby("label", sort=False).head(1)
    heard, usual = [], set()
    for clip in worst.itertuples():
        where = f"section {clip.section}, {clip.domain}"
        heard.append((f"{clip.label}, {where}: {clip.clip}", clip.clip))
        if (clip.section, clip.domain) not in usual:
            usual.add((clip.section, clip.domain))
            other = typical(frame, clip.section, clip.domain, "normal")["clip"]
            heard.append((f"typical normal clip, {where}: {other}", other))
    waveforms = Waveforms.open(run.data(machine))
    players = sound.players([example(settings, waveforms, title, clip) for title, clip in heard]).data
    html = f"""```{{raw}} html
<span id="confused-clips"></span>
<div class="scrolls">{players}</div>
```
"""
    rows, sentences = [], []
    for clip in worst.itertuples():
        ranks = {name: rank(part, clip) for name, part in judges.items()}
        rows.append((clip.label, clip.section, clip.domain, *(_percent(ranks[name]) for name in judges)))
        sentences.append(_sentence(run, settings, machine, clip, ranks, frame, parts))
    names = [name if name != system else "its score" for name in judges]
    columns = ["Clip", "Section", "Domain", *(name[:1].upper() + name[1:] for name in names)]
    caption = (
        f"{machine}: the normal test clips of the same section and domain, in per cent, that each score ranks below "
        f"the clip. A part errs that ranks {100 * HEARD:.0f} % or more of them below the normal clip, or fewer below "
        "the anomaly. *Mahalanobis* is the baseline without a network, *Autoencoder* the first candidate by the "
        "variant of *fixed*."
    )
    shown = table(pd.DataFrame(rows, columns=columns), caption, "confused-ranks", "lll" + "r" * len(judges))
    parts = [
        _sought(machine, system),
        f"(confused-clips)=\n\n{html}",
        "Next to each stands the normal clip with the median score of the same section and domain; all are amplified "
        "alike.",
        *sentences,
        shown,
    ]
    return "\n\n".join(parts)


def _judges(run: Run, settings, machine: str) -> tuple[dict[str, pd.DataFrame], str, dict[str, pd.DataFrame]]:
    """The test clips' scores by the classifier, both of its parts, a simple distance and an autoencoder; by name.

    With them the name of the classifier's system, and the scores of both parts with those of held-out clips.
    """
    found, first = {}, {}
    for branch in ("classifier", "autoencoder"):
        candidate = next(iter(getattr(settings, f"{branch}_candidates")))
        variant = origin.first(branch, settings.candidate(branch, candidate).scorer.variants, origin.PAPER)
        frame, first[branch] = scores.read(run.scores(branch, machine, candidate)), f"{branch}/{candidate}/{variant}"
        if branch == "classifier":
            names = {first[branch]: first[branch]}
            names |= {part: f"classifier/{candidate}/{part}" for part in PARTS}
        else:
            names = {"autoencoder": first[branch]}
        found |= {name: frame[frame["system"] == system] for name, system in names.items()}
        if branch == "classifier":
            found["Mahalanobis"] = scores.read(run.scores("mahalanobis", machine))
    judges = {name: metrics.labelled(part) for name, part in found.items() if len(part)}
    return judges, first["classifier"], {name: found[name] for name in PARTS if name in found}


def rank(frame: pd.DataFrame, clip) -> float:
    """The share of the other normal test clips of a clip's section and domain that score lower."""
    same = frame[(frame["section"] == clip.section) & (frame["domain"] == clip.domain)]
    own = same.loc[same["clip"] == clip.clip, "score"]
    others = same.loc[(same["label"] == "normal") & (same["clip"] != clip.clip), "score"]
    return float((others < own.iat[0]).mean()) if len(own) and len(others) else np.nan


def _percent(share: float) -> str:
    return BLANK if np.isnan(share) else f"{100 * share:.0f}"


def _sought(machine: str, system: str) -> str:
    return (
        f"About these two test clips of {machine} the classifier `{system.split('/')[1]}` is most wrong, by "
        f"`{system.rpartition('/')[2]}`: the normal clip with the highest rank and the anomaly with the lowest. Ranks "
        "are among the clips of the same section and domain, since scores of different models cannot be compared."
    )


def _sentence(run: Run, settings, machine: str, clip, ranks, frame, scores_of_parts) -> str:
    """Where a clip is from, what its fault is, what it scores, which part of the score erred, and how it sounds."""
    normal = clip.label == "normal"
    first = (
        f"**The {'normal clip' if normal else 'anomaly'}** is of section {clip.section}, {clip.domain} domain, and "
        f"scores {typeset(f'{clip.score:.2f}')}."
    )
    row = pd.Series({name: getattr(clip, name) for name in ("domain", "split", "clip")})
    fault = "" if normal else f" {described(run, settings, machine, row, 'It')}".rstrip()
    parts = {name: ranks[name] for name in PARTS if not np.isnan(ranks.get(name, np.nan))}
    said = f" Of the two parts of its score, {erred(parts, normal)} ({{numref}}`confused-ranks`)." if parts else ""
    units = [f"the {name} is at {typeset(f'{in_deviations(scores_of_parts[name], clip):+.2f}')}" for name in parts]
    said += f" In deviations of held-out clips, {' and '.join(units)}." if len(units) > 1 else ""
    plain = deviations(settings, machine, clip.section, clip.domain)
    names = normal_clips_near(frame, clip)
    usual = plain.loc[names[names != clip.clip]]
    odd = (usual < plain.loc[clip.clip]).mean()
    sound = (
        f" Without a network, its {SPECTRUM} lies farther from that of training clips than those of "
        f"{100 * odd[SPECTRUM]:.0f} % of the normal clips there, and its {MOMENT} than those of "
        f"{100 * odd[MOMENT]:.0f} %: {describe_sound(odd, normal)}."
    )
    return f"{first}{fault}{said}{sound}"


def in_deviations(scored: pd.DataFrame, clip) -> float:
    """A clip's score minus the mean of its section's and domain's held-out clips, over their deviation."""
    same = scored[(scored["section"] == clip.section) & (scored["domain"] == clip.domain)]
    held_out = same.loc[same["split"] == "train", "score"]
    return float((same.loc[same["clip"] == clip.clip, "score"].iat[0] - held_out.mean()) / held_out.std(ddof=0))


def normal_clips_near(frame: pd.DataFrame, clip) -> pd.Series:
    """Return the names of the normal clips of a clip's section and domain."""
    same = (frame["section"] == clip.section) & (frame["domain"] == clip.domain) & (frame["label"] == "normal")
    return frame.loc[same, "clip"]


def describe_sound(odd: pd.Series, normal: bool) -> str:
    """Say what the plain log-mel of a clip suggests, by the shares of normal clips that are less odd.

    >>> describe_sound(pd.Series({SPECTRUM: 0.2, MOMENT: 0.95}), normal=True)
    'a single moment is unusual, such as a clang near the machine'
    >>> describe_sound(pd.Series({SPECTRUM: 0.2, MOMENT: 0.3}), normal=False)
    'the fault hardly shows there'
    """
    if not normal:
        return "the fault shows there" if (odd >= HEARD).any() else "the fault hardly shows there"
    if odd[SPECTRUM] >= HEARD:
        return "it sounds unusual as a whole, without any fault"
    if odd[MOMENT] >= HEARD:
        return "a single moment is unusual, such as a clang near the machine"
    return "nothing so simple is unusual about it"


def erred(parts: dict[str, float], normal: bool) -> str:
    """Say which part of the score is wrong about a clip, by how many normal clips it ranks below it.

    A part calls a clip unusual if it ranks it above a share :data:`asdlib.evaluation.followed.HEARD` of them.

    >>> erred({"posterior": 0.95, "distance": 0.4}, normal=True)
    'the posterior errs, the distance does not'
    >>> erred({"posterior": 0.1, "distance": 0.4}, normal=False), erred({"posterior": 0.5}, normal=True)
    ('both err', 'the posterior does not err, only its sum with the other part')
    """
    wrong = [name for name, share in parts.items() if (share >= HEARD) == normal]
    right = [name for name in parts if name not in wrong]
    if not right:
        return "both err" if len(wrong) > 1 else f"the {wrong[0]} errs"
    if wrong:
        return f"the {wrong[0]} errs, the {right[0]} does not"
    if len(right) > 1:
        return "neither errs alone, only their sum does"
    return f"the {right[0]} does not err, only its sum with the other part"
