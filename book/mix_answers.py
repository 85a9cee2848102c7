"""Answer whether *mix* gains over its branches, and why an average of both can lie below the better one."""

import numpy as np
import pandas as pd
from paired import paired, verdict
from scipy.stats import rankdata
from tables import data, effect, percent, signed, table

from asdlib import metrics
from asdlib.ensemble import SELECTIONS
from asdlib.ensemble.blocks import AE_ENSEMBLE, BC_ENSEMBLE, MIX
from asdlib.evaluation.bootstrap import side
from asdlib.evaluation.table1 import optimism
from asdlib.paths import SCORES, Run
from asdlib.tables import read_table

CHANCE = 0.5


def ensembles(run: Run, settings, machine: str) -> str:
    """*mix* next to its branches by selection, with the spread of normal clips that decides which branch counts."""
    frame = read_table(run.system("ensemble", machine) / SCORES)
    differences = read_table(run.differences)
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
        "the range of the middle half of the normal clips in the scores that *mix* averages. Compare figures within a "
        "selection only ({ref}`why <selections>`)."
    )
    shown = table(pd.DataFrame(rows, columns=columns), caption, "mix-and-branches", "ll" + "r" * 7)
    others = [path.parent.name for path in run.folder.glob(f"ensemble/*/{SCORES}") if path.parent.name != machine]
    ahead = [_ahead(differences, name) for name in (machine, *sorted(others))]
    compared = f"**In this run *mix* exceeds the better of its two branches** {'; '.join(filter(None, ahead))}. "
    compared += "*Shown* means that the intervals of *mix* minus either branch lie above zero."
    compared += _without_labels(differences, machine)
    everything = f"{_over_machines(differences)}\n\n{_by_machine(read_table(run.table1), differences)}"
    return f"{everything}\n\n{compared}\n\n{shown}\n\n{_reason(cells)}"


def _mixed(frame: pd.DataFrame, selection: str, domain: str, p: float) -> dict | None:
    """Figures of both ensembles, *mix* and the mean of ranks in one cell, and the spread of each ensemble."""
    names = {f"ensemble/{selection}/{row}": row for row in (AE_ENSEMBLE, BC_ENSEMBLE, MIX)}
    test = metrics.evaluable(frame[frame["system"].isin(names) & (frame["domain"] == domain)])
    test = test.assign(row=test["system"].map(names))
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


def _ahead(differences: pd.DataFrame, machine: str) -> str:
    """In how many selections and domains of a machine type *mix* leads both ensembles, and how often that is shown."""
    leads = []
    for selection in SELECTIONS:
        for domain in ("source", "target"):
            both = [paired(differences, (MIX, selection), (other, selection), machine, domain)
                    for other in (AE_ENSEMBLE, BC_ENSEMBLE)]  # fmt: skip
            leads += [] if any(np.isnan(lead[0]) for lead in both) else [np.min(both, axis=0)]
    ahead, shown = sum(lead[0] > 0 for lead in leads), sum(side(*lead[1:]) > 0 for lead in leads)
    return f"on {machine} in {ahead} of {len(leads)} selections and domains, {shown} of them shown" * bool(leads)


def _without_labels(differences: pd.DataFrame, machine: str) -> str:
    """How far *mix* by *fixed* is from the cross-fitted one, both by the same halves of the clips."""
    pair = (MIX, "fixed"), (MIX, "cross-fitted")
    leads = {domain: paired(differences, *pair, machine, domain)[0] for domain in ("source", "target")}
    compared = [f"{signed(lead)} points in the {domain} domain" for domain, lead in leads.items() if not np.isnan(lead)]
    words = " and ".join(compared)
    return f" By *fixed*, *mix* differs from its *cross-fitted* figure on the same halves by {words}." * bool(words)


