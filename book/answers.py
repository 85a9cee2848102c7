"""Answers to what a chapter asks to look for: sentences made of the run's numbers, next to the figures."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from missed import missed
from paired import paired, read_differences, verdict
from schematics import counted
from scipy.stats import rankdata
from tables import effect, percent, signed, table

from asdlib import metrics, origin, params, scores
from asdlib.ensemble import SELECTIONS
from asdlib.ensemble.blocks import AE_ENSEMBLE, BC_ENSEMBLE, MIX
from asdlib.evaluation.bootstrap import Resampled, interval
from asdlib.evaluation.paper import BASELINE_MOBILENET
from asdlib.paths import AGREEMENT, SCORES, Run
from asdlib.tables import read_table

CHANCE = 0.5


# Baselines ------------------------------------------------------------------------------------------------------------
def baselines(run: Run, settings, machine: str) -> str:
    """How long the official baselines were trained, next to their sources, and whether the second beats chance."""
    official, parts = params.load("paper"), []
    for words, here, there in (
        ("the frame autoencoder", settings.frame_autoencoder, official.frame_autoencoder),
        ("MobileNetV2", settings.mobilenet, official.mobilenet),
    ):
        parts.append(f"{words} was trained for {counted(here.epochs, 'epoch')} (its source: {there.epochs})")
    fewer = settings.frame_autoencoder.epochs < official.frame_autoencoder.epochs
    fewer &= settings.mobilenet.epochs < official.mobilenet.epochs
    reason = (
        ": fewer than in their sources, so that these figures are no measure of what the baselines can reach"
        if fewer
        else ""
    )
    table1 = read_table(run.table1).fillna({"selection": ""}).set_index(["row", "selection", "machine", "domain"])
    places = []
    for domain in ("source", "target"):
        figures = table1.loc[(BASELINE_MOBILENET, "", "all", domain), ["value", "low", "high"]]
        places.append(f"{_against_chance(*map(float, figures))} in the {domain} domain")
    return (
        f"In the profile `{settings.profile}`, {' and '.join(parts)}{reason}. Over all machine types "
        f"MobileNetV2 {' and '.join(places)}."
    )


# Autoencoder ----------------------------------------------------------------------------------------------------------
def autoencoder(run: Run, settings, machine: str) -> str:
    """Whether the scorer brings the normal clips of both domains together, section by section."""
    candidate = next(iter(settings.autoencoder_candidates))
    after = origin.first("autoencoder", settings.candidate("autoencoder", candidate).scorer.variants, origin.PAPER)
    frame = scores.read(run.scores("autoencoder", machine, candidate))
    normal = frame[(frame["split"] == "test") & (frame["label"] == "normal")]
    gaps = {name: _gaps(normal[normal["system"] == f"autoencoder/{candidate}/{name}"]) for name in ("l1", after)}
    if not all(map(len, gaps.values())):
        return "This run has no error without a scorer, or no section with normal test clips of both domains."
    before, since = gaps.values()
    wider = (since["share"] - CHANCE).abs() - (before["share"] - CHANCE).abs()
    shown = pd.DataFrame({"Section": before.index})
    for words, part, digits in (("before", before, "{:.3f}"), ("after", since, "{:.2f}")):
        for domain in ("source", "target"):
            shown[f"{domain.capitalize()}, {words}"] = [digits.format(value) for value in part[domain]]
        shown[f"Target higher, {words}"] = [f"{100 * value:.0f} %" for value in part["share"]]
    caption = (
        f"Normal test clips of {machine}: medians of both domains before the scorer (mean absolute error) and after it "
        f"(`{after}`), and the share of pairs in which the target clip scores higher. Without a gap it is half of them."
    )
    words = (
        f"**In this run the scorer narrows the gap in {(wider < 0).sum()} of {len(wider)} sections** and widens it in "
        f"{(wider > 0).sum()}. "
        "AUC and pAUC compare clips of one domain only, so a gap does not lower them; a threshold that both domains "
        "share would suffer."
    )
    return f"{words}\n\n{table(shown, caption, 'scorer-gap', 'l' + 'r' * 6)}"


def _gaps(normal: pd.DataFrame) -> pd.DataFrame:
    """Medians of both domains by section, and the share of pairs in which the target clip scores higher."""
    rows = {}
    for section, part in normal.groupby("section"):
        source, target = (part.loc[part["domain"] == domain, "score"].to_numpy() for domain in ("source", "target"))
        if len(source) and len(target):
            above = metrics.auc(np.repeat([0, 1], [len(source), len(target)]), np.concatenate([source, target]))
            rows[section] = {"source": np.median(source), "target": np.median(target), "share": float(above)}
    return pd.DataFrame.from_dict(rows, orient="index")


# Classifier -----------------------------------------------------------------------------------------------------------
def classifier(run: Run, settings, machine: str) -> str:
    """The paper's score next to the Mahalanobis distance of the same embedding, each against chance."""
    candidate = next(iter(settings.classifier_candidates))
    variants = settings.candidate("classifier", candidate).scorer.variants
    names = [origin.first("classifier", variants, origin.PAPER), "mahalanobis"]
    if "mahalanobis" not in variants:
        return "This run has no Mahalanobis distance of the embedding to compare with."
    frame = scores.read(run.scores("classifier", machine, candidate))
    keys = [(f"classifier/{candidate}/{name}", "") for name in names]
    frame = frame[frame["system"].isin([key[0] for key in keys])].assign(row=lambda part: part["system"])
    options = settings.evaluation
    resampled = Resampled(frame.assign(selection="", fold=""), options.p, options.bootstrap, settings.seed)
    lines, rows = [], []
    for domain in dict.fromkeys(unit[2] for unit in resampled.units):
        figures = [interval(resampled.values(key, domain=domain), options.confidence) for key in keys]
        more = interval(resampled.difference(keys[1], keys[0], domain=domain), options.confidence)
        rows.append((domain, *(percent(*figure) for figure in figures), effect(*more)))
        places = [_against_chance(*figure) for figure in figures]
        better = verdict(*more[1:], ("better than it", "worse than it", "not shown to be better or worse"))
        lines.append(
            f"* {domain}: the paper's score {places[0]}; the Mahalanobis distance {places[1]}, and is {better}."
        )
    caption = (
        f"`{candidate}` on {machine}: harmonic mean of AUC and pAUC over the sections, per cent, and the difference in "
        "percentage points on the same clips, with bootstrap intervals over clips."
    )
    columns = ["Domain", f"`{names[0]}` (the paper)", "`mahalanobis` (extension)", "Difference"]
    shown = table(pd.DataFrame(rows, columns=columns), caption, "embedding-scores", "lrrr")
    return "\n".join(lines) + f"\n\n{shown}"


