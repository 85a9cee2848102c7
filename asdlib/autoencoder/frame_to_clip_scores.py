"""Score a clip by its reconstruction errors and stored Gaussians: the scorer module of Sec. 2.1.

In the paper's order, the errors of the masked copies are first pooled by mean, maximum or median. A Gaussian per
section and domain over the error *vectors of frames* then gives each frame's negative log-likelihood, which is
post-processed over time. Each choice of pooling is a variant, and each variant counts as a system. Two variants are
extensions that the paper lacks (:mod:`asdlib.origin`): ``clip_signed`` averages the signed errors over time first and
then scores the clip's error vector with one Gaussian per section and domain; ``l1`` is the mean absolute error, a score
without a scorer.

This module does not import PyTorch, because a detector with ONNX files scores without it.
"""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from asdlib import atomic
from asdlib.errors import ScoreError
from asdlib.gaussian import Gaussian
from asdlib.time_pooling import pool

CLIP_SIGNED, L1 = "clip_signed", "l1"


def error_kinds(options) -> list[str]:
    """Return the kinds of errors that scoring needs (:meth:`.TrainedAutoencoder.errors`)."""
    return sorted({"signed", "absolute", *(error_kind(options, copies) for copies in copy_poolings(options))})


def copy_poolings(options) -> list[str]:
    """Return the poolings over copies that the variants use; the mean first, which the scores over time show."""
    frame_variants = [variant for variant in options.variants if variant not in (CLIP_SIGNED, L1)]
    return list(dict.fromkeys(["mean", *(_parts(variant)[1] for variant in frame_variants)]))


def _parts(variant: str) -> tuple[str, str]:
    """Split a variant into the poolings over time and over copies.

    >>> _parts("median_of_max"), _parts("median")
    (('median', 'max'), ('median', 'mean'))
    """
    pooling, _, copies = variant.partition("_of_")
    return pooling, copies or "mean"


def error_kind(options, copies: str) -> str:
    """Return the kind of error whose copies are pooled by ``copies``."""
    return options.errors if copies == "mean" else f"{options.errors}.{copies}"


def score_clip(
    error: dict[str, np.ndarray], gaussians: dict[str, Gaussian], section: str, domain: str, options
) -> dict[str, float]:
    """Score one clip in every variant, in the order of the settings, independently of other clips.

    Args:
        error: Errors of the clip, ``(frames, dims)`` for each of :func:`error_kinds`.
        gaussians: Gaussians of all sections and domains, as returned by :func:`load`.
        section: Section of the clip.
        domain: Domain of the clip, or the domain as which to score it.
        options: :class:`asdlib.params.autoencoder.AutoencoderScorer`.
    """
    frames = {
        copies: score_frames(error, gaussians, section, domain, options, copies) for copies in copy_poolings(options)
    }
    values = {}
    for variant in options.variants:
        if variant == CLIP_SIGNED:
            signed = error["signed"].mean(0, dtype=np.float64)[None]
            values[variant] = float(gaussians[clip_gaussian(section, domain)].negative_log_likelihood(signed)[0])
        elif variant == L1:
            values[variant] = float(error["absolute"].mean(0, dtype=np.float64).mean())
        else:
            pooling, copies = _parts(variant)
            values[variant] = pool(frames[copies], pooling, options.top_share, options.percentile)
    return values


def score_frames(
    error: dict[str, np.ndarray], gaussians: dict[str, Gaussian], section: str, domain: str, options, copies="mean"
) -> np.ndarray:
    """Return each frame's negative log-likelihood, ``(frames,)``, with errors pooled over the copies by ``copies``."""
    gaussian = gaussians[frame_gaussian(section, domain, options, copies)]
    return gaussian.negative_log_likelihood(error[error_kind(options, copies)])


def frame_gaussian(section: str, domain: str, options, copies: str = "mean") -> str:
    """Return the name of the Gaussian that scores a clip's frames, from its section, domain and pooling over copies.

    >>> from asdlib.params import AutoencoderScorer
    >>> [frame_gaussian("00", "source", AutoencoderScorer(groups=groups)) for groups in ("section_domain", "machine")]
    ['00.source', 'machine']
    """
    group = {"section_domain": f"{section}.{domain}", "section": section, "machine": "machine"}[options.groups]
    return group if copies == "mean" else f"{group}.{copies}"


def clip_gaussian(section: str, domain: str) -> str:
    """Return the name of a Gaussian over clips, distinct from those over frames (:func:`frame_gaussian`)."""
    return f"clip.{section}.{domain}"


def check_finite(error: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """Return a clip's errors if all are finite, else raise a :class:`ScoreError` that names the clip."""
    for kind, values in error.items():
        if not np.isfinite(values).all():
            raise ScoreError(
                f"clip {name}: the {kind} reconstruction error contains NaN or infinity; expected finite numbers; "
                "check the training of the model"
            )
    return error


def save(gaussians: dict[str, Gaussian], path: Path) -> None:
    """Write Gaussians to a safetensors file, by name."""
    arrays = {}
    for name, gaussian in gaussians.items():
        arrays |= gaussian.arrays(f"{name}/")
    with atomic.writing(path) as temporary:
        save_file(arrays, temporary)


def load(path: Path) -> dict[str, Gaussian]:
    """Load the Gaussians that :func:`save` wrote, by name."""
    arrays = load_file(path)
    names = sorted({name.rpartition("/")[0] for name in arrays})
    return {name: Gaussian.from_arrays(arrays, f"{name}/") for name in names}
