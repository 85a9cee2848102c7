"""Draw the whole method and the three networks of the book as box diagrams, with the sizes of the run's settings.

Each diagram runs from top to bottom and is narrow, so that its text stays readable on a phone.
"""

from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from asdlib.params import Settings
from asdlib.plots import style

WIDTH = 4.0  # inches; hardly more than a phone's page
LINE, PADDING, GAP = 0.165, 0.16, 0.27  # inches; of a line of text, around the text of a box, between rows
DATA = "0.55"
"""colour of what no network is: clips, features, scores"""


@dataclass(frozen=True)
class Box:
    """One box: a name, lines below it, and a colour."""

    name: str
    lines: tuple[str, ...]
    colour: str = DATA


Row = tuple[Box, ...]
"""boxes next to each other: one, or two that are fed by what is above them on their side"""


def method(settings: Settings) -> list[Row]:
    """The whole method, both branches next to each other, from a clip to the decision about it."""
    one, other = settings.autoencoder, settings.classifier
    told = ("and the section" if one.model.section_input else "of all its frames",)
    mels = f"{one.features.n_mels} mel bands,"
    own, theirs, both = style.AUTOENCODER, style.CLASSIFIER, style.ENSEMBLE
    return [
        (Box("clip", ("one waveform, of one section",)),),
        (
            Box("log-mel", (mels, *told)),
            Box("log-mel images", (f"of {counted(other.images.windows, 'window')},", "waveform normalised")),
        ),
        (
            Box("autoencoder", ("one per machine type,", f"rebuilds {counted(one.scorer.copies, 'masked copy')}"), own),
            Box("backbone", ("one per section, and", "fine-tuned for the target"), theirs),
        ),
        (
            Box("error of each frame", ("pooled over the copies",)),
            Box("embedding", ("one per window",), theirs),
        ),
        (
            Box("Gaussian of errors", ("one per section, domain", "ours: of a clip's mean error"), own),
            Box("posterior, centroid", ("distance to the centroid", "ours: Mahalanobis distance"), theirs),
        ),
        (
            Box("score of the clip", ("frames pooled over time",)),
            Box("score of the clip", ("windows pooled, then the", "normalised two weighted")),
        ),
        (
            Box("AE ensemble", ("candidates' scores,", "normalised, combined"), own),
            Box("BC ensemble", ("candidates' scores,", "normalised, combined"), theirs),
        ),
        (Box("mix", ("mean of both ensembles, each normalised",), both),),
        (Box("decision", ("alarm above a threshold", "that normal clips seldom exceed")),),
    ]


def autoencoder(settings: Settings) -> list[Row]:
    """The autoencoder and its scorer, from the clip to its score."""
    branch = settings.autoencoder
    blocks = f"{counted(branch.model.blocks, 'Conformer block')}, {branch.model.channels} channels"
    bands = f"{branch.features.n_mels} mel bands per frame"
    colour = style.AUTOENCODER
    return [
        (Box("log-mel of a clip", (f"{bands} and the section" if branch.model.section_input else bands,)),),
        (Box("masks", (f"{counted(branch.scorer.copies, 'copy')}, each masked differently",)),),
        (Box("encoder", (blocks,), colour),),
        (Box("bottleneck", (f"{branch.model.latent or branch.model.channels} units per frame",), colour),),
        (Box("decoder", (blocks, "loss: error to the unmasked log-mel"), colour),),
        (Box("error of each frame", ("pooled over the copies",)),),
        (Box("Gaussian of such errors", ("one per section and domain",), colour),),
        (Box("score of each frame", ("pooled over time: score of the clip",)),),
    ]


def classifier(settings: Settings) -> list[Row]:
    """The classifier of one section, from a window of a clip to the score, with both losses."""
    branch = settings.classifier
    image, colour = f"{branch.features.n_mels} mel bands, {branch.images.frames} frames", style.CLASSIFIER
    return [
        (Box("windows of a clip", (f"{counted(branch.images.windows, 'waveform')}",)),),
        (Box("log-mel image", (image,)),),
        (Box("backbone", (branch.model.backbone,), colour),),
        (Box("embedding", ("average over time and frequency",), colour),),
        (
            Box("centroids", ("normal and outlier", *["loss: DDCSAD"] * bool(branch.ddcsad.weight)), colour),
            Box("one layer", ("normal or outlier", "loss: cross-entropy"), colour),
        ),
        (
            Box("distance", ("to the normal centroid", "pooled over windows")),
            Box("posterior", ("log-odds of outlier", "pooled over windows")),
        ),
        (Box("score of the clip", ("weighted sum, both normalised",)),),
    ]


