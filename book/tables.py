"""Results as MyST tables: Table 1, the audit of the printed one, the claims. Only differences are computed."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from asdlib.ensemble import EXTENSION_ROWS, ROWS
from asdlib.evaluation import health, paper, render
from asdlib.evaluation.claims import ARITHMETIC, BASIS, MULTIPLICITY
from asdlib.evaluation.rows import BLOCKS, block_of
from asdlib.evaluation.table1 import optimism as optimism_of
from asdlib.tables import read_table

BLANK = "–"
VERDICTS = {True: "yes", False: "**no**"}


def table(frame: pd.DataFrame, caption: str, name: str = "", align: str = "", widths: str = "") -> str:
    """A data frame of texts as a captioned, numbered MyST table.

    Args:
        frame: What it shows.
        caption: In Markdown.
        name: What ``{numref}`` calls it.
        align: A letter (l, r, c) a column; left if there is none.
        widths: Relative widths of the columns of a table of words, for example ``2 1 3``; numbers need none.
    """
    rules = {"l": ":--", "r": "--:", "c": ":-:"}
    lines = [list(frame.columns), [rules[letter] for letter in align or "l" * frame.shape[1]]]
    lines += [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in frame.to_numpy()]
    rows = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    options = {":name:": name, ":class:": "words" if widths else "numbers" * ("r" in align), ":widths:": widths}
    head = "\n".join(f"{option} {value}" for option, value in options.items() if value)
    return f":::{{table}} {caption}\n{head}\n\n{rows}\n:::\n"


def percent(value: float, low: float = float("nan"), high: float = float("nan")) -> str:
    """A fraction in per cent, with its interval if there is one."""
    if pd.isna(value):
        return BLANK
    text = f"{100 * value:.2f}"
    return text if pd.isna(low) else f"{text} ({100 * low:.1f} to {100 * high:.1f})"


def signed(value: float) -> str:
    """A difference of fractions in percentage points, with its sign."""
    return BLANK if pd.isna(value) else f"{100 * value:+.2f}".replace("-", "−")


# Table 1 --------------------------------------------------------------------------------------------------------------
SELECTIONS = {
    "development": "selected on the labelled test clips that are reported, as the paper does",
    "cross-fitted": "selected on one half of each section's test clips, reported on the other, both ways",
    "fixed": "fixed by the settings: no label, score or number of the test set is used",
}
PAPER_BLOCK, EXTENSION_BLOCK = BLOCKS


def table1(frame: pd.DataFrame, machines: Sequence[str], which: str = "This run", name: str = "table1") -> str:
    """Lay out a run's table, one per selection, columns as in the paper, our extensions below a line of their own.

    Args:
        frame: The tidy table.
        machines: Machine types of the run.
        which: What the caption calls the run.
        name: What ``{numref}`` calls the tables begins with it.
    """
    parts = []
    for selection, words in SELECTIONS.items():
        wide = render.format_cells(frame, selection, machines)
        wide = wide[[("all", "all"), *(key for key in wide.columns if key[0] in machines)]]  # all first: it is wide
        wide.columns = ["all (interval)", *(" ".join(key) for key in wide.columns[1:])]
        halves = " Rows that select nothing are means over the same halves." * (selection == "cross-fitted")
        caption = f"{which}, {words}. Harmonic mean of AUC and pAUC, per cent.{halves}"
        shown = _with_blocks(wide.reset_index(names="Method"))
        parts.append(table(shown, caption, f"{name}-{selection}", "l" + "r" * wide.shape[1]))
    return "\n".join(parts)


def _with_blocks(shown: pd.DataFrame) -> pd.DataFrame:
    """A line with the title of each block above its rows, where the table has rows of both."""
    if shown.empty:
        return shown
    blocks = shown["Method"].map(block_of)
    if blocks.nunique() < 2:
        return shown
    parts = []
    for title, part in shown.groupby(blocks, sort=False):
        head = pd.DataFrame([{column: "" for column in shown} | {"Method": f"**{title}**"}])
        parts += [head, part]
    return pd.concat(parts, ignore_index=True)


def stored(folder: Path) -> str:
    """Table 1 of a run whose recordings are not part of the project, kept in ``book/results`` by :mod:`store`."""
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    frame = pd.read_csv(folder / "table1.csv").fillna({"selection": ""})
    several = seeds(folder / "table1_seeds.csv", record["settings"]["seed"], f"{folder.name}-seeds")
    return "\n\n".join([table1(frame, record["machines"], record["title"], folder.name), several])


def printed() -> str:
    """The paper's table, "all" as printed and as its cells give it."""
    wide = render.format_printed()
    wide.columns = [" ".join(key) for key in wide.columns]
    caption = "The paper's Table 1, per cent; the last column is the harmonic mean of the row's cells."
    return table(wide.reset_index(names="Method"), caption, "table1-paper", "l" + "r" * wide.shape[1])


