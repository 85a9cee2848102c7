"""Candidates of scorers without a network for a target domain with a few clips, on the features of one section."""

from dataclasses import dataclass

import numpy as np

from asdlib.gaussian import Gaussian

BANDWISE = ("mean", "dev", "q10", "q50", "q90", "gwrp99", "gwrp95", "difference")


@dataclass
class Section:
    """Vectors of one section, by feature: source clips to learn from, held-out ones, target clips, pseudo-target."""

    learn: dict
    held: dict
    target: dict
    made: dict  # without ("none", 0, 1, ...) -> feature -> (learn, held)
    rng: np.random.Generator

    def stack(self, part: dict, blocks: tuple) -> np.ndarray:
        return np.concatenate([np.asarray(part[block], np.float64) for block in blocks], axis=1)


def log_density(gaussian: Gaussian, samples: np.ndarray) -> np.ndarray:
    return -gaussian.surprise(samples)


def scatter_of(offset: np.ndarray) -> np.ndarray:
    scatter = offset.T @ offset / len(offset)
    return scatter + np.diag(np.diag(scatter))


def moved(mean: np.ndarray, covariance: np.ndarray, target: np.ndarray, weight: float):
    """Posterior predictive of a target clip: source's Gaussian plus an unknown common offset with prior scatter."""
    offset = target - mean
    prior = weight * scatter_of(offset)
    count = len(target)
    gain = np.linalg.solve(prior + covariance / count, prior).T
    found = gain @ offset.mean(0)
    return Gaussian.of(mean + found, covariance + prior - gain @ prior + 0), found


def visible(section: Section, target: np.ndarray, few: np.ndarray, blocks: tuple) -> np.ndarray:
    """How much of the source's deviation over time each band still shows in the target, ``(dims,)``."""
    ratio = np.clip(section.target["dev"][few].mean(0) / section.learn["dev"].mean(0), 0.05, 1.5)
    return np.concatenate([ratio if block in BANDWISE else np.ones(section.learn[block].shape[1]) for block in blocks])


def coral(section: Section, few: np.ndarray, ridge: float = 0.1) -> np.ndarray:
    def root(matrix, power):
        value, vector = np.linalg.eigh(matrix)
        return (vector * np.maximum(value, 1e-9) ** power) @ vector.T

    before, after = section.learn["within"].astype(np.float64).mean(0), section.target["within"][few].astype(np.float64).mean(0)
    size = len(before)
    before = before + ridge * np.trace(before) / size * np.eye(size)
    after = after + ridge * np.trace(after) / size * np.eye(size)
    half = root(before, 0.5)
    return root(before, -0.5) @ root(half @ after @ half, 0.5) @ root(before, -0.5)  # optimal transport


def hypotheses(section: Section, blocks: tuple, few: np.ndarray, without="none", wanted=None) -> dict:
    """Each hypothesis' Gaussian of normal target clips, and held-out clips as the hypothesis expects them."""
    learn, held = section.stack(section.learn, blocks), section.stack(section.held, blocks)
    target = section.stack(section.target, blocks)[few]
    source = Gaussian.fit(learn)
    found = {"source": (source, held), "all": (Gaussian.fit(np.concatenate([learn, target])), held)}
    for weight in (0.1, 0.3, 1.0):
        found[f"widened{weight}"] = (source.widened(target, weight), held)
    shift = target.mean(0) - source.mean
    found["offset"] = (Gaussian.of(source.mean + shift, source.covariance * (1 + 1 / len(few))), held + shift)
    for weight in (0.1, 1.0):
        gaussian, gain = moved(source.mean, source.covariance, target, weight)
        found[f"moved{weight}"] = (gaussian, held + gain)
    if any(block in BANDWISE for block in blocks):
        ratio = visible(section, target, few, blocks)
        covariance = source.covariance * np.outer(ratio, ratio)
        carried = (held - source.mean) * ratio + source.mean + shift
        for weight in (0.0, 0.1, 0.3):
            rest = source.mean + shift
            extra = weight * scatter_of(target - rest) if weight else 0
            found[f"frames{weight}"] = (Gaussian.of(rest, covariance * (1 + 1 / len(few)) + extra), carried)
        gaussian, gain = moved(source.mean, covariance, target, 0.1)
        found["frames_moved0.1"] = (gaussian, (held - source.mean) * ratio + source.mean + gain)
        found["frames_wide0.1"] = (Gaussian.of(source.mean, covariance).widened(target, 0.1), (held - source.mean) * ratio + source.mean)
        share = section.rng.uniform(size=(len(learn), 1))
        pick = target[section.rng.integers(len(target), size=len(learn))]
        mixed = 10 * np.log10(share * 10 ** (learn / 10) + (1 - share) * 10 ** (pick / 10))
        found["mixup"] = (Gaussian.fit(mixed), held)
        found["mixup_half"] = (Gaussian.fit(10 * np.log10(0.5 * 10 ** (learn / 10) + 0.5 * 10 ** (pick / 10))), held)
    if blocks == ("mean",):
        carry = coral(section, few)
        for weight in (0.0, 0.1):
            rest = source.mean + shift
            extra = weight * scatter_of(target - rest) if weight else 0
            found[f"coral{weight}"] = (Gaussian.of(rest, carry @ source.covariance @ carry.T + extra), (held - source.mean) @ carry.T + rest)
    if section.made:
        made = section.made[without]
        gaussian = Gaussian.fit(section.stack({b: made[b][0] for b in blocks}, blocks)).widened(target, 0.1)
        found["shift"] = (gaussian, section.stack({b: made[b][1] for b in blocks}, blocks))
    return found if wanted is None else {name: found[name] for name in wanted if name in found}


def left_out(section: Section, blocks: tuple, wanted=None) -> dict[str, float]:
    """Log-density per dimension of each target clip under hypotheses fitted on the others, averaged."""
    count = len(section.target["mean"])
    total = {}
    for k in range(count):
        few = np.array([i for i in range(count) if i != k])
        clip = section.stack(section.target, blocks)[[k]]
        for name, (gaussian, _) in hypotheses(section, blocks, few, k, wanted).items():
            total[name] = total.get(name, 0.0) + log_density(gaussian, clip)[0] / clip.shape[1] / count
    return total


def nearest(section: Section, blocks: tuple, tests: np.ndarray, k: int, rescaled: bool) -> np.ndarray:
    """Distance to the k nearest training clips, whitened by the source's covariance; rescaled by that of the neighbour."""
    learn, target = section.stack(section.learn, blocks), section.stack(section.target, blocks)
    source = Gaussian.fit(learn)
    bank = np.concatenate([learn, target])
    white = lambda x: np.linalg.solve(source.cholesky, (x - source.mean).T).T
    bank, tests = white(bank), white(tests)
    between = np.sqrt(np.maximum(((tests[:, None] - bank[None]) ** 2).sum(2), 0))
    if rescaled:
        own = np.sqrt(np.maximum(((bank[:, None] - bank[None]) ** 2).sum(2), 0))
        np.fill_diagonal(own, np.inf)
        density = np.sort(own, axis=1)[:, :k].mean(1)
        between = between / density
    return np.sort(between, axis=1)[:, :k].mean(1)