def _against_chance(value: float, low: float, high: float) -> str:
    place = verdict(
        low - CHANCE, high - CHANCE, ("lies above chance", "lies below chance", "cannot be told from chance")
    )
    return f"{place} ({percent(value)} %)"


# Ensembles ------------------------------------------------------------------------------------------------------------
def agreement(run: Run, settings, machine: str) -> str:
    """Whether candidates of one branch rank clips more alike than those of different branches."""
    frame = read_table(run.system("ensemble", machine) / AGREEMENT).dropna(subset=["correlation"])
    branch = [frame[name].str.partition("/")[0] for name in ("first", "second")]
    same = branch[0] == branch[1]
    names = {"autoencoder": "two autoencoders", "classifier": "two classifiers"}
    means = {words: frame.loc[same & (branch[0] == name), "correlation"].mean() for name, words in names.items()}
    apart = frame.loc[~same, "correlation"].mean()
    found = {words: value for words, value in means.items() if not np.isnan(value)}
    if not found or np.isnan(apart):
        return "This run has too few candidates to compare within a branch and between them."
    within = " and ".join(f"{value:.2f} for {words}" for words, value in found.items())
    warm = [words for words, value in found.items() if value > apart]
    which = "every square is warmer" if len(warm) == len(found) else f"warmer: {' and '.join(warm) or 'none'}"
    return (
        f"In this run the mean correlation on {machine} is {within}, and {apart:.2f} between the branches "
        f"({which}). Low values between the branches may also mean that one of them ranks by chance."
    )


