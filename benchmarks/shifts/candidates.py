"""Candidates of scorers without a network, for sections whose target domain has a few clips (``LOG.md``, 2026-11-26).

All work on feature vectors (:mod:`clip_features`). A candidate gives one score per test clip of a section and domain.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from asdlib.gaussian import Gaussian

BANDWISE = ("mean", "dev", "q10", "q50", "q90", "gwrp99", "gwrp95", "difference")
FEATURES = {
    "mean": ("mean",),
    "mean and deviation": ("mean", "dev"),
    "quantiles": ("q10", "q50", "q90"),
    "GWRP 0.99": ("gwrp99",),
    "GWRP 0.95": ("gwrp95",),
    "frame differences": ("difference",),
    "modulation": ("modulation",),
}
DIAGONAL = 0.3
"""weight of the differences' diagonal where they are pooled over sections"""
WEIGHED = ("widened 0.3", "moved", "frames", "shift")
"""hypotheses that left-out clips weigh"""
RULES = ("tolerant", "moved", "shift")
"""hypotheses that the last candidates combine"""


@dataclass
class Section:
    """Vectors of one section by feature, and of the shifted clips without each target clip."""

    name: str
    learn: dict
    held: dict
    target: dict
    made: dict
    """``none``, 0, 1, ... (the target clip left out): by feature, shifted clips to learn from and held out"""
    others: list["Section"]
    """the other sections of the machine type"""
    seed: int

    def stack(self, part: dict, blocks: tuple) -> np.ndarray:
        return np.concatenate([np.asarray(part[block], np.float64) for block in blocks], axis=1)

    def differences(self, blocks: tuple) -> np.ndarray:
        """Target clips minus the mean of the source clips, ``(clips, dims)``."""
        return self.stack(self.target, blocks) - self.stack(self.learn, blocks).mean(0)


@dataclass
class Hypothesis:
    """Normal clips of the target domain, as one assumption has them."""

    gaussian: Gaussian
    reference: np.ndarray
    """held-out source clips as they would be in the target domain"""

    def z(self, tests: np.ndarray) -> np.ndarray:
        """Distance of test clips, in deviations of the held-out clips' distances from their mean."""
        known = self.gaussian.distance(self.reference)
        return (self.gaussian.distance(tests) - known.mean()) / known.std()


def scatter(offset: np.ndarray, diagonal: float = 1.0) -> np.ndarray:
    found = offset.T @ offset / len(offset)
    return found + diagonal * np.diag(np.diag(found))


def hypotheses(section: Section, blocks: tuple, few: np.ndarray, without="none") -> dict[str, Hypothesis]:
    """All hypotheses of a section's target domain, from its target clips ``few``."""
    learn, held = section.stack(section.learn, blocks), section.stack(section.held, blocks)
    target = section.stack(section.target, blocks)[few]
    source, count = Gaussian.fit(learn), len(few)
    mean, covariance = source.mean, source.covariance
    shift = target.mean(0) - mean
    found = {"source": Hypothesis(source, held)}
    found["all"] = Hypothesis(Gaussian.fit(np.concatenate([learn, target])), held)
    for weight in (0.1, 0.3, 1.0):
        found[f"widened {weight}"] = Hypothesis(source.widened(target, weight), held)
    pooled = np.concatenate([target - mean, *(other.differences(blocks) for other in section.others)])
    found["tolerant"] = Hypothesis(Gaussian.of(mean, covariance + scatter(pooled, DIAGONAL)), held)
    found["offset"] = Hypothesis(Gaussian.of(mean + shift, covariance * (1 + 1 / count)), held + shift)
    prior = 0.1 * scatter(target - mean)
    gain = np.linalg.solve(prior + covariance / count, prior).T
    moved = Gaussian.of(mean + gain @ shift, covariance + prior - gain @ prior)
    found["moved"] = Hypothesis(moved, held + gain @ shift)
    if set(blocks) <= set(BANDWISE):
        found |= _bandwise(section, blocks, few, source, target, held)
    if section.made:
        parts = [section.stack({key: section.made[without][key][k] for key in blocks}, blocks) for k in (0, 1)]
        found["shift"] = Hypothesis(Gaussian.fit(parts[0]).widened(target, 0.1), parts[1])
    return found


def _bandwise(section, blocks, few, source, target, held) -> dict[str, Hypothesis]:
    """Hypotheses from what frames show, and the paper's Mixup of powers, for features that are levels of bands."""
    mean, shift = source.mean, target.mean(0) - source.mean
    ratio = np.clip(section.target["dev"][few].mean(0) / section.learn["dev"].mean(0), 0.05, 1.5)
    ratio = np.tile(ratio.astype(np.float64), len(blocks))
    scaled = source.covariance * np.outer(ratio, ratio) * (1 + 1 / len(few))
    rest = 0.1 * scatter(target - mean - shift)
    found = {"frames": Hypothesis(Gaussian.of(mean + shift, scaled + rest), (held - mean) * ratio + mean + shift)}
    rng, learn = np.random.default_rng([section.seed, int(section.name)]), section.stack(section.learn, blocks)
    share, other = rng.uniform(size=(len(learn), 1)), target[rng.integers(len(target), size=len(learn))]
    mixed = 10 * np.log10(share * 10 ** (learn / 10) + (1 - share) * 10 ** (other / 10))
    found["mixup"] = Hypothesis(Gaussian.fit(mixed), held)
    if blocks == ("mean",):
        before, after = (part["within"].astype(np.float64) for part in (section.learn, section.target))
        carry = _transport(before.mean(0), after[few].mean(0))
        found["CORAL"] = Hypothesis(
            Gaussian.of(mean + shift, carry @ source.covariance @ carry.T + rest),
            (held - mean) @ carry.T + mean + shift,
        )
    return found


