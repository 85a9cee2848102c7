"""Fit a detector: lay out the user's recordings, run the stages of the experiment on them, and write its folder."""

import contextlib
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from asdlib import atomic, params, paths, records
from asdlib.autoencoder import scorer as autoencoder_scorer
from asdlib.autoencoder import train as autoencoder_train
from asdlib.classifier import scorer as classifier_scorer
from asdlib.classifier import train as classifier_train
from asdlib.detector import estimate, make
from asdlib.detector.description import FORMAT, Description
from asdlib.detector.layout import lay_out
from asdlib.detector.recordings import MACHINE, lengths
from asdlib.detector.sources import Recordings
from asdlib.errors import DetectorError, ParamsError
from asdlib.execution import process_lifetime
from asdlib.execution.prefixed import Prefixed
from asdlib.params.validation import flatten, validate
from asdlib.prepare import prepare_clips


def fit_detector(
    recordings: Recordings,
    place: Path,
    jobs: int,
    began: float,
    *,
    profile: str | Path | dict,
    false_alarm_rate: float,
    overrides: dict | None,
    level_limit: float,
    statistics_only: bool,
) -> tuple[Path, list[str]]:
    """Train both branches on normal recordings and set thresholds on some that are held out.

    Args:
        recordings: Normal recordings by section, some under changed conditions, and those of other machines.
        place: Folder for intermediate results; a call with the same arguments resumes an interrupted one.
        jobs: Number of networks trained at the same time.
        began: Start of the fit, by the monotonic clock.
        profile: As in :class:`asdlib.detector.detector.Detector`; so are the following.
        false_alarm_rate: Intended rate of false alarms.
        overrides: Settings to change.
        level_limit: By how many dB a level may lie outside the range that was learnt.
        statistics_only: Whether to train no network.

    Returns:
        The folder of the detector, and warnings about the recordings.

    Raises:
        asdlib.errors.AsdError: Recordings or settings cannot be used.
    """
    settings = build_settings(profile, overrides or {}, place)
    asked = [settings.resolved(), repr(recordings), level_limit, false_alarm_rate, statistics_only]
    settings = build_settings(profile, overrides or {}, place / records.fingerprint(asked))
    layout = lay_out(recordings, settings, false_alarm_rate, level_limit, statistics_only)
    for warning in layout.warnings:
        print(f"warning: {warning}", flush=True)
    chosen, missing = choose_candidates(settings, recordings, statistics_only)
    codes = [f"{number:02d}" for number in range(len(recordings.sections))]
    count = len(chosen["autoencoder"]) + len(chosen["classifier"]) * len(codes)
    if count:
        took = estimate.in_words(estimate.seconds(settings, chosen, codes, jobs))
        print(f"training {count} network(s), {min(jobs, count)} at a time: {took} on this machine", flush=True)
    prepare_clips(settings, warn=False)  # the survey has warned of recordings, by the names that the user knows
    description = Description(
        format=FORMAT,
        sections=list(recordings.sections),
        seconds=layout.seconds,
        lengths=lengths(layout.seconds),
        level_limit=level_limit,
        level=layout.level,
        levels=make.summarise_levels(layout.clips),
        false_alarm_rate=false_alarm_rate,
        missing=missing,
        outliers=list(recordings.outliers),
        record={},
        **chosen,
    )
    if count:
        train(settings, chosen, description.codes, jobs)
    written = Path(settings.runs) / "made"
    with atomic.writing(written, folder=True) as target:
        make.write(target, settings, description, layout, began)
    return written, layout.warnings


def build_settings(profile: str | Path | dict, overrides: dict, work: Path) -> params.Settings:
    """Return the settings for a detector that is made in ``work``.

    Args:
        profile: Name of a profile, path of one, or all settings.
        overrides: Settings to change.
        work: Folder for the run.

    Raises:
        ParamsError: The profile or an override cannot be used, or ``fit`` sets what an override changes.
    """
    own = {
        "profile": "detector",
        "title": "Your own machine",
        "runs": str(work.resolve()),
        "data.root": str((work / "data").resolve()),
        "data.synthetic": None,
        "data.machines": [MACHINE],
        "data.sections": None,
        "data.anomalies": False,
    }
    for key in flatten(params.merge({}, overrides)):
        if any(f"{key}.".startswith(f"{name}.") for name in own):
            raise ParamsError(
                f"overrides: fit sets {key} by itself, from the recordings that it is given; leave it out"
            )
    overrides = params.merge(overrides, own)
    if isinstance(profile, dict):
        return validate(params.Settings, params.merge(profile, overrides), "profile")
    return params.load(profile, overrides)


