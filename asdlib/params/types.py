"""Define the types of single settings, and the base class of all groups of settings."""

import json
import os
from contextlib import suppress
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from asdlib.params.yaml12 import Float, Integer


def number(value: Any) -> Any:
    """Refuse true and false where a number is expected, and read 0x1F or 1e3, which ``--set`` passes on as text."""
    if isinstance(value, bool):  # Python would count true as 1
        raise ValueError(f"expected a number, found {json.dumps(value)}")
    if isinstance(value, str):
        with suppress(ValueError):
            return int(value, 0)
        with suppress(ValueError):
            return float(value)
    return value


def text(value: Any) -> Any:
    """Restore text that YAML reads as a number or null, as it was written: section 00, machine type 001 or null."""
    if isinstance(value, Integer | Float):
        return value.text
    return str(value) if type(value) in (int, float) else "null" if value is None else value


def require_list(value: Any) -> Any:
    """Refuse a single text where a list is expected."""
    if isinstance(value, str):
        raise ValueError(f"expected a list, found {json.dumps(value)}; write [{value}]")
    return value


def expand_home(value: str) -> str:
    """Replace ``~`` by the home folder."""
    return os.path.expanduser(value)


Positive = Annotated[int, BeforeValidator(number), Field(gt=0)]
Count = Annotated[int, BeforeValidator(number), Field(ge=0)]
PositiveFloat = Annotated[float, BeforeValidator(number), Field(gt=0)]
Fraction = Annotated[float, BeforeValidator(number), Field(ge=0, le=1)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Section = Annotated[str, BeforeValidator(text), StringConstraints(pattern=r"^\d{2}$")]
Text = Annotated[str, BeforeValidator(text)]
Machines = Annotated[list[Text], BeforeValidator(require_list)]
Sections = Annotated[list[Section], BeforeValidator(require_list)]
Folder = Annotated[Text, AfterValidator(expand_home)]


def ordered(pair: tuple) -> tuple:
    """Refuse a range that runs backwards."""
    if pair[0] > pair[1]:
        raise ValueError(f"the range {list(pair)} runs backwards; expected [smallest, largest]")
    return pair


Range = Annotated[tuple[Count, Count], AfterValidator(ordered)]
Combination = Literal["average", "median", "maximum", "ranking"]
Pooling = Literal["median", "mean", "max", "top_k", "percentile", "upper_mean"]
CopyPooling = Literal["mean", "max", "median"]
FRAME_VARIANTS = tuple(
    pooling + ("" if copies == "mean" else f"_of_{copies}")
    for copies in get_args(CopyPooling)
    for pooling in get_args(Pooling)
)
"""scores from frame Gaussians, by their pooling over time: ``median_of_max`` is the median over time, with errors
pooled over copies by the maximum"""
Variant = Literal[(*FRAME_VARIANTS, "clip_signed", "l1")]
PseudoTargetBy = Literal["mixup", "shift"]
TargetFrom = Literal["clips", "shifted"]
Origin = Literal["paper", "extension"]
WindowPooling = Literal["mean", "median", "max", "upper_mean"]
MIXED_VARIANTS = tuple(f"w{weight}_{pooling}" for weight in (50, 25, 75) for pooling in get_args(WindowPooling))
"""weight w of the posterior in per cent, and pooling of windows: ``w50_mean`` weighs posterior and distance equally"""
ClassifierVariant = Literal[
    (*MIXED_VARIANTS, "posterior", "distance", "source_model", "mahalanobis", "source_mahalanobis")
]


class Strict(BaseModel):
    """Base of all settings: forbids unknown keys, is immutable, and uses attribute docstrings as descriptions."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


class Branch(Strict):
    """What the settings of both branches share."""

    origin: Origin = "paper"
    """whether this is the paper's method, smaller settings allowed, or an extension of ours (:mod:`asdlib.origin`)"""
    seed: Count = 0
    """added to the run's seed: candidates may differ in nothing else"""


def require_papers_method(branch, **departs: bool) -> None:
    """Raise an error if a branch has ``origin: paper`` but adds to the paper's method or leaves out a part of it.

    Args:
        branch: Settings of the branch.
        departs: By setting (``section__key``), whether its value is not the paper's method.
    """
    for name, departing in departs.items():
        if departing and branch.origin == "paper":
            section, _, key = name.partition("__")
            value = json.dumps(getattr(getattr(branch, section), key))
            raise ValueError(
                f"{section}.{key} is {value}, which is not the paper's method; also set origin: extension, or remove "
                f"{section}.{key}"
            )


def unique(names: list[str]) -> list[str]:
    """Return ``names`` if each occurs once, else raise ``ValueError``."""
    if len(set(names)) < len(names):
        raise ValueError(f"variants ({', '.join(names)}) must name each variant once")
    return names