def _transport(before: np.ndarray, after: np.ndarray, ridge: float = 0.1) -> np.ndarray:
    """Optimal transport from one covariance to another, both with a ridge."""

    def power(matrix: np.ndarray, exponent: float) -> np.ndarray:
        value, vector = np.linalg.eigh(matrix)
        return (vector * np.maximum(value, 1e-9) ** exponent) @ vector.T

    before, after = (m + ridge * np.trace(m) / len(m) * np.eye(len(m)) for m in (before, after))
    half, back = power(before, 0.5), power(before, -0.5)
    return back @ power(half @ after @ half, 0.5) @ back


def left_out(section: Section, blocks: tuple) -> dict[str, np.ndarray]:
    """Log-density of each target clip under each hypothesis fitted without it, ``(clips,)``."""
    count, found = len(section.target["mean"]), {}
    for k in range(count):
        few = np.array([i for i in range(count) if i != k])
        clip = section.stack(section.target, blocks)[[k]]
        for name, hypothesis in hypotheses(section, blocks, few, k).items():
            found.setdefault(name, []).append(-hypothesis.gaussian.negative_log_likelihood(clip)[0])
    return {name: np.array(values) for name, values in found.items()}


def nearest(section: Section, blocks: tuple, tests: np.ndarray, k: int, rescaled: bool) -> np.ndarray:
    """Distance to the k nearest training clips, whitened; rescaled by the distance of those to their own neighbours."""
    learn = section.stack(section.learn, blocks)
    source = Gaussian.fit(learn)
    bank = np.concatenate([learn, section.stack(section.target, blocks)])
    bank, tests = (np.linalg.solve(source.cholesky, (part - source.mean).T).T for part in (bank, tests))
    between = np.sqrt(((tests[:, None] - bank[None]) ** 2).sum(2))
    if rescaled:
        own = np.sqrt(((bank[:, None] - bank[None]) ** 2).sum(2))
        np.fill_diagonal(own, np.inf)
        between = between / np.sort(own, axis=1)[:, :k].mean(1)
    return np.sort(between, axis=1)[:, :k].mean(1)


def source_scores(section: Section, tests: dict) -> Iterator[tuple[str, np.ndarray]]:
    """Scores of source test clips, by candidate."""
    for feature, blocks in FEATURES.items():
        found, x = hypotheses(section, blocks, np.arange(len(section.target["mean"]))), section.stack(tests, blocks)
        yield f"{feature}, all clips", found["all"].gaussian.distance(x)
        yield f"{feature}, source clips", found["source"].gaussian.distance(x)


def target_scores(section: Section, tests: dict) -> Iterator[tuple[str, np.ndarray]]:
    """Scores of target test clips, by candidate."""
    few = np.arange(len(section.target["mean"]))
    for feature, blocks in FEATURES.items():
        found, x = hypotheses(section, blocks, few), section.stack(tests, blocks)
        for name in ("all", "source", "tolerant", "shift") if feature != "mean" else found:
            if name in found:
                label = f"{feature}, {name}{' clips' if name in ('all', 'source') else ''}"
                yield label, found[name].gaussian.distance(x)
        if feature not in ("mean", "quantiles"):
            continue
        if feature == "mean":
            for k in (1, 4):
                yield f"mean, nearest {k}", nearest(section, blocks, x, k, False)
                yield f"mean, nearest {k}, rescaled", nearest(section, blocks, x, k, True)
        if section.made:
            yield from combined(feature, found, left_out(section, blocks), x)


def combined(feature: str, found: dict[str, Hypothesis], density: dict[str, np.ndarray], x: np.ndarray):
    """Combinations of hypotheses, by weights that left-out clips give or by the minimum."""
    dims = x.shape[1]
    z = {name: hypothesis.z(x) for name, hypothesis in found.items()}
    stacked = np.stack([z[name] for name in WEIGHED])
    mean = np.array([density[name].mean() for name in WEIGHED]) / dims
    for temperature, label in ((1, "1"), (0.25, "1/4"), (1e-3, "0"), (1e9, "none")):
        yield f"{feature}, weighed by left-out clips, temperature {label}", softmax(mean / temperature) @ stacked
    yield f"{feature}, minimum of tolerant and shift", np.minimum(z["tolerant"], z["shift"])
    stacked = np.stack([z[name] for name in RULES])
    yield f"{feature}, minimum of {', '.join(RULES)}", stacked.min(0)
    density = np.stack([density[name] for name in RULES])
    best = np.median(density, 1)
    yield f"{feature}, best of {', '.join(RULES)} by left-out clips", stacked[best.argmax()]
    penalty = (best.max() - best) / np.sqrt(dims)
    yield f"{feature}, minimum of {', '.join(RULES)} with penalty", (stacked + penalty[:, None]).min(0)
    first = density.argmax(0)
    unanimous = (first == first[0]).all()
    yield f"{feature}, unanimous or minimum of {', '.join(RULES)}", stacked[first[0]] if unanimous else stacked.min(0)
