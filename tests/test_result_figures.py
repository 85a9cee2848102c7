"""Test that figures of results show what they are given: marks of selections, bars, correlations, free legends."""

import numpy as np
import pandas as pd
import pytest

from asdlib.plots import ensemble, evaluation, systems


def test_a_row_without_choice_has_a_mark_of_its_own_and_colours_are_explained():
    rows = [("AE", name, 0.7, 0.6, 0.8) for name in ("development", "cross-fitted", "fixed")]
    rows += [("Mahalanobis", "", 0.6, 0.5, 0.7)]
    table = pd.DataFrame(rows, columns=["row", "selection", "value", "low", "high"])
    figure = evaluation.intervals(table)
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == ["selects nothing", "development", "cross-fitted", "fixed", *evaluation.PARTS.values()]
    assert len(set(evaluation.MARKERS.values())) == 4
    marks = {
        (round(line.get_xdata()[0]), line.get_marker()) for line in figure.axes[0].lines if len(line.get_xdata()) == 1
    }
    assert (60, evaluation.MARKERS[""]) in marks and (70, evaluation.MARKERS["development"]) in marks


def test_optimism_is_drawn_as_bars_and_not_as_intervals():
    table = pd.DataFrame({"row": ["AE", "BC"], "difference": [0.02, -0.01]})
    axis = evaluation.optimism(table).axes[0]
    assert [bar.get_width() for bar in axis.patches] == pytest.approx([-1.0, 2.0]), "from below"
    assert [label.get_text() for label in axis.get_yticklabels()] == ["BC", "AE"] and len(axis.lines) == 1
    extended = pd.DataFrame({"row": ["AE", "BC", "mix+"], "difference": [0.02, -0.01, 0.03]})
    line = evaluation.optimism(extended).axes[0].lines[-1]
    assert list(line.get_ydata()) == [0.5, 0.5], "between the extension, at 0, and the paper's rows"


def test_correlations_can_be_read_in_each_cell():
    rows = [("normal", "a", "b", 0.25), ("anomaly", "a", "b", -0.75)]
    figure = ensemble.agreement(pd.DataFrame(rows, columns=["label", "first", "second", "correlation"]))
    texts = [[text.get_text() for text in axis.texts] for axis in figure.axes[:2]]
    assert texts == [["0.25", "0.25"], ["-0.75", "-0.75"]]
    assert min(text.get_fontsize() for axis in figure.axes[:2] for text in axis.texts) >= 9


def test_the_legend_lies_above_lines_and_bands():
    offers = (2, 10, 30)
    rows = [
        (of, selection, number, value * number / 30, value * number / 30 - 0.01, value * number / 30 + 0.01)
        for of, selection, value in (
            ("gain", "development", 0.02), ("gain", "cross-fitted", 0.01),
            ("optimism of chosen", "cross-fitted", 0.03), ("optimism of best single", "cross-fitted", 0.01),
        )
        for number in offers
    ]  # fmt: skip
    columns = ["of", "selection", "on_offer", "effect", "block_low", "block_high"]
    figure = systems.gain_by_offer(pd.DataFrame(rows, columns=columns))
    figure.canvas.draw()
    for axis in figure.axes:
        legend = axis.get_legend().get_window_extent()
        drawn = np.concatenate([axis.transData.transform(line.get_xydata()) for line in axis.lines[:2]])
        assert not any(legend.contains(*point) for point in drawn)
        band = np.concatenate([path.vertices for shape in axis.collections for path in shape.get_paths()])
        assert axis.transData.transform(band)[:, 1].max() < legend.y0
