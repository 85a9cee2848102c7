"""Pages on a run whose recordings are not part of the project, made of what :mod:`store` kept of it."""

import json
from collections import Counter
from datetime import datetime
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import table_one
import tables
import verdicts
from tables import percent, table

from asdlib import metrics
from asdlib.ensemble.blocks import BLOCKS, EXTENSIONS, ROWS
from asdlib.evaluation import false_alarms
from asdlib.evaluation.bootstrap import Resampled, interval
from asdlib.evaluation.rows import SYSTEMS
from asdlib.evaluation.values import slug
from asdlib.plots import ablations, autoencoder, baselines, classifier, ensemble, evaluation, style
from asdlib.tables import read_table

PAGES = ("real", "real_autoencoder", "real_classifier", "real_ensembles")
"""chapters whose numbers are of the stored run, not of the book's"""
REFERENCE = "Mahalanobis (shift)"
"""the row without a network that each system is compared with"""
CAUTION = (
    "Real toy cars, but waveforms synthesised again from spectrograms and a simulated domain shift: a stand-in, not "
    "DCASE2021."
)
TUNED = {
    True: "Its settings were tuned while looking at figures of these very test clips: no blind result, also not where "
    "no label is used.",
    False: "Its settings were fixed before anybody saw a figure of these test clips.",
}
"""what ``settings_tuned_on_these_clips`` of a stored run's record means"""
DOMAINS = ("source", "target", "all")
Resamples = dict[str, Resampled]
"""``singles``: every candidate's variants and the reference; ``rows``: the rows of Table 1"""


def read(folder: Path) -> pd.DataFrame:
    """The stored scores as score rows with the further columns ``row, selection, fold`` (:mod:`asdlib.evaluation`).

    A candidate's variant is a row by its own name; it selects nothing.
    """
    frame = pd.read_csv(folder / "scores.csv", dtype={"section": str}).fillna({"fold": ""})
    clip = ["machine", "section", "domain", "split", "clip", "label", "fold"]
    frame = frame.melt(id_vars=clip, var_name="system", value_name="score").dropna(subset=["score"])
    parts = frame["system"].str.split("/", n=2)
    ensemble = parts.str[0] == "ensemble"
    names = {system: row for row, system in SYSTEMS.items()}
    frame["row"] = frame["system"].map(lambda system: names.get(system, system)).where(~ensemble, parts.str[2])
    frame["selection"] = parts.str[1].where(ensemble, "")
    frame["fold"] = frame["fold"].where(frame["selection"] == "cross-fitted", "")
    return frame


def resampled(scores: pd.DataFrame, record: dict) -> Resamples:
    """Figures under resampled clips, with the run's own settings of the evaluation and its seed."""
    evaluation_, seed = record["settings"]["evaluation"], record["settings"]["seed"]
    single = scores["row"].str.contains("/")
    parts = {"singles": scores[single | (scores["row"] == REFERENCE)], "rows": scores[~single]}
    return {name: Resampled(part, evaluation_["p"], evaluation_["bootstrap"], seed) for name, part in parts.items()}


def stamp(folder: Path) -> tuple[str, str]:
    """What the data are and which run this is; what made it."""
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    several = any((folder / name).is_file() for name in ("table1_seeds.csv", "ablations.csv"))
    seeds = "More than one seed." if several else "One seed."
    first = (
        f"**{record['title']}.** Profile `{record['profile']}`. {CAUTION} {tuned(record)} {seeds} **The recordings are "
        "not part of "
    )
    day = f"{datetime.fromisoformat(record['date']):%-d %B %Y}"
    facts = f"{day}; {record['hours'] * 60:.0f} min in all stages; {record['device']}; commit `{record['commit']}`."
    return first + "this project, so this page shows a stored run, not the run that the other pages show**", facts


def tuned(record: dict) -> str:
    """Whether the settings of a stored run were tuned on the clips that it reports, as a sentence."""
    return TUNED[record["settings_tuned_on_these_clips"]]