def integrated(settings: Settings) -> list[Row]:
    """The one network of a machine type, its two heads with their losses, and its score."""
    branch = settings.integrated
    blocks = f"{counted(branch.model.blocks, 'Conformer block')}, {branch.model.channels} channels"
    used = [name for name, share in branch.training.shares if share]
    reconstruction = ["loss: reconstruction"] if "reconstruction" in used else []
    classes = [f"loss: {name.replace('ddcsad', 'DDCSAD')}" for name in used if name != "reconstruction"]
    return [
        (Box("log-mel of a clip", (f"{branch.features.n_mels} mel bands per frame, no section",)),),
        (Box("masks", (f"{counted(branch.scorer.copies, 'copy')}, each masked differently",)),),
        (Box("encoder, shared", (blocks,), style.ENSEMBLE),),
        (
            Box("bottleneck, decoder", ("told the section", *reconstruction), style.AUTOENCODER),
            Box("embedding", (f"{branch.model.embedding} units per clip", *classes),
                style.CLASSIFIER),
        ),
        (
            Box("errors", ("of the frames,", "of the clip's mean")),
            Box("embedding scores", ("distance,", "posterior")),
        ),
        (Box("score of the clip", ("mean of both heads' z-scores",)),),
    ]  # fmt: skip


DIAGRAMS = {"method": method, "autoencoder": autoencoder, "classifier": classifier, "integrated": integrated}


def counted(number: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "copy"), counted(4, "copy"), counted(2, "block")
    ('1 copy', '4 copies', '2 blocks')
    """
    plural = noun if number == 1 else noun.removesuffix("y") + "ies" if noun.endswith("y") else f"{noun}s"
    return f"{number} {plural}"


def draw(settings: Settings, folder: Path) -> None:
    """Draw every diagram as ``folder/schematic_<name>.svg``, text as outlines, on opaque white."""
    style.use()
    for name, rows in DIAGRAMS.items():
        picture = figure(rows(settings))
        style.save_svg(picture, folder / f"schematic_{name}.svg")


def figure(rows: list[Row]) -> Figure:
    """Lay rows of boxes out from top to bottom, with an arrow from each box to what it feeds."""
    heights = [LINE * (1 + max(len(box.lines) for box in row)) + PADDING for row in rows]
    total = sum(heights) + GAP * len(rows)
    picture = plt.figure(figsize=(WIDTH, total), layout="none")
    axes = picture.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(0, total))
    axes.set_axis_off()
    top, above = total - GAP / 2, []
    for row, height in zip(rows, heights, strict=True):
        wide = WIDTH * (0.76 if len(row) == 1 else 0.46)
        centres = [WIDTH / 2] if len(row) == 1 else [WIDTH * 0.26, WIDTH * 0.74]
        for box, centre in zip(row, centres, strict=True):
            _box(axes, box, centre, top, wide, height)
        for start, end in _pairs(above, centres):
            arrow = {"arrowstyle": "-|>", "color": "0.35", "shrinkA": 0, "shrinkB": 0}
            axes.annotate("", xy=(end, top), xytext=(start, top + GAP), arrowprops=arrow)
        above, top = centres, top - height - GAP
    return picture


def _pairs(above: list[float], below: list[float]) -> list[tuple[float, float]]:
    """Where arrows begin and end: straight down, into both boxes of a pair or out of both."""
    if len(above) == len(below):
        return list(zip(above, below, strict=True))
    return [(x, x) for x in (above if len(above) > len(below) else below) if above]


def _box(axes: Axes, box: Box, centre: float, top: float, wide: float, height: float) -> None:
    corner = (centre - wide / 2, top - height)
    edge = {"edgecolor": box.colour, "facecolor": "white", "linewidth": 2}
    axes.add_patch(FancyBboxPatch(corner, wide, height, boxstyle="round,pad=0,rounding_size=0.08", **edge))
    middle = top - height / 2 + LINE * len(box.lines) / 2
    for number, text in enumerate((box.name, *box.lines)):
        look = {"fontsize": 10, "weight": "bold"} if number == 0 else {"fontsize": 9, "color": "0.2"}
        axes.text(centre, middle - number * LINE, text, ha="center", va="center", **look)
