"""The page on ensembles of other people's systems, made of the tables in ``results/real_systems``."""

from pathlib import Path

import pandas as pd
from stored_results import read
from tables import BLANK, day, effect, percent, signed, table
from verdicts import marked

from asdlib.atomic import read_json
from asdlib.evaluation.values import slug
from asdlib.plots import style
from asdlib.plots import systems as plots

PAGES = ("real_systems",)
SELECTIONS = ("development", "cross-fitted", "other sections")
NAMES = {"best single": "single", "average 5": "five", "average of all": "everyone"}
"""methods whose names do not suit a substitution"""


def stamp(folder: Path) -> tuple[str, str]:
    """What the data are, and what made the tables."""
    record = read_json(folder / "record.json")
    first = "**Other people's systems: stored tables**, not the run of other pages"
    facts = (
        "Scores of real recordings, the development clips of DCASE2022 and DCASE2021. None of the systems is the "
        "paper's, and the score files are not part of this project. "
        f"{day(record['date'])}; {record['resamples']} resamples; {record['seconds'] / 60:.0f} min; commit "
        f"`{record['commit']}`."
    )
    return first, facts


def values(folder: Path) -> dict[str, str]:
    """Texts for prose: counts, values, gains and optimism by year, method and selection."""
    record = read_json(folder / "record.json")
    about, shown, gained = read(folder / "systems.csv"), read(folder / "figures.csv"), read(folder / "effects.csv")
    found = {
        "resamples": f"{record['resamples']:,}",
        "commit_of_claims": f"`{record.get('commit_of_claims', record['commit'])}`",
    }
    for (year, family), part in about.groupby(["year", "family"]):
        found[f"{family.split()[0]}_{year}"] = str(len(part))
    for year, part in about.groupby("year"):
        found[f"systems_{year}"] = str(len(part))
    whole = shown[(shown["machine"] == "all") & (shown["domain"] == "all") & (shown["family"] == "all")]
    for item in whole[whole["method"].isin(["best single", "chosen", "mix", *NAMES])].itertuples():
        found[f"{NAMES.get(item.method, item.method)}_{slug(item.selection)}_{item.year}"] = percent(item.value)
    for item in gained.itertuples():
        name = NAMES.get(item.method, slug(item.method))
        than = slug(item.than_selection) if item.than == "best single" else "average_system"
        found[f"gain_{name}_{slug(item.selection)}_over_{than}_{item.year}"] = effect(item.effect, item.low, item.high)
    offers = read(folder / "offered.csv")
    for item in offers[offers["of"].str.startswith("optimism")].itertuples():
        name = "single" if "single" in item.of else "chosen"
        found[f"optimism_{name}_{item.on_offer}_{item.year}"] = effect(item.effect, item.block_low, item.block_high)
    grown = read(folder / "growth.csv")
    pairs = grown[(grown["of"] == "gain") & (grown["combination"] == "average") & (grown["N"] == 2)]
    for item in pairs.itertuples():
        found[f"growth_two_{slug(item.selection)}_{item.year}"] = effect(item.effect, item.low, item.high)
    for item in read(folder / "stability.csv").itertuples():
        found[f"best_{item.combination}_{item.year}"] = str(item.cells)
        found[f"agree_{item.year}"], found[f"choices_{item.year}"] = f"{100 * item.agree:.0f}", str(item.choices)
    return found


# Tables ---------------------------------------------------------------------------------------------------------------
def methods(folder: Path, year: int) -> str:
    """Every main method by every selection."""
    frame = read(folder / "figures.csv")
    frame = frame[(frame["year"] == year) & (frame["machine"] == "all") & (frame["domain"] == "all")]
    names = [
        *((family, method) for family in ("inlier models", "classifiers") for method in ("best single", "chosen")),
        *(("all", method) for method in ("best single", "average 5", "chosen", "mix", "max")),
    ]
    rows = []
    for family, method in names:
        part = frame[(frame["family"] == family) & (frame["method"] == method)].set_index("selection")
        cells = [percent(*part.loc[selection, ["value", "low", "high"]]) for selection in SELECTIONS]
        rows.append((family, method, *cells))
    columns = ["Systems", "Method", *(selection.capitalize() for selection in SELECTIONS)]
    caption = (
        f"{year}: harmonic mean of AUC and pAUC of all machine types and domains, per cent, with intervals over clips."
    )
    return table(pd.DataFrame(rows, columns=columns), caption, f"real-systems-methods-{year}", "llrrr")


def gains(folder: Path) -> str:
    """What each main method gains over the best single system."""
    frame = read(folder / "effects.csv")
    frame = frame[frame["selection"] != "none"]
    frame = frame[frame["than"] == "best single"]
    rows = [
        (item.year, item.method, item.selection, effect(item.effect, item.low, item.high), spread(item))
        for item in frame.itertuples()
    ]
    columns = ["Year", "Method", "Selection", "Gain (clips)", "With machine types"]
    caption = (
        "Gain over the best single system that is chosen in the same way, in percentage points: intervals over clips, "
        "and over clips and machine types."
    )
    return table(pd.DataFrame(rows, columns=columns), caption, "real-systems-gains", "rllrr")


def spread(item) -> str:
    """The interval over clips and machine types."""
    return BLANK if pd.isna(item.block_low) else f"{signed(item.block_low)} to {signed(item.block_high)}"


