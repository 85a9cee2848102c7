"""Pages on a run whose recordings are not part of the project, made of what :mod:`store` kept of it."""

import itertools
import json
from collections import Counter
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import real_answers
import table_one
import tables
import verdicts
from paired import read_differences
from tables import day, percent, table

from asdlib import metrics, origin
from asdlib.classifier import inspection
from asdlib.ensemble.blocks import BLOCKS, EXTENSIONS, MIX, ROWS
from asdlib.evaluation import false_alarms
from asdlib.evaluation.bootstrap import Resampled, interval
from asdlib.evaluation.rows import ROWS as ALL_ROWS
from asdlib.evaluation.rows import SYSTEMS
from asdlib.evaluation.values import slug
from asdlib.plots import autoencoder, baselines, classifier, ensemble, evaluation, style

PAGES = ("real", "real_autoencoder", "real_classifier", "real_ensembles")
"""chapters whose numbers are of the stored run, not of the book's"""
REFERENCE = "Mahalanobis (shift)"
"""the row without a network that each system is compared with"""
CAUTION = (
    "Real toy cars, but waveforms synthesised again from spectrograms and a simulated domain shift: a stand-in, not "
    "DCASE2021."
)
TUNED = {
    True: "Its settings were tuned while looking at figures of these very test clips: no blind result, not even where "
    "no label is used.",
    False: "Its settings were fixed before anybody saw a figure of these test clips.",
}
"""what ``settings_tuned_on_these_clips`` of a stored run's record means"""
DIFFERENCES = "table1_differences.csv"
DOMAINS = ("source", "target", "all")
SYSTEMS_FILE = "systems.csv"
"""what :func:`compare` finds; drawing a thousand resamples takes too long for each building of the book"""
COMPARED = ["value", "low", "high", "difference", "difference_low", "difference_high"]
BEST = 10
"""systems of each branch that are shown unfolded"""
WIDTHS = "4 5 2 2 5 6"
"""relative widths of the columns of :func:`systems`"""
FINETUNED = {"mahalanobis": "source_mahalanobis", "w50_mean": "source_model"}
"""score of the fine-tuned model, and the same score of the model before it"""


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


def compare(scores: pd.DataFrame, settings: dict) -> pd.DataFrame:
    """Every candidate's variants next to the reference, and fine-tuned models next to their source models, resampled.

    Args:
        scores: As :func:`read` gives them.
        settings: Of the run.

    Returns:
        One row per system and domain: ``system, than, domain, value, low, high`` (of the system, interval over clips),
        ``difference, difference_low, difference_high`` (paired; NaN for the reference itself).
    """
    evaluation_ = settings["evaluation"]
    singles = scores[scores["row"].str.contains("/") | (scores["row"] == REFERENCE)]
    samples = Resampled(singles, evaluation_["p"], evaluation_["bootstrap"], settings["seed"])
    names = {row for row, _ in samples.keys}
    pairs = [(name, REFERENCE) for name in sorted(names)]
    for tuned, source in FINETUNED.items():
        both = ((f"{stem}/{tuned}", f"{stem}/{source}") for stem in sorted({name.rpartition("/")[0] for name in names}))
        pairs += [pair for pair in both if names.issuperset(pair) and pair[0].startswith("classifier/")]
    rows = []
    for (name, than), domain in itertools.product(pairs, DOMAINS):
        own = interval(samples.values((name, ""), domain=domain), evaluation_["confidence"], (0, 1))
        less = (float("nan"),) * 3
        if name != than:
            less = interval(samples.difference((name, ""), (than, ""), domain=domain), evaluation_["confidence"])
        rows.append((name, than, domain, *own, *less))
    return pd.DataFrame(rows, columns=["system", "than", "domain", *COMPARED])


def stamp(folder: Path) -> tuple[str, str]:
    """What the data are and which run this is; what made it."""
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    over_seeds = [folder / name for name in ("table1_seeds.csv", "ablations.csv") if (folder / name).is_file()]
    seeds = f"{pd.read_csv(over_seeds[0])['seeds'].max()} seeds." if over_seeds else "One seed."
    first = (
        f"**{record['title']}.** Profile `{record['profile']}`. {CAUTION} {tuned(record)} {seeds} **The recordings are "
        "not part of "
    )
    facts = f"{day(record['date'])}; {record['hours'] * 60:.0f} min in all stages; commit `{record['commit']}`."
    return first + "this project, so this page shows a stored run, not the run that the other pages show**", facts


def tuned(record: dict) -> str:
    """Whether the settings of a stored run were tuned on the clips that it reports, as a sentence."""
    return TUNED[record["settings_tuned_on_these_clips"]]


