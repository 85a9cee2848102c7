"""Pages on a run whose recordings are not part of the project, made of what :mod:`store` kept of it."""

import json
from pathlib import Path

import claim_counts
import gpu_figures
import pandas as pd
import provenance
import real_answers
import real_compared
import real_ensembles
import real_gain
import schematics
import stored_results
import table_one
import tables
import verdicts
from claim_tests import Scope
from paired import paired, verdict
from tables import day, percent

from asdlib import params
from asdlib.atomic import read_json
from asdlib.ensemble.blocks import MIX
from asdlib.evaluation.bootstrap import side
from asdlib.evaluation.values import slug
from asdlib.paths import Run
from asdlib.scores import CLIP

PAGES = ("real", "real_autoencoder", "real_classifier", "real_ensembles")
"""chapters whose numbers are of the stored run, not of the book's"""
CAUTION = (
    "Real toy cars, but waveforms synthesised again from spectrograms and a simulated domain shift: a stand-in, not "
    "DCASE2021."
)
TUNED = {
    True: "Its settings were chosen while looking at these test clips, so all figures may be too good.",
    False: "Its settings were fixed before anybody saw a figure of these test clips.",
}
"""what ``settings_tuned_on_these_clips`` of a stored run's record means"""
DIFFERENCES = "table1_differences.csv"


def read(folder: Path) -> pd.DataFrame:
    """The stored scores as score rows with the further columns ``row, selection, fold`` (:mod:`asdlib.evaluation`).

    A candidate's variant is a row by its own name; it selects nothing.
    """
    frame = stored_results.read(folder / "scores.csv")
    frame = frame.melt(id_vars=[*CLIP, "fold"], var_name="system", value_name="score").dropna(subset=["score"])
    parts = frame["system"].str.split("/", n=2)
    ensemble = parts.str[0] == "ensemble"
    frame["row"] = frame["system"].replace(stored_results.PRINTED).where(~ensemble, parts.str[2])
    frame["selection"] = parts.str[1].where(ensemble, "")
    frame["fold"] = frame["fold"].where(frame["selection"] == "cross-fitted", "")
    return frame


def stamp(folder: Path) -> tuple[str, str]:
    """What the data are and which run this is; what made it."""
    record = read_json(folder / "record.json")
    first = f"**{record['title']}: a stored run**, not the run of other pages"
    facts = (
        f"Profile `{record['profile']}`. {CAUTION} {tuned(record)} {seeds(folder)}. "
        "The recordings are not part of this project. "
        f"{day(record['date'])}; {record['hours'] * 60:.0f} min in all stages; commit `{record['commit']}`."
    )
    return first, facts


def seeds(folder: Path) -> str:
    """How many seeds a stored run has, in words."""
    tables = [folder / name for name in ("table1_seeds.csv", "ablations.csv") if (folder / name).is_file()]
    return schematics.counted(int(stored_results.read(tables[0])["seeds"].max()) if tables else 1, "seed")


def over_seeds(folder: Path, name: str) -> pd.DataFrame:
    """A table of a stored run: the one over runs that differ in the seed only, or that of the run if there is none."""
    several = Run(folder).over_seeds(folder / name)
    return stored_results.read(several if several.is_file() else folder / name)


def tuned(record: dict) -> str:
    """Whether the settings of a stored run were tuned on the clips that it reports, as a sentence."""
    return TUNED[record["settings_tuned_on_these_clips"]]


def values(folder: Path) -> dict[str, str]:
    """Texts for prose: rows of Table 1 over all, the gain of *mix*, systems that differ from the reference, answers."""
    frame = stored_results.read(folder / "table1.csv").dropna(subset=["value"])
    frame = frame[frame["machine"] == "all"]
    named = {
        slug(item.row, item.selection, item.domain if item.domain != "all" else ""): percent(item.value)
        for item in frame.itertuples()
    }
    seeded = Run(folder).over_seeds(folder / DIFFERENCES)
    for path, over in ((folder / DIFFERENCES, ""), (seeded, "_over_seeds")):
        if not path.is_file():
            continue
        gained = stored_results.read(path)
        for name, than in (("ae", "AE ensemble"), ("bc", "BC ensemble"), ("baseline", "Baseline (AE)")):
            found = gained[(gained["row"] == MIX) & (gained["than"] == than) & (gained["selection"] == "cross-fitted")]
            ((effect, low, high),) = found.loc[found["domain"] == "all", ["difference", "low", "high"]].to_numpy(float)
            named[f"gain_mix_over_{name}{over}"] = tables.effect(effect, low, high)
            words = ("which is shown", "so a loss is shown", "which is not shown to be a gain")
            named[f"shown_mix_over_{name}{over}"] = verdict(low, high, words)
        for domain, words in (("all", ""), ("source", "_source"), ("target", "_target")):
            fixed = paired(gained, (MIX, "fixed"), ("Baseline (AE)", ""), "all", domain)
            named[f"fixed_mix_over_baseline{words}{over}"] = tables.effect(*fixed)
    named["seeds"] = seeds(folder)
    averaged = Run(folder).over_seeds(folder / "table1.csv")
    if averaged.is_file():
        whole = stored_results.read(averaged)
        for item in whole[(whole["machine"] == "all") & (whole["domain"] == "all")].itertuples():
            words = f"{percent(item.mean)} ± {percent(item.deviation)}"
            named[f"{slug(item.row, item.selection, '')}_over_seeds"] = words
    judged = over_seeds(folder, "claims.csv").set_index("claim")
    both = "both of our approaches significantly outperform the baselines systems [autoencoder]"
    for branch, words in (("ae", both), ("bc", both.replace("autoencoder", "classifier"))):
        figures = judged.loc[words, ["effect", "low", "high"]].astype(float)
        named[f"gain_{branch}_over_baselines"] = tables.effect(*figures)
    named |= of_claims(folder)
    named["ae_over_baselines_verdict"] = judged.loc[both, "verdict"]
    named |= rates_in_target(folder) | sizes(read_json(folder / "record.json")["settings"])
    compared = stored_results.read(folder / real_compared.SYSTEMS_FILE)
    named |= real_compared.helped(compared)
    compared = compared[(compared["than"] == real_compared.REFERENCE) & (compared["domain"] == "all")]
    for branch in ("autoencoder", "classifier"):
        rows = compared[compared["system"].str.startswith(branch)]
        where = side(rows["difference_low"], rows["difference_high"])
        above, below = (where > 0).sum(), (where < 0).sum()
        named |= {f"{branch}_systems": str(len(rows)), f"{branch}_above": str(above), f"{branch}_below": str(below)}
    trained = stored_results.GPU.with_name(gpu_figures.PAPER_SIZE)
    named |= real_gain.values(folder, read_json(folder / "record.json")["settings"], trained)
    return named | real_answers.values(folder)


