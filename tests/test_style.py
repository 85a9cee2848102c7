"""Logarithmic axes have labels that can be read, whatever their range."""

import itertools

import matplotlib.pyplot as plt
import pytest

from asdlib.plots import style


@pytest.mark.parametrize("range_", [(0.21, 0.48), (0.15, 0.9), (0.91, 0.98), (0.3, 7), (2, 90), (0.004, 300), (1, 1e7)])
def test_labels_of_a_logarithmic_axis_do_not_overlap(range_):
    figure, axes = plt.subplots(figsize=(3, 3))
    axes.scatter(range_, (0, 1))
    axes.set_xscale("log")
    style.label_log(axes.xaxis)
    figure.canvas.draw()
    low, high = axes.get_xlim()
    ticks = zip(axes.xaxis.get_majorticklocs(), axes.xaxis.get_majorticklabels(), strict=True)
    labels = [label for place, label in ticks if low <= place <= high]
    boxes = [label.get_window_extent() for label in (*labels, *axes.xaxis.get_minorticklabels()) if label.get_text()]
    plt.close(figure)
    assert len(boxes) >= 2
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
