"""Format Table 1 in the paper's wide layout as HTML, for the book and notebook 08."""

import html
from collections.abc import Sequence

import numpy as np
import pandas as pd

from asdlib.evaluation.render import NOT_RUN, UNDEFINED, percent, typeset, wide
from asdlib.evaluation.rows import block_of


def rows_as_html(table: pd.DataFrame, selection: str, run: Sequence[str], compare: bool = True) -> str:
    """Format one selection as the head and the bodies of an HTML table, one body per block of rows.

    A cell holds this run's figure, and small below it the paper's (the column ``paper`` of the table) and their
    difference, in per cent; the first column, over all machine types, also holds the interval. The head says which is
    which. The best figure of a column in each block has the
    class ``best``. Cells carry this run's figure in ``data-value``, by which the book's script sorts.

    Args:
        table: The tidy table.
        selection: Which selection.
        run: Machine types that were run, which are shown.
        compare: Whether the paper's figures are shown.
    """
    value, printed = wide(table, selection), wide(table, selection, "paper")
    columns = [key for machine in run for key in value.columns if key[0] == machine]
    columns = [("all", "all"), *columns]
    intervals = [wide(table, selection, column)["all", "all"] for column in ("low", "high")]
    computed = set(table.loc[table["value"].notna(), "row"])
    parts = [_head(columns, bool(compare and np.isfinite(printed[columns].to_numpy(float)).any()))]
    titles = [block_of(row) for row in value.index]
    for title in dict.fromkeys(titles):
        part = value[[name == title for name in titles]]
        lines = [f'<tr class="block"><th colspan="{len(columns) + 1}" scope="rowgroup">{html.escape(title)}</th></tr>']
        for row in part.index:
            cells = [f'<th scope="row">{html.escape(row)}</th>']
            for key in columns:
                best = np.isfinite(part.loc[row, key]) and part.loc[row, key] == part[key].max()
                bounds = [float(bound[row]) for bound in intervals] if key == ("all", "all") else [np.nan, np.nan]
                theirs = printed.loc[row, key] if compare else np.nan
                absent = UNDEFINED if row in computed else NOT_RUN
                cells.append(_cell(part.loc[row, key], theirs, bounds, best, absent))
            lines.append(f"<tr>{''.join(cells)}</tr>")
        parts.append("<tbody>\n" + "\n".join(lines) + "\n</tbody>")
    return "\n".join(parts)


def _head(columns: list[tuple[str, str]], compared: bool) -> str:
    """The two lines of the head: machine types, then domains, each a button that sorts; and what a cell holds.

    Args:
        columns: Machine type and domain of each column.
        compared: Whether cells hold the paper's figure and the difference, too.
    """
    machines = list(dict.fromkeys(machine for machine, _ in columns))
    spans = {machine: sum(key[0] == machine for key in columns) for machine in machines}
    above = "".join(
        f'<th scope="colgroup" colspan="{spans[machine]}">{html.escape(machine)}</th>' for machine in machines
    )
    below = "".join(
        f'<th scope="col"><button type="button">{html.escape(domain)}</button></th>' for _, domain in columns
    )
    lines = '<span class="run"><b>this run</b></span>' + '<span class="interval">interval (all)</span>'
    lines += '<span class="line"><i class="paper">paper</i> <span class="difference">difference</span></span>'
    first = f'Method<span class="legend">{lines}</span>' if compared else "Method"
    return f'<thead>\n<tr><th rowspan="2" scope="col">{first}</th>{above}</tr>\n<tr>{below}</tr>\n</thead>'


def _cell(value: float, theirs: float, bounds: list[float], best: bool, absent: str) -> str:
    """One cell: this run's figure with its interval, then the paper's figure and the difference in one line."""
    known = np.isfinite(value)
    ours = f"<b>{percent(value)}</b>" if known else f'<span class="absent">{absent}</span>'
    lines = [f'<span class="run" title="this run{", best of its column" if best else ""}">{ours}</span>']
    if known and np.isfinite(bounds[0]):
        lines.append(f'<span class="interval">{percent(bounds[0])} to {percent(bounds[1])}</span>')
    if np.isfinite(theirs):
        line = f'<i class="paper" title="paper">{percent(theirs)}</i>'
        if known:
            difference = typeset(f"{100 * (value - theirs):+.2f}")
            line += f' <span class="difference" title="this run minus paper">{difference}</span>'
        lines.append(f'<span class="line">{line}</span>')
    attributes = (f' data-value="{100 * value:.6f}"' if known else "") + (' class="best"' if best else "")
    return f"<td{attributes}>{' '.join(lines)}</td>"


def as_html(table: pd.DataFrame, selections: Sequence[str], run: Sequence[str]) -> str:
    """Format Table 1 as HTML for a notebook: one table per selection, the first one unfolded."""
    parts = []
    for number, selection in enumerate(selections):
        rows = rows_as_html(table, selection, run)
        opened = " open" * (number == 0)
        parts.append(f'<details{opened}><summary>{selection}</summary><table class="table1">{rows}</table></details>')
    return "\n".join(parts)