def beside(frame: pd.DataFrame, machines: Sequence[str]) -> str:
    """Paper, this run and their difference: of each cell that both have, then of all machine types."""
    parts = []
    for machine in [machine for machine in machines if machine in paper.MACHINES]:
        parts.append(f"### {machine}\n")
        for domain in paper.DOMAINS:
            part = frame[(frame["machine"] == machine) & (frame["domain"] == domain)]
            caption = f"{machine}, {domain} domain: paper, this run and their difference, per cent."
            parts.append(table(_with_blocks(_beside(part)), caption, align="lrrrrr"))
    parts += ["### All machine types\n", _everything(frame, machines)]
    absent = [machine for machine in paper.MACHINES if machine not in machines]
    parts += [f"Of the paper's machine types this run lacks {', '.join(absent)}."] if absent else []
    return "\n".join(parts)


def _everything(frame: pd.DataFrame, machines: Sequence[str]) -> str:
    shown = render.compare_with_paper(frame, "development", machines)["all"]
    lines = {
        "Printed": ("paper", "printed"),
        "From the cells": ("paper", "from cells"),
        "This run": ("this run", "from cells"),
        "Less printed": ("difference", "printed"),
        "Less cells": ("difference", "from cells"),
    }
    shown = shown.map(lambda text: text.replace("-", "−"))
    columns = {name: shown[column].xs(line, level="line") for name, (line, column) in lines.items()}
    caption = (
        "All machine types, sections and domains: the paper's “all” as printed and as its cells of this run's machine "
        "types give it, this run as the paper selects, and the differences, per cent."
    )
    return table(pd.DataFrame(columns).reset_index(names="Method"), caption, "beside-all", "lrrrrr")