def values(folder: Path, samples: Resamples, confidence: float) -> dict[str, str]:
    """Texts for prose: every row of Table 1 over all, and how many systems lie clearly above or below the reference."""
    frame = pd.read_csv(folder / "table1.csv").fillna({"selection": ""}).dropna(subset=["value"])
    frame = frame[frame["machine"] == "all"]
    named = {
        slug(item.row, item.selection, item.domain if item.domain != "all" else ""): percent(item.value)
        for item in frame.itertuples()
    }
    for branch in ("autoencoder", "classifier"):
        rows = [key for key in samples["singles"].keys if key[0].startswith(branch)]
        less = [interval(samples["singles"].difference(key, (REFERENCE, "")), confidence) for key in rows]
        above, below = sum(low > 0 for _, low, _ in less), sum(high < 0 for _, _, high in less)
        named |= {f"{branch}_systems": str(len(rows)), f"{branch}_above": str(above), f"{branch}_below": str(below)}
    return named


# Tables ---------------------------------------------------------------------------------------------------------------
def systems(samples: Resampled, branch: str, confidence: float) -> str:
    """Every candidate and variant of a branch, best first, with intervals and paired difference to the reference."""
    rows = [row for row, _ in samples.keys if row.startswith(branch)]
    order = sorted(rows, key=lambda row: -samples.values((row, ""))[0])
    shown = []
    for row in [*order, REFERENCE]:
        by = {domain: interval(samples.values((row, ""), domain=domain), confidence, (0, 1)) for domain in DOMAINS}
        less = interval(samples.difference((row, ""), (REFERENCE, "")), confidence) if row != REFERENCE else None
        name = row.split("/")[1:] if row != REFERENCE else [f"*{REFERENCE}*", tables.BLANK]
        texts = [percent(by["source"][0]), percent(by["target"][0]), percent(*by["all"])]
        shown.append([*name, *texts, tables.effect(*less) if less else tables.BLANK])
    columns = ["Candidate", "Variant", "Source", "Target", "All (interval)", f"Minus *{REFERENCE}*"]
    caption = (
        f"Every {branch} candidate and variant on the stand-in, best first: harmonic mean of AUC and pAUC, per cent; "
        f"the paired difference to *{REFERENCE}* in percentage points."
    )
    return table(pd.DataFrame(shown, columns=columns), caption, f"real-{branch}-systems", "llrrrr")


def finetuning(samples: Resampled, confidence: float) -> str:
    """Fine-tuned less not fine-tuned in the target domain, paired, of each candidate and score."""
    rows = {row for row, _ in samples.keys}
    shown = []
    for row in sorted(rows):
        for tuned, source in (("mahalanobis", "source_mahalanobis"), ("w50_mean", "source_model")):
            other = f"{row.rpartition('/')[0]}/{source}"
            if row.startswith("classifier/") and row.endswith(f"/{tuned}") and other in rows:
                pair = [samples.values((name, ""), domain="target")[0] for name in (row, other)]
                effect = interval(samples.difference((row, ""), (other, ""), domain="target"), confidence)
                shown.append((*row.split("/")[1:], *map(percent, pair), tables.effect(*effect)))
    columns = ["Candidate", "Score", "Fine-tuned", "Source model", "Difference (interval)"]
    caption = "The target domain before and after fine-tuning on the stand-in, per cent; differences paired, in points."
    return table(pd.DataFrame(shown, columns=columns), caption, "real-finetuning", "llrrr")


GAINS = (
    ("AE ensemble", "AE"),
    ("BC ensemble", "BC"),
    ("AE+BC ensemble (mix)", "AE ensemble"),
    ("AE+BC ensemble (mix)", "BC ensemble"),
    ("AE+BC ensemble (mix)", "Baseline (AE)"),
    ("AE+BC ensemble (mix)", REFERENCE),
    ("mix+", "AE+BC ensemble (mix)"),
    ("mix+", REFERENCE),
)
"""what is compared with what"""