def _over_machines(differences: pd.DataFrame) -> str:
    """What *mix* gains over each ensemble over all machine types, by selection, and what selecting by labels adds."""
    rows = []
    for selection in SELECTIONS:
        leads = [paired(differences, (MIX, selection), (other, selection), "all", "all")
                 for other in (AE_ENSEMBLE, BC_ENSEMBLE)]  # fmt: skip
        if any(np.isnan(lead[0]) for lead in leads):
            continue
        low, high = (min(lead[bound] for lead in leads) for bound in (1, 2))  # leads both, or trails one of them
        words = verdict(low, high, ("leads both", "trails one of them", "undecided"))
        rows.append((selection, *(effect(*lead) for lead in leads), words))
    if not rows:
        return "This run cannot compare *mix* with both ensembles over all machine types."
    combined = (
        "**From combining**: in the mean over all machine types, *mix* is shown to lead both of its ensembles by "
        f"{_which(rows, 'leads both')}. It is shown to trail one of them by {_which(rows, 'trails one of them')}."
    )
    worth = optimism(differences)
    worth = worth[(worth["row"] == MIX) & (worth["machine"] == "all") & (worth["domain"] == "all")]["difference"]
    selected = "".join(
        f" **From selecting by labels**: {signed(value)} points for *mix* on the clips whose labels chose it."
        for value in worth
    )
    columns = ["Selection", "*mix* minus AE ensemble", "*mix* minus BC ensemble", "So *mix*"]
    caption = "Over all machine types, sections and domains: paired differences in percentage points, with intervals."
    caption += data("downloads/table1_differences.csv")
    shown = table(pd.DataFrame(rows, columns=columns), caption, "mix-over-machines", "lrrl")
    return f"{combined}{selected}\n\n{shown}\n{_on_each(differences)}"


def _on_each(differences: pd.DataFrame) -> str:
    """What each machine type shows of *mix* next to both ensembles, over its sections and domains, by selection."""
    lines = []
    for machine in sorted(set(differences["machine"]) - {"all"}):
        found: dict[str, list[str]] = {}
        for selection in SELECTIONS:
            leads = [paired(differences, (MIX, selection), (other, selection), machine, "all")
                     for other in (AE_ENSEMBLE, BC_ENSEMBLE)]  # fmt: skip
            if any(np.isnan(lead[0]) for lead in leads):
                continue
            low, high = (min(lead[bound] for lead in leads) for bound in (1, 2))
            said = verdict(low, high, ("leads both", "trails one of them", "is not shown to lead both or to trail one"))
            smaller = min(leads, key=lambda lead: lead[0])
            found.setdefault(said, []).append(f"*{selection}*, {effect(*smaller)}")
        words = "; ".join(f"it {said} by {', and by '.join(names)}" for said, names in found.items())
        lines += [f"* {machine}: {words}."] if words else []
    head = "Single machine types can differ from this mean. With the lead over the better ensemble:"
    return f"{head}\n\n" + "\n".join(lines) if lines else ""


def _by_machine(table1: pd.DataFrame, differences: pd.DataFrame) -> str:
    """*mix* by *fixed* next to both ensembles in every cell, and how it can lead both without leading in each."""
    part = table1[(table1["selection"] == "fixed") & (table1["machine"] != "all")]
    cells = part[part["domain"].isin(["source", "target"])].pivot(
        index=["machine", "domain"], columns="row", values="value"
    )
    names = [AE_ENSEMBLE, BC_ENSEMBLE, MIX]
    if not set(names) <= set(cells):
        return ""
    cells = cells[names].dropna()
    rows = []
    for (machine, domain), cell in cells.iterrows():
        better = cell[names[:2]].idxmax()
        lead = paired(differences, (MIX, "fixed"), (better, "fixed"), machine, domain)
        rows.append((machine, domain, *map(percent, cell), effect(*lead)))
    means = cells.agg(metrics.harmonic_mean)
    rows.append(("all", "all", *map(percent, means), signed(means[MIX] - means[names[:2]].max())))
    columns = ["Machine", "Domain", "AE ensemble", "BC ensemble", "*mix*", "*mix* minus the better"]
    caption = "By *fixed*: harmonic mean of AUC and pAUC, per cent, by machine type and domain, and over all of them."
    first, second = ((cells[one] > cells[other]).sum() for one, other in (names[:2], names[1::-1]))
    gap = 100 * (cells[MIX] - cells[names[:2]].max(axis=1)).mean()
    return (
        "*mix* need not lead in a cell to lead over all. In {numref}`mix-by-machine` the AE ensemble is the better one "
        f"in {first} of {len(cells)} cells and the BC ensemble in {second}; *mix* differs from the better one by "
        f"{signed(gap / 100)} points on average. Over all, an ensemble pays for the cells in which it is the worse "
        "one, the more so since a harmonic mean lies near its lowest values.\n\n"
        f"{table(pd.DataFrame(rows, columns=columns), caption, 'mix-by-machine', 'llrrrr')}"
    )