def values(folder: Path) -> dict[str, str]:
    """Texts for prose: rows of Table 1 over all, the gain of *mix*, how many systems differ from the reference."""
    frame = pd.read_csv(folder / "table1.csv").fillna({"selection": ""}).dropna(subset=["value"])
    frame = frame[frame["machine"] == "all"]
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    named = {
        "commit_of_claims": f"`{record.get('commit_of_claims', record['commit'])}`",
        "rows_missing": " and ".join(f"*{row}*" for row in ALL_ROWS if row not in set(frame["row"])),
    }
    named |= {
        slug(item.row, item.selection, item.domain if item.domain != "all" else ""): percent(item.value)
        for item in frame.itertuples()
    }
    gained = pd.read_csv(folder / DIFFERENCES, keep_default_na=False)
    for name, than in (("ae", "AE ensemble"), ("bc", "BC ensemble"), ("baseline", "Baseline (AE)")):
        found = gained[(gained["row"] == MIX) & (gained["than"] == than) & (gained["selection"] == "cross-fitted")]
        ((effect, low, high),) = found.loc[found["domain"] == "all", ["difference", "low", "high"]].to_numpy(float)
        named[f"gain_mix_over_{name}"] = tables.effect(effect, low, high)
    compared = pd.read_csv(folder / SYSTEMS_FILE)
    compared = compared[(compared["than"] == REFERENCE) & (compared["domain"] == "all")]
    for branch in ("autoencoder", "classifier"):
        rows = compared[compared["system"].str.startswith(branch)]
        above, below = (rows["difference_low"] > 0).sum(), (rows["difference_high"] < 0).sum()
        named |= {f"{branch}_systems": str(len(rows)), f"{branch}_above": str(above), f"{branch}_below": str(below)}
    return named


# Tables ---------------------------------------------------------------------------------------------------------------
def systems(compared: pd.DataFrame, branch: str) -> str:
    """The best candidates and variants of a branch and, folded, all, with their paired difference to the reference."""
    compared = compared[compared["than"] == REFERENCE].set_index(["system", "domain"])
    rows = [name for name in compared.index.unique("system") if name.startswith(branch)]
    shown = []
    for name in [*sorted(rows, key=lambda name: -compared.loc[(name, "all"), "value"]), REFERENCE]:
        by = {domain: compared.loc[name, domain] for domain in DOMAINS}
        words = name.split("/")[1:] if name != REFERENCE else [f"*{REFERENCE}*", tables.BLANK]
        texts = [percent(by["source"]["value"]), percent(by["target"]["value"]), percent(*by["all"][COMPARED[:3]])]
        shown.append([*words, *texts, tables.effect(*by["all"][COMPARED[3:]]) if name != REFERENCE else tables.BLANK])
    columns = ["Candidate", "Variant", "Source", "Target", "All (interval)", f"Minus *{REFERENCE}*"]
    frame = pd.DataFrame(shown, columns=columns)
    about = (
        "on the stand-in, best first: harmonic mean of AUC and pAUC, per cent; the paired difference to "
        f"*{REFERENCE}* in percentage points. All are computed from the stored scores, which have five digits, so "
        "*Mahalanobis (shift)* may differ from its row of Table 1 by a digit."
    )
    best = table(
        pd.concat([frame.head(BEST), frame.tail(1)]),
        f"The {BEST} best {branch} candidates and variants {about}",
        f"real-{branch}-best",
        "llrrrr",
        WIDTHS,
    )
    whole = table(frame, f"Every {branch} candidate and variant {about}", f"real-{branch}-systems", "llrrrr", WIDTHS)
    return f"{best}\n::::{{dropdown}} All {len(rows)} candidates and variants\n{whole}::::\n"


def finetuning(compared: pd.DataFrame) -> str:
    """Fine-tuned less not fine-tuned in the target domain, paired, of each candidate and score."""
    target = compared[compared["domain"] == "target"]
    alone = target[target["than"] == REFERENCE].set_index("system")["value"]
    pairs = target[target["than"].str.rpartition("/")[2].isin(FINETUNED.values())]
    shown = [
        (*row.system.split("/")[1:], percent(row.value), percent(alone[row.than]), _effect(row))
        for row in pairs.sort_values("system").itertuples()
    ]
    columns = ["Candidate", "Score", "Fine-tuned", "Source model", "Difference (interval)"]
    caption = "The target domain before and after fine-tuning on the stand-in, per cent; differences paired, in points."
    return table(pd.DataFrame(shown, columns=columns), caption, "real-finetuning", "llrrr")


def _extensions(record: dict, systems: list[str]) -> list[str]:
    """The systems that the paper lacks: their candidate or their variant is an extension."""
    found = []
    for system in systems:
        branch, candidate, variant = system.split("/")
        origins = (
            record["settings"][f"{branch}_candidates"][candidate].get("origin"),
            origin.of_variant(branch, variant),
        )
        found += [system] * (origin.EXTENSION in origins)
    return found


