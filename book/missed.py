"""Say which part of the system ranks the followed clips where, and so where the fault of the missed one is lost."""

import pandas as pd
from ablation_words import SCORES as WORDS
from tables import table

from asdlib import scores
from asdlib.data import file_names
from asdlib.data.audio import Waveforms
from asdlib.evaluation.followed import HEARD, JUDGES, MOMENT, SPECTRUM, choose, deviations
from asdlib.evaluation.render import typeset
from asdlib.paths import SCORES, Run
from asdlib.synthetic import dataset, faults
from asdlib.tables import read_table

SOUND, RECONSTRUCTION, POOLING, EMBEDDING, COMBINATION = PLACES = (
    "sound", "reconstruction", "pooling over time", "embedding", "combination"
)  # fmt: skip
MEANINGS = {
    SPECTRUM: f"*{SPECTRUM}*: how far the clip's mean over time lies from that of training clips, each band in "
    "units of their deviation",
    MOMENT: f"*{MOMENT}*: how far the frame that deviates most lies from the mean of training frames, each band in "
    "units of their deviation",
    "autoencoder": "AE ensemble",
    "classifier": "BC ensemble",
    "mix": "*mix* of both",
}


def missed(run: Run, settings, machine: str) -> str:
    """Where the fault of the missed clip is lost: a verdict, then the rank of all three clips by every part."""
    wide, chosen = choose(read_table(run.system("ensemble", machine) / SCORES))
    section, domain = wide["section"].iat[0], wide["domain"].iat[0]
    ranks = by_part(run, settings, machine, wide, [clip["clip"] for clip in chosen.values()])
    shown = pd.DataFrame({"Where": ranks["place"], "Part": ranks["part"]})
    for word, clip in chosen.items():
        name = word if word == "normal" else f"anomaly, {word}"
        shown[name.capitalize()] = [f"{100 * share:.0f}" for share in ranks[clip["clip"]]]
    caption = (
        f"{machine}, section {section}, {domain} domain: the normal test clips, in per cent, that each part ranks "
        f"below the clip. A part hears a fault if they are {100 * HEARD:.0f} % or more; by any one part, about one "
        f"normal clip in {1 / (1 - HEARD):.0f} is ranked as high. The sound is the plain log-mel, measured "
        "without a network; reconstruction, pooling and embedding are those of the first candidate of each branch; the "
        "selection of the combination is *fixed*."
    )
    last = chosen["missed"]
    heard = ranks[ranks[last["clip"]] >= HEARD].groupby("place")["name"].agg(list).to_dict()
    ranked = table(shown, caption, "followed-ranks", "llrrr", "3 7 2 2 2")
    kinds = [described(run, settings, machine, chosen[word], f"The {word} clip") for word in ("found", "missed")]
    return f"**Of the missed clip**: {verdict(heard)} {' '.join(kinds)}\n\n{ranked}"


def by_part(run: Run, settings, machine: str, wide: pd.DataFrame, clips: list[str]) -> pd.DataFrame:
    """Rank clips by every part: the share of the normal clips of ``wide`` below each.

    Returns:
        ``place, name, part`` (in words), and one column per clip.
    """
    sound = deviations(settings, machine, wide["section"].iat[0], wide["domain"].iat[0])
    columns = {(SOUND, name): sound[name] for name in (SPECTRUM, MOMENT)}
    for branch, first in (
        ("autoencoder", settings.autoencoder_candidates),
        ("classifier", settings.classifier_candidates),
    ):
        frame = scores.read(run.scores(branch, machine, next(iter(first))))
        test = frame[(frame["split"] == "test") & frame["clip"].isin(wide["clip"])]
        for system, part in test.groupby("system", sort=False):
            name = system.rpartition("/")[2]
            if name in WORDS and not name.startswith("source_"):  # a source clip has no other score before fine-tuning
                place = EMBEDDING if branch == "classifier" else RECONSTRUCTION if name == "l1" else POOLING
                columns[place, name] = part.set_index("clip")["score"]
    columns |= {(COMBINATION, name): wide.set_index("clip")[row] for name, row in JUDGES.items() if row in wide}
    normal = wide.loc[wide["label"] == "normal", "clip"]
    rows = [
        {"place": place, "name": name, "part": MEANINGS.get(name, f"`{name}`: {WORDS.get(name)}")}
        | {clip: float((values[normal] < values[clip]).mean()) for clip in clips}
        for (place, name), values in columns.items()
    ]
    return pd.DataFrame(rows).sort_values("place", key=lambda part: part.map(PLACES.index), kind="stable")


def verdict(heard: dict[str, list[str]]) -> str:
    """Say where a fault is lost, by the parts that hear it at each place.

    >>> verdict({})
    'Neither simple measure of the log-mel shows the fault, and no part hears it.'
    >>> verdict({"sound": ["oddest moment"]})
    'The fault is lost in both networks: the plain log-mel shows it (oddest moment), but no score of theirs hears it.'
    >>> verdict({"pooling over time": ["max"], "embedding": ["mahalanobis"]})
    'The fault is lost in the combination: max and mahalanobis hear it, but mix does not.'
    """
    if "mix" in heard.get(COMBINATION, ()):
        return "The fault is not lost: even the anomaly with the lowest score counts as heard."
    parts = [name for place in PLACES[1:] for name in heard.get(place, ())]
    if parts:
        return (
            f"The fault is lost in the combination: {listed(parts)} hear{'s' * (len(parts) == 1)} it, but mix does not."
        )
    if heard:
        return (
            f"The fault is lost in both networks: the plain log-mel shows it ({listed(heard[SOUND])}), but no score of "
            "theirs hears it."
        )
    return "Neither simple measure of the log-mel shows the fault, and no part hears it."


def listed(names: list[str]) -> str:
    """Join names with commas and a last *and*."""
    return " and ".join([", ".join(names[:-1])] * (len(names) > 1) + names[-1:])


def described(run: Run, settings, machine: str, clip: pd.Series, subject: str) -> str:
    """Say which fault a clip has and how severe it is, as far as its synthesis or its name says."""
    if settings.data.synthetic is not None:
        name = file_names.parse(f"{clip['domain']}_{clip['split']}", clip["clip"])
        kind, severity = dataset.fault_of(settings.data.synthetic, machine, name)
        fault = faults.FAULTS[machine][kind]
        quantity = fault.quantity
        return typeset(
            f"{subject} has the fault *{kind.replace('_', ' ')}* ({fault.meaning}), with a severity of "
            f"{severity:.2g} ({quantity.name}, {quantity.unit}) in a range from {quantity.faint:g}, faint, to "
            f"{quantity.clear:g}, clear."
        )
    clips = Waveforms.open(run.data(machine)).clips
    kind = clips.loc[clips["clip"] == clip["clip"], "attributes"].iat[0]
    return f"{subject} has `{kind}` in its name, which does not say how severe the fault is." if kind else ""