def ensembles(run: Run, settings, machine: str) -> str:
    """*mix* next to its branches by selection, with the spread of normal clips that decides which branch counts."""
    frame = read_table(run.system("ensemble", machine) / SCORES)
    differences = read_differences(run.differences)
    rows, cells = [], []
    for selection in SELECTIONS:
        for domain in ("source", "target"):
            cell = _mixed(frame, selection, domain, settings.evaluation.p)
            if cell is None:
                continue
            better = max((AE_ENSEMBLE, BC_ENSEMBLE), key=lambda name: cell[name])
            lead = paired(differences, (MIX, selection), (better, selection), machine, domain)
            cells.append((selection, domain, cell, lead))
            spreads = [f"{value:.2f}" for value in cell["spread"]]
            figures = [percent(cell[name]) for name in (AE_ENSEMBLE, BC_ENSEMBLE, MIX)]
            rows.append((selection, domain, *figures, effect(*lead), percent(cell["ranks"]), *spreads))
    if not rows:
        return "This run has no ensemble of both branches."
    columns = ["Selection", "Domain", "AE", "BC", "*mix*", "*mix* minus the better", "Ranks", "Spread AE", "Spread BC"]
    caption = (
        f"Both ensembles on {machine} and *mix*: harmonic mean of AUC and pAUC, per cent, and the difference in "
        "percentage points with its interval; the mean of both ensembles' ranks instead of their normalised scores; "
        "the range of the middle half of the normal clips in the scores that *mix* averages. Cross-fitted figures are "
        "means over two halves of the clips, and pAUC of fewer normal clips is biased upwards: compare figures within "
        "a selection only."
    )
    shown = table(pd.DataFrame(rows, columns=columns), caption, "mix-and-branches", "ll" + "r" * 7)
    compared = _verdict_on_mix(cells) + _without_labels(differences, machine)
    return f"{compared}\n\n{_over_machines(differences)}\n\n{shown}\n\n{_reason(cells)}"


def _mixed(frame: pd.DataFrame, selection: str, domain: str, p: float) -> dict | None:
    """Figures of both ensembles, *mix* and the mean of ranks in one cell, and the spread of each ensemble."""
    names = {f"ensemble/{selection}/{row}": row for row in (AE_ENSEMBLE, BC_ENSEMBLE, MIX)}
    test = metrics.evaluable(frame[frame["system"].isin(names) & (frame["domain"] == domain)])
    test = test.assign(row=test["system"].map(names), fold=test["fold"].fillna(""))
    if test["row"].nunique() < len(names):
        return None
    cell = {row: float(metrics.cells(metrics.sections(group, p), ["domain"])["value"].iat[0])
            for row, group in test.groupby("row")}  # fmt: skip
    both, spreads = [], []
    for (section, _), group in test.groupby(["section", "fold"]):
        wide = group.pivot(index=["clip", "label"], columns="row", values="score")
        parts, labels = wide[[AE_ENSEMBLE, BC_ENSEMBLE]].to_numpy(), wide.index.get_level_values("label").to_numpy()
        # mix is a linear combination of both, whatever normalised them; its coefficients say how much each counts
        weights = np.linalg.lstsq(parts - parts.mean(0), wide[MIX] - wide[MIX].mean(), rcond=None)[0]
        quarters = np.percentile(2 * weights * parts[labels == "normal"], [25, 75], axis=0)
        spreads.append(quarters[1] - quarters[0])
        both.append((section, *metrics.areas(labels, rankdata(parts, axis=0).sum(1), (1.0, p))))
    areas = pd.DataFrame(both, columns=["section", "auc", "pauc"]).groupby("section").mean()
    cell["ranks"] = float(metrics.harmonic_mean(areas))
    return cell | {"spread": np.mean(spreads, axis=0)}


def _verdict_on_mix(cells: list[tuple]) -> str:
    """In how many cells *mix* leads both branches, and how often an interval shows a gain or a loss."""
    ahead = sum(lead[0] > 0 for *_, lead in cells)
    gains, loses = sum(lead[1] > 0 for *_, lead in cells), sum(lead[2] < 0 for *_, lead in cells)
    return (
        f"**In this run *mix* exceeds the better of its two branches in {ahead} of {len(cells)} cells** of the table; "
        f"by the interval a gain is shown in {gains}, a loss in {loses}."
    )


def _without_labels(differences: pd.DataFrame, machine: str) -> str:
    """How far *mix* without labels is from the cross-fitted one, both by the same halves of the clips."""
    pair = (MIX, "fixed"), (MIX, "cross-fitted")
    leads = {domain: paired(differences, *pair, machine, domain)[0] for domain in ("source", "target")}
    compared = [f"{signed(lead)} points in the {domain} domain" for domain, lead in leads.items() if not np.isnan(lead)]
    words = " and ".join(compared)
    return f" Without any label *mix* differs from the cross-fitted one on the same halves by {words}." * bool(words)