def _effect(row) -> str:
    return tables.effect(row.difference, row.difference_low, row.difference_high)


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


def gains(differences: pd.DataFrame) -> str:
    """What combining and the extensions gain, paired, by selection and domain.

    Args:
        differences: The run's own, in whose intervals the selection is repeated.
    """
    differences = differences[differences["machine"] == "all"]
    keys = differences[["row", "selection", "than", "than_selection", "domain"]].itertuples(index=False, name=None)
    known = dict(zip(keys, differences[["difference", "low", "high"]].to_numpy(dtype=float), strict=True))
    shown = []
    for row, than in GAINS:
        for selection in table_one.SELECTIONS:
            other = (than, "" if than in SYSTEMS else selection)
            effects = [known.get((row, selection, *other, domain)) for domain in DOMAINS]
            if any(effect is not None and not pd.isna(effect[0]) for effect in effects):
                texts = [tables.BLANK if effect is None else tables.effect(*effect) for effect in effects]
                words = f"{row} minus {than}".replace(f"{MIX}", "mix")
                shown.append((words, selection, *texts))
    columns = ["Difference", "Selection", "Source", "Target", "All"]
    caption = (
        "What combining and our extensions gain on the stand-in: paired differences in percentage points, with "
        "intervals; *mix* is that of the paper's rows."
    )
    return table(pd.DataFrame(shown, columns=columns), caption, "real-gains", "llrrr", "5 3 5 5 5")


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


def pages(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The generated parts of the pages by file name, and texts for prose by name, of the stored run in ``folder``."""
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    compared = pd.read_csv(folder / SYSTEMS_FILE)
    differences = pd.read_csv(folder / DIFFERENCES, keep_default_na=False)
    texts = {
        "generated/real.md": table_one.stored(folder),
        "generated/real_claims.md": verdicts.of_one_run(
            verdicts.read(folder / "claims.csv"), "real-claims", read_differences(folder / DIFFERENCES)
        ),
        "generated/real_autoencoder.md": systems(compared, "autoencoder"),
        "generated/real_classifier.md": systems(compared, "classifier"),
        "generated/real_finetuning.md": finetuning(compared),
        "generated/real_claims_extensions.md": stored_extensions(folder),
        "generated/real_false_alarms.md": stored_false_alarms(folder),
        "generated/real_gains.md": gains(differences),
        "generated/real_choices.md": choices(folder),
        "generated/real_settings.json": json.dumps(record["settings"], indent=1) + "\n",
    }
    return texts, values(folder) | real_answers.values(folder)


def stored_extensions(folder: Path) -> str:
    """What the extensions gain in the stored run, if it judged them."""
    path = folder / "claims_extensions.csv"
    if not path.is_file():
        return "The stored run is from before rows of the paper's method and of our extensions were kept apart."
    return verdicts.extensions(verdicts.read(path), "real-extensions", read_differences(folder / DIFFERENCES))


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
    losses = pd.read_csv(folder / "losses_classifier.csv")
    figures = {
        "table1": evaluation.intervals(table1[(table1["machine"] == "all") & (table1["domain"] == "all")]),
        "claims": evaluation.claims(verdicts.read(folder / "claims.csv")),
        "scorer": autoencoder.distributions(_only(scores, [one + name for name in ("l1", "median", "clip_signed")])),
        "bands": autoencoder.bands(
            pd.read_csv(folder / "bands.csv", dtype=text), record["settings"]["data"]["sample_rate"]
        ),
        "losses_autoencoder": autoencoder.training(pd.read_csv(folder / "losses_autoencoder.csv")),
        "losses_classifier": classifier.training(losses, inspection.loss_weights(losses)),
        "scores": baselines.scores(_only(scores, [other + name for name in ("w50_mean", "mahalanobis")])),
        "maps": classifier.maps(
            pd.read_csv(folder / "maps.csv", dtype=text, keep_default_na=False).assign(method="PCA"), "PCA"
        ),
        "pool": ensemble.pool(
            metrics.cells(metrics.sections(metrics.evaluable(singles), p)),
            _extensions(record, singles["system"].unique()),
        ),
        "agreement": ensemble.agreement(pd.read_csv(folder / "agreement.csv", dtype=text)),
        "branches": ensemble.branches(_only(scores, both), *both),
        "roc": ensemble.roc(metrics.evaluable(fixed.assign(system=fixed["row"])), p),
    }
    for name, figure in figures.items():
        with plt.rc_context({"svg.hashsalt": "asdlib", "svg.fonttype": "path"}):
            figure.savefig(where / f"real_{name}.svg", metadata={"Date": None})
        plt.close(figure)


def _only(scores: pd.DataFrame, systems: list[str]) -> pd.DataFrame:
    return scores[scores["system"].isin(systems)]