def _beside(part: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for row, group in part.groupby("row", sort=False):
        by = group.set_index("selection")
        first = by.iloc[0]  # development, or the only one
        others = [by.loc[name] if name in by.index else None for name in ("cross-fitted", "fixed")]
        rows.append(
            {
                "Method": row,
                "Paper": percent(first["paper"]),
                "This run": render.NOT_RUN if pd.isna(first["value"]) else percent(*first[["value", "low", "high"]]),
                "Difference": signed(first["value"] - first["paper"]),
                "Cross-fitted": BLANK if others[0] is None else percent(others[0]["value"]),
                "Fixed": BLANK if others[1] is None else percent(others[1]["value"]),
            }
        )
    return pd.DataFrame(rows)


# Audit and claims -----------------------------------------------------------------------------------------------------
def audit() -> str:
    """The printed column "all" beside what the printed cells give."""
    frame = paper.audit()
    shown = pd.DataFrame(
        {
            "Method": frame["row"],
            "Printed": frame["printed"].map(percent),
            "From the cells": frame["from_cells"].map(percent),
            "Difference": frame["difference"].map(signed),
            "Rounding explains": frame["rounding"].map(lambda value: f"±{100 * value:.3f}"),
            "Consistent": frame["consistent"].map(VERDICTS),
            "Arithmetic mean": frame["arithmetic"].map(percent),
            "Possible": frame["possible"].map(VERDICTS),
            "Source": frame["source"].map(percent),
            "Target": frame["target"].map(percent),
        }
    )
    caption = "Harmonic means of the printed cells beside the printed column “all”, per cent."
    return table(shown, caption, "audit-table", "l" + "r" * 4 + "crc" + "rr")


def larger() -> str:
    """The row *max* beside the two ensembles, cell by cell."""
    frame = paper.larger_of_ensembles()
    shown = frame[["machine", "domain"]].rename(columns=str.capitalize)
    for column in frame.columns[2:5]:
        shown[column] = frame[column].map(percent)
    shown["Larger of the two"] = frame["is_larger"].map(VERDICTS)
    return table(shown, "The printed row *max* and the two rows that it is made of, per cent.", "max-table", "llrrrc")


def rerun(sections: pd.DataFrame) -> str:
    """Another run of the official autoencoder on DCASE2021, by our metric, beside the paper's first row."""
    frame = paper.compare_first_row(sections)
    shown = frame[["machine", "domain"]].rename(columns=str.capitalize)
    shown["This run of it"], shown["Printed"] = frame["value"].map(percent), frame["paper"].map(percent)
    shown["Difference"] = frame["difference"].map(signed)
    caption = (
        "The official autoencoder, trained by somebody else, and the printed *Baseline (AE)*, all from cells; per cent."
    )
    return table(shown, caption, "rerun-table", "llrrr")


def optimism(differences: pd.DataFrame) -> str:
    """How much of each row's figure is selection, with intervals."""
    frame = optimism_of(differences)
    shown = frame[frame["machine"] == "all"].pivot(index="row", columns="domain", values=["difference", "low", "high"])
    domains = [domain for domain in ("source", "target", "all") if domain in shown["difference"]]
    rows = [row for row in (*ROWS, *EXTENSION_ROWS) if row in shown.index]
    texts = {
        domain: [effect(*(shown.loc[row, (part, domain)] for part in ("difference", "low", "high"))) for row in rows]
        for domain in domains
    }
    caption = "Development minus cross-fitted over all machine types, in percentage points, with intervals."
    return table(
        _with_blocks(pd.DataFrame({"Method": rows} | texts)), caption, "optimism-table", "l" + "r" * len(domains)
    )


def seeds(path: Path, seed: int, name: str = "seeds-table") -> str:
    """Mean and deviation over runs that differ in the seed only; or that there is one seed.

    Args:
        path: What ``python -m asdlib seeds`` has written for this run, if it has.
        seed: Of this run.
        name: What ``{numref}`` calls the table.
    """
    if not path.is_file():
        return f"**One seed** ({seed}): no number of this run says what another seed would change."
    frame = read_table(path)
    total = frame[(frame["machine"] == "all") & (frame["domain"] == "all")]
    rows = []
    for row, group in total.groupby("row", sort=False):
        by = group.set_index("selection")
        texts = {"Method": row}
        for name in ("development", "cross-fitted", "fixed", ""):
            if name in by.index:
                mean, deviation = by.loc[name, ["mean", "deviation"]]
                texts[name or "selects nothing"] = f"{percent(mean)} ± {percent(deviation)}"
        rows.append(texts)
    shown = pd.DataFrame(rows).fillna(BLANK)
    caption = f"Mean and standard deviation over {total['seeds'].max()} seeds, all machine types, per cent."
    return table(shown, caption, name, "l" + "r" * (shown.shape[1] - 1))


def ablations(folder: Path) -> str:
    """What each changed setting does in the stored runs: which change is shown to matter, then a table a branch."""
    frame = pd.read_csv(folder / "ablations.csv", keep_default_na=False)
    parts = []
    for branch, part in frame.groupby("branch", sort=False):
        everything = part[part["domain"] == "all"]
        parts += [f"## The {branch}", "\n".join(_shown_to_matter(everything))]
        shown = []
        for key, group in part.groupby(["candidate", "variant", "than", "change"], sort=False):
            candidate, variant, than, change = key
            by = group.set_index("domain")
            what = change or f"{variant} for {than.rpartition('/')[2]}"
            value = f"{percent(by.at['all', 'value'])} ± {percent(by.at['all', 'deviation'])}"
            domains = [signed(by.at[name, "difference"]) for name in ("source", "target")]
            total = effect(*by.loc["all", ["difference", "low", "high"]])
            shown.append((candidate, variant, what, value, *domains, total))
        columns = ["Candidate", "Score", "Change", "All", "Source", "Target", "All, difference"]
        caption = (
            f"The {branch} with one thing changed, {frame['seeds'].max()} seeds: mean ± deviation over seeds of the "
            "harmonic mean of AUC and pAUC, per cent; mean differences to `base` by the same score in points, with "
            "paired intervals over clips."
        )
        rows = pd.DataFrame(shown, columns=columns)
        parts.append(table(rows, caption, f"ablations-{branch}", "lllrrrr", "6 5 9 6 4 4 10"))
    return "\n\n".join(parts)


def _shown_to_matter(everything: pd.DataFrame) -> list[str]:
    """A line a verdict on the changes of one branch: those whose whole interval lies above or below zero, the rest."""
    gain, lose = everything["low"] > 0, everything["high"] < 0
    lines = []
    for words, part in (
        ("gain, with their whole interval", everything[gain]),
        ("lose, with their whole interval", everything[lose]),
        ("are not shown to do either", everything[~gain & ~lose]),
    ):
        names = [f"{item.candidate} ({item.variant}, {signed(item.difference)})" for item in part.itertuples()]
        lines.append(f"* {len(part)} of {len(everything)} changes {words}: {', '.join(names) or 'none'}.")
    return lines


def claims(frame: pd.DataFrame, name: str = "claims", of: str = PAPER_BLOCK, figure: bool = True) -> str:
    """What the paper says, or what our extensions gain, the evidence, and whether it holds in a run.

    Args:
        frame: Columns as in :data:`asdlib.evaluation.claims.COLUMNS`; a run from before the last ones lacks them.
        name: What ``{numref}`` calls the table begins with it.
        of: Block whose rows are judged.
        figure: Whether the page has a figure ``<name>-figure`` of the effects, to which their numbers then link.
    """
    ours = of == EXTENSION_BLOCK
    shown = pd.DataFrame(
        {
            "Claim": [
                _numbered(name if figure else "", *item)
                for item in zip(range(1, len(frame) + 1), frame["effect"], frame["unit"], strict=True)
            ],
            "Statement" if ours else "The paper says": [
                item.claim if ours else f"“{item.claim}” ({item.source})" for item in frame.itertuples()
            ],
            "Tested as": frame["test"],
            "Effect": [effect(item.effect, item.low, item.high) for item in frame.itertuples()],
            "As selected in the paper": frame["development"].map(signed),
            "In the printed table": frame["paper"].map(signed),
            "Rests on": [_basis(*item) for item in frame.reindex(columns=BASIS).itertuples(index=False)],
            "Verdict": [f"**{item.verdict}**: {item.reason}" for item in frame.itertuples()],
        }
    )
    which = "What our extensions gain" if ours else "The paper's claims, judged on the paper's rows"
    caption = f"{which}; effects in percentage points (correlations times 100), with their intervals. {MULTIPLICITY}"
    if ours:
        shown = shown.drop(columns="In the printed table")
        return table(shown, caption, f"{name}-table", "rllrrll", "1 4 5 3 2 2 4")
    return table(shown, caption, f"{name}-table", "rllrrrll", "1 5 4 3 2 2 2 4")


def _basis(clips: float, sections: float, seeds: float) -> str:
    """On how much a verdict rests."""
    if pd.isna(clips):
        return BLANK
    return f"{clips:.0f} clips, {sections:.0f} section(s), {seeds:.0f} seed(s)"


# Decisions and health -------------------------------------------------------------------------------------------------
def false_alarms(frame: pd.DataFrame, name: str = "false-alarms") -> str:
    """Rates of false alarms, aimed at, stated and measured: how often inside by row, then every section and domain."""
    stated = frame[frame["inside"].isin(["yes", "no"])]
    if stated.empty:
        return "No section has reference clips of the source domain, so no interval can be stated."
    counts = [
        (row, len(part), int((part["inside"] == "yes").sum()), percent(part["false_alarms"].mean()))
        for row, part in stated.groupby("row", sort=False)
    ]
    columns = ["Row (fixed by the settings)", "Sections", "Inside the stated interval", "Mean rate, %"]
    summary = table(
        pd.DataFrame(counts, columns=columns),
        "Source domain: in how many sections the measured rate of false alarms lies inside the stated interval.",
        f"{name}-counts",
        "lrrr",
    )
    shown = frame[["row", "machine", "section", "domain"]].rename(columns=str.capitalize)
    shown["Aimed at"] = frame["aim"].map(percent)
    shown["Stated"] = [
        f"{100 * item.stated_low:.1f} to {100 * item.stated_high:.1f}" if item.inside else "no promise"
        for item in frame.itertuples()
    ]
    shown["Measured"] = frame["false_alarms"].map(percent)
    shown["Inside"] = frame["inside"].map({"yes": "yes", "no": "**no**"}).fillna(BLANK)
    shown["Reference clips"], shown["Normal clips"] = frame["reference_clips"], frame["normal_clips"]
    shown["Hits"] = frame["recall"].map(percent)
    caption = (
        "Every section and domain: the rate of false alarms that is aimed at, the interval stated for it, and the rate "
        "measured on normal test clips; the share of anomalies found (hits); per cent."
    )
    whole = table(shown, caption, f"{name}-table", "llllrrrlrrr")
    return f"{summary}\n\n::::{{dropdown}} Every section and domain\n{whole}::::\n"


def health_notes(frame: pd.DataFrame) -> str:
    """A warning that lists the systems that cannot tell clips apart, and what trainings noticed; or that none was."""
    lines = health.sentences(frame)
    if not lines:
        return "No system of this run has scores that do not vary, and no training noticed anything odd of itself."
    listed = "\n".join(f"* {line}" for line in lines)
    return f":::{{warning}}\nRows and systems that do not work in this run:\n\n{listed}\n:::\n"


def claims_over_seeds(run) -> str:
    """Both tables of claims over runs that differ in the seed only, or that there are none."""
    parts = []
    for path, name, of in (
        (run.claims, "claims-seeds", PAPER_BLOCK),
        (run.claims_extensions, "extensions-seeds", EXTENSION_BLOCK),
    ):
        if run.over_seeds(path).is_file():
            parts.append(claims(pd.read_csv(run.over_seeds(path)), name, of, figure=False))
    return "\n\n".join(parts) or "There is one seed: no verdict of this run says what another training would change."


def _numbered(name: str, number: int, effect: float, unit: str) -> str:
    """The number of a claim, which links to where its effect is seen, if there is one and ``name`` of a figure."""
    where = "audit-table" if unit == ARITHMETIC else f"{name}-figure"
    return str(number) if pd.isna(effect) or not name else f"{{ref}}`{number} <{where}>`"


def effect(value: float, low: float, high: float) -> str:
    """A difference of fractions in percentage points, with its interval if there is one."""
    return signed(value) + ("" if pd.isna(low) else f" ({signed(low)} to {signed(high)})")


# Reliability ----------------------------------------------------------------------------------------------------------
def reliability(path: Path) -> str:
    """What the tests that try to break the project counted (``make reliability``), kept in ``book/results``."""
    frame = pd.read_csv(path)
    files = frame["test"].str.extract(r"(\w+)\.py::")[0]
    shown = pd.DataFrame(
        {
            "Tried": frame["what"].str[:1].str.upper() + frame["what"].str[1:],
            "Count": frame["value"].map("{:,.6g}".format),
        }
    )
    parts = [
        table(shown[files == file], f"Figures of `tests/{file}.py`.", f"reliability-{file}", "lr", "6 1")
        for file in dict.fromkeys(files)
    ]
    made = " and ".join(f"commit `{commit}` on {date}" for commit, date in _made(frame))
    return "\n".join([*parts, f"Counted by the tests themselves at {made}."])


def _made(frame: pd.DataFrame) -> list[tuple[str, str]]:
    return list(dict.fromkeys(zip(frame["commit"], frame["date"], strict=True)))