def _which(rows: list[tuple], verdict: str) -> str:
    """The selections of the rows with a verdict."""
    names = [f"*{name}*" for name, *_, said in rows if said == verdict]
    return ", ".join(names) or "no selection"


def _reason(cells: list[tuple]) -> str:
    """Why an average can lie below the better branch, which cause costs more in this run, and where spreads matter."""
    words = (
        "An average can lie below the better branch for two reasons:\n\n"
        "* **Equal weights**: the weaker branch has as much say as the better one. The nearer it is to chance, the "
        "more noise it adds.\n"
        "* **Spreads**: normalised scores have equal variances. A branch that gives some anomalies very high scores "
        "has most of its variance there. Its other clips lie close together, and the other branch decides their order. "
        "(*Fixed* normalises by normal clips only, so that anomalies do not enter the variance.)\n\n"
        "In a mean of ranks both branches count alike whatever their tails, so it pays for equal weights only.\n\n"
    )
    counted = []
    for which in SELECTIONS:
        better = [cell["ranks"] > cell[MIX] for selection, _, cell, _ in cells if selection == which]
        counted += [f"{sum(better)} of {len(better)} cells by *{which}*"] if better else []
    return f"{words}{_costs(cells)}The mean of ranks exceeds *mix* in {', '.join(counted)}.{_spreads(cells)}"


def _costs(cells: list[tuple]) -> str:
    """How far *mix* and the mean of ranks are behind the better branch, and so which cause costs more."""
    behind = [cell for *_, cell, lead in cells if lead[0] < 0]
    if not behind:
        return ""
    worse, better = np.array([sorted((cell[AE_ENSEMBLE], cell[BC_ENSEMBLE])) for cell in behind]).T
    by_ranks, by_mix = (100 * np.mean(better - [cell[name] for cell in behind]) for name in ("ranks", MIX))
    cause = "equal weights" if by_ranks > by_mix - by_ranks else "different spreads"
    return (
        f"**In this run {cause} cost more.** In the {len(behind)} cells of {{numref}}`mix-and-branches` where *mix* is "
        f"behind, it is {by_mix:.1f} points behind on average, and the mean of ranks {by_ranks:.1f}. The latter is the "
        f"cost of equal weights: the better branch reaches {percent(better.mean())} % there on average, the other "
        f"{percent(worse.mean())} %, and chance is {100 * CHANCE:.0f} %. Different spreads account for the rest, "
        f"{signed((by_mix - by_ranks) / 100)} points. "
    )


def _spreads(cells: list[tuple]) -> str:
    """Where the spreads of both branches differ most, and which branch *mix* follows there."""
    spreads = [(*sorted(zip(cell["spread"], ("AE", "BC"), strict=True)), cell, *where) for *where, cell, _ in cells]
    spreads = [item for item in spreads if item[0][0] > 0]
    if not spreads:
        return ""
    narrow, wide, cell, selection, domain = max(spreads, key=lambda item: item[1][0] / item[0][0])
    names = {"AE": AE_ENSEMBLE, "BC": BC_ENSEMBLE}
    which = "better" if cell[names[wide[1]]] > cell[names[narrow[1]]] else "weaker"
    words = (
        f" The spreads differ most in the cell *{selection}*, {domain}. There the normal clips of the {wide[1]} "
        f"ensemble spread {wide[0] / narrow[0]:.1f} times as far as those of the {narrow[1]} ensemble, so that *mix* "
        f"follows the {which} branch."
    )
    if (selection, domain) == ("fixed", "target"):
        words += (
            " They are normalised by held-out source clips, scored in the same way as target clips. A branch to which "
            "real target clips look unusual spreads these far beyond that unit."
        )
    return words