def free(folder: Path) -> str:
    """What needs no labels, compared with the best single system and the average one."""
    frame = read(folder / "effects.csv")
    frame = frame[frame["selection"] == "none"]
    than = {
        "development": "Best single, development",
        "other sections": "Best single, other sections",
        "none": "Average system",
    }
    rows: dict[tuple, dict[str, str]] = {}
    for item in frame.itertuples():
        cells = rows.setdefault((item.year, item.method), {"Year": item.year, "Method": item.method})
        cells[than[item.than_selection]] = effect(item.effect, item.low, item.high)
    caption = "Ensembles without any label minus a single system, in percentage points, with intervals over clips."
    shown = pd.DataFrame(rows.values())
    return table(shown, caption, "real-systems-free", "rl" + "r" * (shown.shape[1] - 2))


def stability(folder: Path) -> str:
    """Which combination is best."""
    frame = read(folder / "stability.csv")
    shown = pd.DataFrame(
        {
            "Year": frame["year"],
            "Combination": frame["combination"],
            "Best of four at N = 5, cells": frame["cells"],
            "In the chosen ensemble, cells": frame["chosen"],
            "Of the choices in all resamples, %": [f"{100 * share:.0f}" for share in frame["resamples"]],
        }
    )
    return table(shown, "Which combination is best in how many cells.", "real-systems-stability", "rlrrr")


RULE = (
    "Round brackets hold the interval over clips, square ones that over clips and machine types (of correlations only "
    "the latter). A positive effect bears the sentence out. A sentence holds if both intervals of the cross-fitted "
    "effect lie above zero, is contradicted if both lie below, and is undecided otherwise. Where a cell counts machine "
    "types, the count decides. *Several machine types* holds if two or more are ahead by more than a point with their "
    "interval above zero, and is undecided otherwise. *Each approach outperforms the other* holds if each is ahead "
    "somewhere with its interval, and is contradicted if one of them is ahead everywhere."
)
"""how a verdict of ``benchmarks/real_systems/ensemble_claims.py`` comes about, in the words of the captions"""


def claims(folder: Path, year: int) -> str:
    """The paper's sentences on these systems: verdict by *cross-fitted*, effects by every selection."""
    frame = read(folder / "claims.csv")
    frame = frame[frame["year"] == year]
    rows = []
    for (claim, source, test, part), group in frame.groupby(["claim", "source", "test", "part"], sort=False):
        by = group.set_index("selection")
        judged = by.loc["cross-fitted" if "cross-fitted" in by.index else "none"]
        cells = [_with_both_intervals(by.loc[name]) if name in by.index else BLANK for name in SELECTIONS]
        if "none" in by.index:
            cells[1] = _with_both_intervals(by.loc["none"])
        tested = test + (f" ({part})" if part else "")
        rows.append((marked(judged["verdict"]), f"{claim} ({source})", tested, *cells))
    columns = ["Verdict", "The paper says", "Test", *(name.capitalize() for name in SELECTIONS)]
    rule = RULE if year == 2022 else "Read it as {numref}`real-systems-claims-2022`."
    caption = (
        f"{year}: the paper's sentences about ensembles. Effects in percentage points (correlations times 100). {rule}"
    )
    return table(pd.DataFrame(rows, columns=columns), caption, f"real-systems-claims-{year}", "", "2 5 4 4 4 4")


def _with_both_intervals(item: pd.Series) -> str:
    """An effect, its interval over clips in round brackets, that over machine types in square ones, and the count."""
    whole = [effect(*item[["effect", "low", "high"]]), f"[{signed(item['block_low'])} to {signed(item['block_high'])}]"]
    return "<br>".join([" ".join(whole), *filter(None, [item["counted"]])])


def provenance(folder: Path) -> str:
    """Where every system comes from."""
    frame = read(folder / "systems.csv")
    shown = pd.DataFrame(
        {
            "Year": frame["year"],
            "System": frame["system"],
            "Family": frame["family"],
            "Origin": frame["origin"].map(_linked),
            "Official score": frame["official_score"].map(percent),
        }
    )
    caption = (
        "The systems, the repositories and folders that they come from, and their scores by the year's rule, per cent. "
        "Systems of 2022 have the numbers of their folders. Those with the numbers in between were kept aside when "
        "the scores were collected, so that the project can be judged on systems that it has not seen; none is used."
    )
    return table(shown, caption, "real-systems-origins", "rlllr", "1 3 3 9 2")


def _linked(origin: str) -> str:
    """A repository on GitHub as a link, and the folder in it."""
    repository, folder = "/".join(origin.split("/")[:2]), "/".join(origin.split("/")[2:])
    return f"[`{repository}`](https://github.com/{repository})" + f" `{folder}`" * bool(folder)


def pages(folder: Path) -> dict[str, str]:
    """The generated parts of the page by file name."""
    return {
        "generated/systems_methods_2022.md": methods(folder, 2022),
        "generated/systems_methods_2021.md": methods(folder, 2021),
        "generated/systems_gains.md": gains(folder),
        "generated/systems_free.md": free(folder),
        "generated/systems_stability.md": stability(folder),
        "generated/systems_claims_2022.md": claims(folder, 2022),
        "generated/systems_claims_2021.md": claims(folder, 2021),
        "generated/systems_origins.md": provenance(folder),
    }


# Figures --------------------------------------------------------------------------------------------------------------
def draw(folder: Path, where: Path) -> None:
    """Draw the figures of the page as ``where/systems_<name>.svg``."""
    style.use()
    grown, offers = read(folder / "growth.csv"), read(folder / "offered.csv")
    both = read(folder / "pairs.csv")
    figures = {
        "growth": plots.growth(grown[(grown["year"] == 2022) & (grown["of"] == "gain")]),
        "offered": plots.gain_by_offer(offers[offers["year"] == 2022]),
        "pairs": plots.pairs(both[both["year"] == 2022]),
    }
    for name, figure in figures.items():
        style.save_svg(figure, where / f"systems_{name}.svg")