def gains(samples: Resampled, confidence: float, stored: Path | None = None) -> str:
    """What combining and the extensions gain, paired, by selection and domain.

    Args:
        samples: The rows of Table 1 under resampled clips.
        confidence: Of the intervals.
        stored: The run's own differences, in whose intervals the selection is repeated; a run without them has
            intervals over clips only.
    """
    known = {}
    if stored is not None and stored.is_file():
        frame = read_table(stored).fillna({"than_selection": ""})
        frame = frame[frame["machine"] == "all"]
        keys = frame[["row", "selection", "than", "than_selection", "domain"]].itertuples(index=False, name=None)
        known = dict(zip(keys, frame[["difference", "low", "high"]].to_numpy(dtype=float), strict=True))
    shown = []
    for row, than in GAINS:
        for selection in table_one.SELECTIONS:
            other = (than, "" if than in SYSTEMS else selection)
            effects = [
                known.get((row, selection, *other, domain))
                if known
                else interval(samples.difference((row, selection), other, domain=domain), confidence)
                for domain in DOMAINS
            ]
            if any(effect is not None and not pd.isna(effect[0]) for effect in effects):
                texts = [tables.BLANK if effect is None else tables.effect(*effect) for effect in effects]
                shown.append((f"{row} minus {than}", selection, *texts))
    columns = ["Difference", "Selection", "Source", "Target", "All"]
    caption = (
        "What combining and our extensions gain on the stand-in: paired differences in percentage points, with "
        "intervals."
    )
    return table(pd.DataFrame(shown, columns=columns), caption, "real-gains", "llrrr")


LOOKED = {"development": "All labels", "first": "Labels of the second half", "second": "Labels of the first half"}
"""what each choice looked at; the cross-fitted ones are reported on the half that they are named after"""


def choices(folder: Path) -> str:
    """What each way of selecting chose by labels, side by side."""
    frame = pd.read_csv(folder / "choices.csv", dtype=str, keep_default_na=False)
    frame = frame[(frame["selection"] != "fixed") & ~frame["row"].isin([block.mix for block in BLOCKS])]
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for item in frame.itertuples():
        counts = Counter(name.partition("/")[2] or name for name in item.members.split("; "))
        words = ", ".join(f"{count} × {name}" if count > 1 else name for name, count in counts.items())
        row = f"{item.row}, section {item.section}" if item.section else item.row
        text = f"{words}{f'; {item.combination}' * bool(item.combination)} ({percent(float(item.value))})"
        cells.setdefault((row, item.domain), {})[LOOKED[item.fold or item.selection]] = text
    shown = pd.DataFrame([{"Row": row, "Domain": domain} | texts for (row, domain), texts in cells.items()])
    caption = (
        "What was chosen on the stand-in by the labels of all test clips and of either half, as candidate/variant; in "
        "brackets its figure on the clips that were looked at, per cent."
    )
    return table(shown.fillna(tables.BLANK), caption, "real-choices", "lllll", "3 2 5 5 5")


def pages(folder: Path, scores: pd.DataFrame) -> tuple[dict[str, str], dict[str, str]]:
    """The generated parts of the pages by file name, and texts for prose by name.

    Args:
        folder: Of the stored run.
        scores: As :func:`read` gives them.
    """
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    samples, confidence = resampled(scores, record), record["settings"]["evaluation"]["confidence"]
    texts = {
        "generated/real.md": table_one.stored(folder),
        "generated/real_claims.md": verdicts.of_one_run(verdicts.read(folder / "claims.csv"), "real-claims"),
        "generated/real_autoencoder.md": systems(samples["singles"], "autoencoder", confidence),
        "generated/real_classifier.md": systems(samples["singles"], "classifier", confidence),
        "generated/real_finetuning.md": finetuning(samples["singles"], confidence),
        "generated/real_claims_extensions.md": stored_extensions(folder),
        "generated/real_false_alarms.md": stored_false_alarms(folder),
        "generated/real_gains.md": gains(samples["rows"], confidence, folder / "table1_differences.csv"),
        "generated/real_choices.md": choices(folder),
        "generated/real_settings.json": json.dumps(record["settings"], indent=1) + "\n",
    }
    return texts, values(folder, samples, confidence)


def stored_extensions(folder: Path) -> str:
    """What the extensions gain in the stored run, if it judged them."""
    path = folder / "claims_extensions.csv"
    if not path.is_file():
        return "The stored run is from before rows of the paper's method and of our extensions were kept apart."
    return verdicts.extensions(verdicts.read(path), "real-extensions")