def choose_candidates(
    settings: params.Settings, recordings: Recordings, statistics_only: bool
) -> tuple[dict[str, list[str]], list[str]]:
    """Return the candidates of each branch that these recordings can train, and one sentence for each of the others."""
    if statistics_only:
        return {"autoencoder": [], "classifier": []}, []
    chosen = {"autoencoder": list(settings.autoencoder_candidates), "classifier": []}
    missing = []
    for name in settings.classifier_candidates:
        if settings.candidate("classifier", name).batches.negatives == "dataset":
            missing.append(f"classifier {name}: its outliers are the machine types of DCASE2021's data sets")
        elif len(recordings.sections) == 1 and not recordings.outliers:
            missing.append(f"classifier {name}: needs outliers: other sections or folders of other machines")
        else:
            chosen["classifier"].append(name)
    return chosen, missing


def train(settings: params.Settings, chosen: dict[str, list[str]], sections: list[str], jobs: int) -> None:
    """Train all candidates and fit their scorers, ``jobs`` at the same time; finished networks are kept.

    Args:
        settings: Settings (:func:`build_settings`); the clips must be decoded.
        chosen: Candidates of each branch (:func:`choose_candidates`).
        sections: Sections, two digits each.
        jobs: Number of processes; each uses ``threads`` of the settings.
    """
    tasks = [("autoencoder", name, "") for name in chosen["autoencoder"]]
    tasks += [("classifier", name, section) for name in chosen["classifier"] for section in sections]
    tasks = [(settings.resolved(), *task) for task in tasks]
    with process_lifetime.leading(Path(settings.runs)) as pipe:  # waits until processes of an earlier call have ended
        if jobs == 1 or len(tasks) == 1:
            for task in tasks:
                run_task(*task)
        else:
            _run_parallel(tasks, jobs, pipe)
    for name in chosen["classifier"]:
        if not paths.Run.of(settings).scores("classifier", MACHINE, name).is_file():
            classifier_scorer.score(settings, MACHINE, name)


def _run_parallel(tasks: list[tuple], jobs: int, pipe: Path) -> None:
    """Run tasks in parallel processes, which end with this one, however it ends."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(jobs, len(tasks)), context, process_lifetime.follow_in_pool, (str(pipe),))
    try:
        for future in [pool.submit(run_task, *task) for task in tasks]:
            future.result()
    except BaseException as error:
        for process in list(pool._processes.values()):  # shutdown alone would wait for running tasks
            process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)
        if isinstance(error, BrokenProcessPool):
            raise DetectorError(
                "a process that trained a network was killed, perhaps because memory ran out; fit again with a lower "
                "--jobs (jobs=...), which continues where this call ended"
            ) from None
        raise
    pool.shutdown()


def run_task(resolved: dict, branch: str, candidate: str, section: str) -> None:
    """Run one task of :func:`train`: train one network, and fit the scorers if it is an autoencoder."""
    settings = params.Settings.model_validate(resolved)
    folder = paths.Run.of(settings).system(branch, MACHINE, candidate, section or None)
    name = " ".join(part for part in (branch, candidate, section and f"section {section}") if part)
    with contextlib.redirect_stdout(Prefixed(name)):
        if branch == "classifier":
            if not (folder / paths.RECORD).is_file():
                classifier_train.fit(settings, MACHINE, section, candidate)
            return
        if not (folder / paths.RECORD).is_file():
            autoencoder_train.fit(settings, MACHINE, candidate)
        if not (folder / paths.SCORES).is_file():
            autoencoder_scorer.score(settings, MACHINE, candidate)
