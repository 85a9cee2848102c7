"""Define one look and one meaning of each colour across the book (Okabe and Ito's colour-blind safe palette)."""

import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

SOURCE, TARGET = "#0072B2", "#E69F00"
NORMAL, ANOMALY = "#009E73", "#D55E00"
NORMAL_HELD_OUT = "#A6DCCB"
"""normal clips held out from training, where normal test clips stand next to them: a lighter shade of their colour"""
AUTOENCODER, CLASSIFIER, ENSEMBLE, BASELINE = "#56B4E9", "#CC79A7", "#000000", "#8C8C8C"
COLOURS = {
    "source": SOURCE,
    "target": TARGET,
    "normal": NORMAL,
    "anomaly": ANOMALY,
    "outlier": BASELINE,
    "autoencoder": AUTOENCODER,
    "classifier": CLASSIFIER,
    "ensemble": ENSEMBLE,
    "baseline": BASELINE,
}
LABELS = {"normal": NORMAL, "anomaly": ANOMALY}
WIDTH = 5.4
"""of a figure in inches: a phone shows all of it, with letters that can still be read"""
SPECTROGRAM = "magma"
"""colour map of log-mel in dB"""
DIFFERENCE = "RdBu_r"
"""colour map of signed errors, white at zero"""


def label_log(axis: Axis) -> None:
    """Label a logarithmic axis, whose data are drawn, with a few plain numbers.

    Matplotlib's own labels of a range below one decade, such as 3 × 10⁻¹, print over each other.

    Args:
        axis: The ``xaxis`` or ``yaxis`` of axes with that scale.
    """
    low, high = axis.get_view_interval()
    narrow = MaxNLocator(4) if high < 5 * low else LogLocator(subs=(1, 2, 5))
    axis.set_major_locator(narrow if high < 100 * low else LogLocator())
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def boxes(axis: Axes, values: Sequence, positions: Sequence[float], width: float, colour: str, **options) -> None:
    """Draw vertical box plots whose whiskers reach from the 5th to the 95th percentile; ``options`` of ``boxplot``."""
    axis.boxplot(
        values,
        positions=positions,
        widths=width,
        whis=(5, 95),
        patch_artist=True,
        boxprops={"facecolor": colour},
        medianprops={"color": "black"},
        manage_ticks=False,
        **options,
    )


def use() -> None:
    """Apply the style: opaque white background, readable at phone width, figures sharp on a dense screen.

    A user's ``matplotlibrc`` changes nothing. In a notebook, pictures have twice the pixels of their size.
    """
    if "IPython" in sys.modules and sys.modules["IPython"].get_ipython() is not None:  # in a notebook
        from matplotlib_inline.config import InlineBackend

        InlineBackend.instance().figure_formats = {"retina"}
    plt.style.use("default")
    sns.set_theme(style="whitegrid", font_scale=0.8, palette=[SOURCE, TARGET, NORMAL, ANOMALY, CLASSIFIER])
    plt.rcParams.update(
        {
            "figure.figsize": (WIDTH, 3.2),
            "figure.dpi": 110,
            "figure.facecolor": "white",
            "savefig.facecolor": "white",
            "figure.constrained_layout.use": True,
            "axes.titlesize": "medium",
            "image.origin": "lower",
            "image.aspect": "auto",
            "image.interpolation": "nearest",
        }
    )


def save_svg(figure: Figure, path: Path) -> None:
    """Save a figure as SVG on opaque white, text as outlines, and close it; the same figure gives the same bytes."""
    with plt.rc_context({"svg.hashsalt": "asdlib", "svg.fonttype": "path"}):
        figure.savefig(path, metadata={"Date": None}, facecolor="white")
    plt.close(figure)


def colour(row: str) -> str:
    """Return the colour of a row of Table 1: of its branch, of ensembles of both, or of baselines."""
    if row.startswith(("AE+BC", "mix")):
        return ENSEMBLE
    return {"AE": AUTOENCODER, "BC": CLASSIFIER}.get(row.partition(" ")[0].removesuffix("+"), BASELINE)
