"""Estimate how long a training will take on this machine, by timing a few steps of each network on noise."""

import time

import torch

from asdlib.autoencoder.model import Autoencoder
from asdlib.classifier.model import Classifier
from asdlib.classifier.windows import samples_of
from asdlib.compute import resolve_compute

_STEPS = 2  # steps to time, after one that warms up
_OTHER = 1.15  # factor for preparing, scoring and writing


def seconds(settings, chosen: dict[str, list[str]], sections: list[str], jobs: int) -> float:
    """Estimate how many seconds :func:`asdlib.detector.train.train` takes, within a factor of about two.

    Args:
        settings: Settings of the run.
        chosen: Candidates by branch.
        sections: Sections, as two digits each.
        jobs: Number of networks trained at a time.
    """
    compute, state = resolve_compute(settings), torch.get_rng_state()
    tasks, timed = [], {}
    for branch, names in chosen.items():
        for name in names:
            options = settings.candidate(branch, name)
            recipe = options.model_dump_json(exclude={"seed", "scorer"})
            if recipe not in timed:
                step = _autoencoder_step if branch == "autoencoder" else _classifier_step
                timed[recipe] = _timed(step(options, settings, len(sections), compute))
            steps = options.training.steps
            if branch == "classifier":
                steps += options.training.finetune_steps
            tasks += [steps * timed[recipe]] * (1 if branch == "autoencoder" else len(sections))
    torch.set_rng_state(state)
    side_by_side = max(sum(tasks) / jobs, max(tasks))
    return _OTHER * side_by_side


def in_words(duration: float) -> str:
    """Format a duration in seconds in words.

    >>> in_words(40), in_words(70), in_words(1000), in_words(9000)
    ('less than a minute', 'about a minute', 'about 17 minutes', 'about 2.5 hours')
    """
    if duration < 90:
        return "less than a minute" if duration < 60 else "about a minute"
    return f"about {duration / 60:.0f} minutes" if duration < 5400 else f"about {duration / 3600:.1f} hours"


def _timed(step) -> float:
    step()
    began = time.monotonic()
    for _ in range(_STEPS):
        step()
    return (time.monotonic() - began) / _STEPS


def _autoencoder_step(options, settings, sections: int, compute):
    model = Autoencoder(options.model, options.features.n_mels, sections).to(compute.device).train()
    frames = sum(options.training.crop_frames) // 2
    features = torch.randn(options.training.batch_size, frames, options.features.n_mels, device=compute.device)
    section = torch.zeros(len(features), dtype=torch.int64, device=compute.device)

    def step() -> None:
        with compute.autocast():
            loss = (model(features, section).float() - model.target(features, section)).square().mean()
        loss.backward()
        loss.item()

    return step


def _classifier_step(options, settings, sections: int, compute):
    weights = options.model.model_copy(update={"pretrained": False})  # avoids a download
    options = options.model_copy(update={"model": weights})
    model = Classifier(options, settings.data.sample_rate, (0.0, 0.1)).to(compute.device).train()
    waveform = 0.1 * torch.randn(options.batches.batch_size, samples_of(options), device=compute.device)
    label = (torch.arange(len(waveform), device=compute.device) % 2).float()

    def step() -> None:
        with compute.autocast():
            loss = model.losses(waveform, label)["loss"]
        loss.backward()
        loss.item()

    return step
