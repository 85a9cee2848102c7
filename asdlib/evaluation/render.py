"""Table 1 as the paper lays it out: wide, for Markdown and LaTeX."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from asdlib.evaluation import paper

DASH, NOT_RUN, UNDEFINED = "–", "not run", "undefined"


def wide(table: pd.DataFrame, selection: str, column: str = "value") -> pd.DataFrame:
    """One selection of the tidy table, a row a method and a column a machine type and domain.

    Args:
        table: As :func:`asdlib.evaluation.table1.run` returns it.
        selection: Which selection; rows that select nothing are always there.
        column: ``value``, ``low``, ``high`` or ``paper``.

    Returns:
        Fractions; index row names, columns (machine, domain), the last one (all, all).
    """
    rows = list(dict.fromkeys(table["row"]))
    machines = [machine for machine in dict.fromkeys(table["machine"]) if machine != "all"]
    known = set(zip(table["machine"], table["domain"], strict=True))
    keys = [(m, d) for m in machines for d in paper.DOMAINS if (m, d) in known] + [("all", "all")]
    part = table[table["selection"].isin(["", selection])]
    values = part.set_index(["row", "machine", "domain"])[column]
    result = [[values.get((row, *key), np.nan) for key in keys] for row in rows]
    return pd.DataFrame(result, index=pd.Index(rows, name="row"), columns=pd.MultiIndex.from_tuples(keys))


def texts(table: pd.DataFrame, selection: str, run: Sequence[str]) -> pd.DataFrame:
    """:func:`wide` in per cent, with words where there is no number, and the interval in the last column.

    Args:
        table: The tidy table.
        selection: Which selection.
        run: Machine types that were run.
    """
    value, low, high = (wide(table, selection, column) for column in ("value", "low", "high"))
    result = value.map(_percent).astype(object)
    for machine, domain in value.columns:
        absent = value[machine, domain].isna()
        result.loc[absent, (machine, domain)] = NOT_RUN if machine not in (*run, "all") else UNDEFINED
    for row in value.index:
        if np.isfinite(low.loc[row, ("all", "all")]):
            bounds = f"{_percent(low.loc[row, ('all', 'all')])} to {_percent(high.loc[row, ('all', 'all')])}"
            result.loc[row, ("all", "all")] += f" ({bounds})"
    return result


def printed() -> pd.DataFrame:
    """The printed table in per cent, with "all" as printed and as the cells give it."""
    cells = paper.cells().set_index(["row", "machine", "domain"])["value"]
    keys = [(machine, domain) for machine in paper.MACHINES for domain in paper.DOMAINS]
    result = pd.DataFrame({key: [_percent(cells[(row, *key)]) for row in paper.ROWS] for key in keys}, paper.ROWS)
    audit = paper.audit().set_index("row")
    result["all", "printed"] = [_percent(audit.loc[row, "printed"]) for row in paper.ROWS]
    result["all", "from cells"] = [_percent(audit.loc[row, "from_cells"]) for row in paper.ROWS]
    result.columns = pd.MultiIndex.from_tuples(result.columns)
    return result


def markdown(table: pd.DataFrame, title: str, note: str, selections: Sequence[str], run: Sequence[str]) -> str:
    """All selections and the printed table as Markdown."""
    parts = [f"**{title}.** Harmonic mean of AUC and pAUC in per cent. {note}"]
    for selection in selections:
        parts += [f"*This run, selection {selection}*", _pipes(texts(table, selection, run))]
    parts += ["*The paper*", _pipes(printed())]
    return "\n\n".join(parts) + "\n"


def latex(table: pd.DataFrame, title: str, note: str, selections: Sequence[str], run: Sequence[str]) -> str:
    """All selections as LaTeX tables (package booktabs)."""
    parts = ["% Written by asdlib; needs \\usepackage{booktabs}"]
    for selection in selections:
        frame = texts(table, selection, run)
        caption = f"{title}, selection {selection}. Harmonic mean of AUC and pAUC in per cent. {note}"
        lines = [" & ".join([""] + [_escaped(machine) for machine, _ in frame.columns]) + r" \\"]
        lines += [" & ".join(["Method"] + [domain for _, domain in frame.columns]) + r" \\", r"\midrule"]
        lines += [" & ".join([_escaped(row), *map(_escaped, frame.loc[row])]) + r" \\" for row in frame.index]
        parts.append(
            "\\begin{table}\n"
            f"\\caption{{{_escaped(caption)}}}\n"
            f"\\begin{{tabular}}{{l{'r' * frame.shape[1]}}}\n\\toprule\n"
            + "\n".join(lines)
            + "\n\\bottomrule\n\\end{tabular}\n\\end{table}"
        )
    return "\n\n".join(parts) + "\n"


def _percent(value: float) -> str:
    return f"{100 * value:.2f}" if np.isfinite(value) else DASH


def _pipes(frame: pd.DataFrame) -> str:
    heads = ["Method"] + ["all" if key == ("all", "all") else " ".join(key) for key in frame.columns]
    lines = ["| " + " | ".join(heads) + " |", "|---" + "|---:" * frame.shape[1] + "|"]
    lines += ["| " + " | ".join([row, *frame.loc[row]]) + " |" for row in frame.index]
    return "\n".join(lines)


def _escaped(text: str) -> str:
    for sign in "&%_#":
        text = text.replace(sign, "\\" + sign)
    return text.replace(DASH, "--")