def _over_machines(differences: pd.DataFrame) -> str:
    """What *mix* gains over each ensemble over all machine types, by selection."""
    parts = []
    for selection in SELECTIONS:
        leads = [paired(differences, (MIX, selection), (other, selection), "all", "all")
                 for other in (AE_ENSEMBLE, BC_ENSEMBLE)]  # fmt: skip
        if any(np.isnan(lead[0]) for lead in leads):
            continue
        low, high = (min(lead[bound] for lead in leads) for bound in (1, 2))  # leads both, or trails one of them
        words = verdict(low, high, ("leads both", "trails one of them", "is not shown to lead both or to trail one"))
        parts.append(f"*{selection}* {effect(*leads[0])} and {effect(*leads[1])}: it {words}")
    if not parts:
        return "This run cannot compare *mix* with both ensembles over all machine types."
    return (
        "Over all machine types, *mix* minus the AE ensemble and minus the BC ensemble, in percentage points, is "
        f"{'; '.join(parts)}."
    )


def _reason(cells: list[tuple]) -> str:
    """Which branch decides the order of normal clips, and whether equal weights, by ranks, do better."""
    words = (
        "Why an average can lie far below the better branch: it weighs both alike only if their scores spread alike. "
        "Normalised scores have equal variances, but a branch that gives some anomalies very high scores has "
        "most of its variance there. Its other clips lie close together, and the other branch decides their order. "
        "*fixed* normalises by normal clips only, so that anomalies do not enter the variance.\n\n"
    )
    spreads = [(*sorted(zip(cell["spread"], ("AE", "BC"), strict=True)), *where) for *where, cell, _ in cells]
    spreads = [item for item in spreads if item[0][0] > 0]
    if spreads:
        narrow, wide, selection, domain = max(spreads, key=lambda item: item[1][0] / item[0][0])
        words += (
            f"In this run the spreads differ most in the cell *{selection}*, {domain}: there the normal clips of the "
            f"{wide[1]} ensemble spread {wide[0] / narrow[0]:.1f} times as far as those of the {narrow[1]} ensemble. "
        )
    counted = []
    for labels, which in (("with labels", {"development", "cross-fitted"}), ("without", {"fixed"})):
        better = [cell["ranks"] > cell[MIX] for selection, _, cell, _ in cells if selection in which]
        counted += [f"{sum(better)} of {len(better)} cells chosen {labels}"] if better else []
    return words + (
        "In a mean of ranks both branches count alike whatever their tails, so where it exceeds *mix*, the tails cost "
        f"*mix* something: in {' and '.join(counted)}.{_costs(cells)}"
    )


def _costs(cells: list[tuple]) -> str:
    """How far *mix* and the mean of ranks are behind the better branch where *mix* is, and what the other reaches."""
    behind = [cell for *_, cell, lead in cells if lead[0] < 0]
    if not behind:
        return ""
    branches = np.array([sorted((cell[AE_ENSEMBLE], cell[BC_ENSEMBLE])) for cell in behind])
    worse, better = branches.T
    by_ranks, by_mix = (np.mean(better - [cell[name] for cell in behind]) for name in ("ranks", MIX))
    return (
        f" In the {len(behind)} cells where *mix* is behind, it is {100 * by_mix:.1f} points behind on average and the "
        f"mean of ranks {100 * by_ranks:.1f}. What ranks leave is the cost of equal weights: the better branch reaches "
        f"{percent(better.mean())} % there on average, the other {percent(worse.mean())} %, and chance is "
        f"{100 * CHANCE:.0f} %."
    )


ANSWERS: dict[str, Callable] = {
    "baselines": baselines,
    "autoencoder": autoencoder,
    "classifier": classifier,
    "agreement": agreement,
    "ensembles": ensembles,
    "missed": missed,
}
"""name of the page to include, and the function that makes it"""


def pages(run: Run, settings, machine: str) -> dict[str, str]:
    """Each answer as a page to include."""
    return {f"generated/answer_{name}.md": f"{answer(run, settings, machine)}\n" for name, answer in ANSWERS.items()}
