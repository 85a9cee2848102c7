"""Format Table 1 in the paper's wide layout, also as Markdown and LaTeX: the paper's rows, then our extensions."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from asdlib.evaluation import paper
from asdlib.evaluation.rows import block_of

DASH, NOT_RUN, UNDEFINED = "–", "not run", "undefined"


def typeset(text: str) -> str:
    """Set the minus signs of the numbers in a text, except in code; what is rounded to zero has no sign.

    >>> typeset("-3.16 (-5.00 to -0.00), +0.00, +0.05, `x=-1`, 2026-11-27")
    '−3.16 (−5.00 to 0.00), 0.00, +0.05, `x=-1`, 2026-11-27'
    """
    parts = text.split("`")
    parts[::2] = [
        re.sub(r"(?<![\w.])[−+](0(\.0+)?)(?![\d.])", r"\1", re.sub(r"(?<![\w.-])-(?=\d)", "−", part))
        for part in parts[::2]
    ]
    return "`".join(parts)


def wide(table: pd.DataFrame, selection: str, column: str = "value") -> pd.DataFrame:
    """Pivot one selection of the tidy table, with one row per method and one column per machine type and domain.

    Args:
        table: Table 1, as returned by :func:`asdlib.evaluation.table1.run`.
        selection: Selection to show; rows that select nothing are always included, by halves for ``cross-fitted``.
        column: ``value``, ``low``, ``high``, ``paper`` or ``paper_printed``.

    Returns:
        Fractions; index row names, columns (machine, domain), the last one (all, all).
    """
    rows = list(dict.fromkeys(table["row"]))
    machines = [machine for machine in dict.fromkeys(table["machine"]) if machine != "all"]
    known = set(zip(table["machine"], table["domain"], strict=True))
    keys = [(m, d) for m in machines for d in paper.DOMAINS if (m, d) in known] + [("all", "all")]
    part = table[table["selection"].isin(["", selection])].sort_values("selection", kind="stable")
    part = part.drop_duplicates(["row", "machine", "domain"], keep="last")  # by halves, if available
    values = part.set_index(["row", "machine", "domain"])[column]
    result = [[values.get((row, *key), np.nan) for key in keys] for row in rows]
    return pd.DataFrame(result, index=pd.Index(rows, name="row"), columns=pd.MultiIndex.from_tuples(keys))


def format_cells(table: pd.DataFrame, selection: str, run: Sequence[str]) -> pd.DataFrame:
    """Format :func:`wide` in per cent, with words where there is no number, and the interval in the last column.

    Args:
        table: The tidy table.
        selection: Selection to show.
        run: Machine types that were run.
    """
    value, low, high = (wide(table, selection, column) for column in ("value", "low", "high"))
    result = value.map(percent).astype(object)
    computed = table.loc[table["value"].notna(), "row"].unique()
    for machine, domain in value.columns:
        absent = value[machine, domain].isna()
        result.loc[absent, (machine, domain)] = NOT_RUN if machine not in (*run, "all") else UNDEFINED
    result.loc[~result.index.isin(computed)] = NOT_RUN
    for row in value.index:
        if np.isfinite(low.loc[row, ("all", "all")]):
            bounds = f"{percent(low.loc[row, ('all', 'all')])} to {percent(high.loc[row, ('all', 'all')])}"
            result.loc[row, ("all", "all")] += f" ({bounds})"
    return result


def compare_with_paper(table: pd.DataFrame, selection: str, run: Sequence[str]) -> pd.DataFrame:
    """List the paper, this run and their difference for every row of the paper, cell by cell, in per cent.

    Args:
        table: The tidy table.
        selection: Selection to show.
        run: Machine types that were run; their cells are shown.

    Returns:
        Index (row, line) with the lines ``paper``, ``this run`` and ``difference``. Columns (machine, domain), then
        (all, from cells) and (all, printed); the latter compares only if the run has all machine types of the paper.
    """
    ours, theirs, printed = (wide(table, selection, column) for column in ("value", "paper", "paper_printed"))
    rows = [row for row in paper.ROWS if row in ours.index]
    keys = [key for key in ours.columns if key[0] in run]
    lines = {}
    for row in rows:
        total = ours.loc[row, ("all", "all")]
        whole = total if set(run) == set(paper.MACHINES) else np.nan  # of the machine types of the printed figure?
        computed = np.array([*ours.loc[row, keys], total, whole])
        last = ("all", "all")
        published = np.array([*theirs.loc[row, [*keys, last]], printed.loc[row, last]])
        lines[row, "paper"] = list(map(percent, published))
        lines[row, "this run"] = list(map(percent, computed))
        differences = computed - published
        lines[row, "difference"] = [f"{100 * value:+.2f}" if np.isfinite(value) else DASH for value in differences]
    columns = pd.MultiIndex.from_tuples([*keys, ("all", "from cells"), ("all", "printed")])
    index = pd.MultiIndex.from_tuples(lines, names=["row", "line"])
    return pd.DataFrame(list(lines.values()), index, columns)


def format_printed() -> pd.DataFrame:
    """Format the printed table in per cent, with "all" as printed and as computed from the cells."""
    cells = paper.cells().set_index(["row", "machine", "domain"])["value"]
    keys = [(machine, domain) for machine in paper.MACHINES for domain in paper.DOMAINS]
    result = pd.DataFrame({key: [percent(cells[(row, *key)]) for row in paper.ROWS] for key in keys}, paper.ROWS)
    audit = paper.audit().set_index("row")
    result["all", "printed"] = [percent(audit.loc[row, "printed"]) for row in paper.ROWS]
    result["all", "from cells"] = [percent(audit.loc[row, "from_cells"]) for row in paper.ROWS]
    result.columns = pd.MultiIndex.from_tuples(result.columns)
    return result


def markdown(
    table: pd.DataFrame, title: str, note: str, selections: Sequence[str], run: Sequence[str], notes: Sequence[str] = ()
) -> str:
    """Format all selections, each also compared with the paper, and the printed table as Markdown, with ``notes``."""
    parts = [f"**{title}.** Harmonic mean of AUC and pAUC in per cent. {note}"]
    for selection in selections:
        parts += [f"*This run, selection {selection}*", _pipes(format_cells(table, selection, run))]
        parts += [f"*Note:* {sentence}" for sentence in notes]
        compared = compare_with_paper(table, selection, run)
        parts += [f"*Paper, this run and difference, selection {selection}*", _pipes(compared)]
    parts += ["*The paper*", _pipes(format_printed())]
    return "\n\n".join(parts) + "\n"


def latex(
    table: pd.DataFrame, title: str, note: str, selections: Sequence[str], run: Sequence[str], notes: Sequence[str] = ()
) -> str:
    """Format all selections, each also compared with the paper, as LaTeX (booktabs), with ``notes`` in the captions."""
    parts = ["% Written by asdlib; needs \\usepackage{booktabs}"]
    for selection in selections:
        caption = f"{title}, selection {selection}. Harmonic mean of AUC and pAUC in per cent. {note}".strip()
        parts.append(_tabular(format_cells(table, selection, run), " ".join([caption, *notes])))
        parts.append(_tabular(compare_with_paper(table, selection, run), f"Paper, this run and difference. {caption}"))
    return "\n\n".join(parts) + "\n"


def percent(value: float) -> str:
    """Format a fraction in per cent, or as a dash if it is not finite."""
    return f"{100 * value:.2f}" if np.isfinite(value) else DASH


def _pipes(frame: pd.DataFrame) -> str:
    heads = ["Method"] + ["all" if key == ("all", "all") else " ".join(key) for key in frame.columns]
    lines = ["| " + " | ".join(heads) + " |", "|---" + "|---:" * frame.shape[1] + "|"]
    for title, rows in _parts(frame):
        lines += [f"| **{title}** |" + " |" * frame.shape[1]] if title else []
        lines += ["| " + " | ".join([_name(row), *values]) + " |" for row, *values in rows]
    return "\n".join(lines)


def _tabular(frame: pd.DataFrame, caption: str) -> str:
    lines = [" & ".join([""] + [_escape(machine) for machine, _ in frame.columns]) + r" \\"]
    lines += [" & ".join(["Method"] + [domain for _, domain in frame.columns]) + r" \\", r"\midrule"]
    for number, (title, rows) in enumerate(_parts(frame)):
        span = rf"\multicolumn{{{frame.shape[1] + 1}}}{{l}}{{\emph{{{_escape(title)}}}}} \\"
        lines += [r"\midrule"] * bool(number) + [span] * bool(title)
        lines += [" & ".join(map(_escape, [_name(row), *values])) + r" \\" for row, *values in rows]
    return (
        "\\begin{table}\n"
        f"\\caption{{{_escape(caption)}}}\n"
        f"\\begin{{tabular}}{{l{'r' * frame.shape[1]}}}\n\\toprule\n"
        + "\n".join(lines)
        + "\n\\bottomrule\n\\end{tabular}\n\\end{table}"
    )


def _parts(frame: pd.DataFrame) -> list[tuple[str, list[tuple]]]:
    """Group the lines by block, with the titles of the blocks; a single block has no title."""
    parts: dict[str, list[tuple]] = {}
    for line in frame.itertuples(name=None):
        parts.setdefault(block_of(line[0] if isinstance(line[0], str) else line[0][0]), []).append(line)
    return list(parts.items()) if len(parts) > 1 else [("", rows) for rows in parts.values()]


def _name(row: str | tuple[str, str]) -> str:
    """Return the name of a row, followed by that of its line if there are several (:func:`compare_with_paper`)."""
    return row if isinstance(row, str) else f"{row[0]}, {row[1]}"


def _escape(text: str) -> str:
    for sign in "&%_#":
        text = text.replace(sign, "\\" + sign)
    return text.replace(DASH, "--")