def of_claims(folder: Path) -> dict[str, str]:
    """How many sentences got which verdict, how many changed with more seeds, and how many survive a correction."""
    confidence = read_json(folder / "record.json")["settings"]["evaluation"]["confidence"]
    named = {}
    for file, words in (("claims.csv", ""), ("claims_extensions.csv", "_extensions")):
        judged, several = over_seeds(folder, file), Run(folder).over_seeds(folder / file).is_file()
        named |= {
            f"verdicts{words}": claim_counts.counts(judged),
            f"changed{words}": claim_counts.changed(stored_results.read(folder / file), judged if several else None),
            f"surviving{words}": claim_counts.surviving(judged, confidence),
        }
    return named


def sizes(settings: dict) -> dict[str, str]:
    """The lengths of the trainings and the classifier's network, in words."""
    classifier = settings["classifier"]
    return {
        "ae_steps": str(settings["autoencoder"]["training"]["steps"]),
        "bc_steps": str(classifier["training"]["steps"]),
        "bc_finetune_steps": str(classifier["training"]["finetune_steps"]),
        "backbone": f"`{classifier['model']['backbone']}`",
        "frame_epochs": str(settings["frame_autoencoder"]["epochs"]),
        "mobilenet_epochs": str(settings["mobilenet"]["epochs"]),
    }


def rates_in_target(folder: Path) -> dict[str, str]:
    """Return shares of normal and of anomalous target clips that are called anomalies, over sections, by row."""
    table = stored_results.read(folder / "false_alarms.csv")
    texts = {}
    for row, part in table[table["domain"] == "target"].groupby("row"):
        for name, column in (("alarms", "false_alarms"), ("hits", "recall")):
            low, high = (f"{100 * value:.0f}" for value in (part[column].min(), part[column].max()))
            texts[slug(name, row)] = low if low == high else f"{low} to {high}"
    return texts


def pages(folder: Path) -> dict[str, str]:
    """The generated parts of the pages on the stored run in ``folder``, by file name."""
    record = read_json(folder / "record.json")
    compared = stored_results.read(folder / real_compared.SYSTEMS_FILE)
    differences, averaged = stored_results.read(folder / DIFFERENCES), over_seeds(folder, DIFFERENCES)
    settings, published = params.Settings(**record["settings"]), params.load("paper")
    return {
        "generated/real.md": table_one.stored(folder),
        "generated/real_departures.md": provenance.departures(settings, published, "real-departures", "these runs"),
        "generated/real_claims.md": verdicts.of_one_run(
            over_seeds(folder, "claims.csv"), "real-claims", Scope(tuple(record["machines"]), settings), averaged
        ),
        "generated/real_autoencoder.md": real_compared.systems(compared, "autoencoder"),
        "generated/real_classifier.md": real_compared.systems(compared, "classifier"),
        "generated/real_finetuning.md": real_compared.finetuning(compared),
        "generated/real_claims_extensions.md": verdicts.extensions(
            over_seeds(folder, "claims_extensions.csv"), "real-extensions", averaged
        ),
        "generated/real_false_alarms.md": tables.false_alarms(
            stored_results.read(folder / "false_alarms.csv"), "real-false-alarms-table"
        ),
        "generated/real_gains.md": real_ensembles.gains(differences),
        "generated/real_choices.md": real_ensembles.choices(folder),
        "generated/real_settings.json": json.dumps(record["settings"], indent=1) + "\n",
    }