def stored_false_alarms(folder: Path) -> str:
    """Rates of false alarms in the stored run, if it measured them."""
    path = folder / "false_alarms.csv"
    if not path.is_file():
        return "The stored run is from before training clips were scored out of sample, so it states no rate."
    return tables.false_alarms(false_alarms.read(path), "real-false-alarms")


# Figures --------------------------------------------------------------------------------------------------------------
def draw(folder: Path, scores: pd.DataFrame, where: Path) -> None:
    """Draw the figures of the pages as ``where/real_<name>.svg``."""
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    p = record["settings"]["evaluation"]["p"]
    first = {branch: next(iter(record["settings"][f"{branch}_candidates"])) for branch in ("autoencoder", "classifier")}
    one, other = (f"{branch}/{candidate}/" for branch, candidate in first.items())
    style.use()
    table1 = pd.read_csv(folder / "table1.csv").fillna({"selection": ""})
    singles = scores[scores["row"].str.contains("/")]
    fixed = scores[(scores["selection"] == "fixed") & scores["row"].isin([*ROWS, EXTENSIONS.mix])]
    fixed = pd.concat([fixed, scores[scores["row"] == REFERENCE]])
    both = [f"ensemble/fixed/{row}" for row in ("AE ensemble", "BC ensemble")]
    text = {"section": str, "model": str}
    figures = {
        "table1": evaluation.intervals(table1[(table1["machine"] == "all") & (table1["domain"] == "all")]),
        "claims": evaluation.claims(verdicts.read(folder / "claims.csv")),
        "scorer": autoencoder.distributions(_only(scores, [one + name for name in ("l1", "median", "clip_signed")])),
        "bands": autoencoder.bands(pd.read_csv(folder / "bands.csv", dtype=text)),
        "losses_autoencoder": autoencoder.training(pd.read_csv(folder / "losses_autoencoder.csv")),
        "losses_classifier": classifier.training(pd.read_csv(folder / "losses_classifier.csv")),
        "scores": baselines.scores(_only(scores, [other + name for name in ("w50_mean", "mahalanobis")])),
        "maps": classifier.maps(
            pd.read_csv(folder / "maps.csv", dtype=text, keep_default_na=False).assign(method="PCA"), "PCA"
        ),
        "pool": ensemble.pool(metrics.cells(metrics.sections(metrics.evaluable(singles), p))),
        "agreement": ensemble.agreement(pd.read_csv(folder / "agreement.csv", dtype=text)),
        "branches": ensemble.branches(_only(scores, both), *both),
        "roc": ensemble.roc(metrics.evaluable(fixed.assign(system=fixed["row"])), p),
    }
    for name, figure in figures.items():
        with plt.rc_context({"svg.hashsalt": "asdlib", "svg.fonttype": "path"}):
            figure.savefig(where / f"real_{name}.svg", metadata={"Date": None})
        plt.close(figure)


def draw_ablations(folder: Path, where: Path) -> None:
    """Draw the figures of the page of ablations as ``where/ablations_<name>.svg``."""
    frame = pd.read_csv(folder / "ablations.csv", keep_default_na=False)
    everything = frame[frame["domain"] == "all"]
    masked = everything[everything["change"].str.fullmatch(r"scorer\.(copies: \d+|masking: false).*")]
    base = json.loads((folder / "record.json").read_text(encoding="utf-8"))["settings"]["autoencoder"]["scorer"]
    number = masked["change"].str.extract(r"copies: (\d+)")[0].fillna(0).astype(int)
    own = masked[number == 1].assign(value=lambda part: part["value"] - part["difference"], deviation=0.0)
    counted = pd.concat([masked.assign(copies=number), own.assign(copies=base["copies"])])
    style.use()
    figures = {"copies": ablations.copies(counted)}
    for branch, part in everything.groupby("branch"):
        figures[branch] = ablations.ablations(part)
    for name, figure in figures.items():
        with plt.rc_context({"svg.hashsalt": "asdlib", "svg.fonttype": "path"}):
            figure.savefig(where / f"ablations_{name}.svg", metadata={"Date": None})
        plt.close(figure)


def _only(scores: pd.DataFrame, systems: list[str]) -> pd.DataFrame:
    return scores[scores["system"].isin(systems)]
