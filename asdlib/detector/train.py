"""Training a detector: the stages of the experiment, on the user's recordings, without any anomaly."""

import contextlib
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from asdlib import params, paths
from asdlib.autoencoder import scorer as autoencoder_scorer
from asdlib.autoencoder import train as autoencoder_train
from asdlib.classifier import scorer as classifier_scorer
from asdlib.classifier import train as classifier_train
from asdlib.detector.folder import Recordings
from asdlib.detector.recordings import MACHINE
from asdlib.errors import DetectorError
from asdlib.execution import process_lifetime
from asdlib.execution.prefixed import Prefixed


def settings(profile: str | Path, overrides: dict, work: Path) -> params.Settings:
    """The profile's settings for a detector that is made in ``work``.

    Raises:
        ParamsError: The profile or an override cannot be used.
    """
    own = {
        "profile": "detector",
        "title": "A machine of one's own",
        "runs": str(work.resolve()),
        "data.root": str((work / "data").resolve()),
        "data.synthetic": None,
        "data.machines": [MACHINE],
        "data.sections": None,
        "data.anomalies": False,
    }
    return params.load(profile, params.merged(overrides, own))


def candidates(made: params.Settings, recordings: Recordings) -> tuple[dict[str, list[str]], list[str]]:
    """The candidates of each branch that these recordings can train, and a sentence for each that they cannot."""
    chosen = {"autoencoder": list(made.autoencoder_candidates), "classifier": []}
    missing = []
    for name in made.classifier_candidates:
        if made.candidate("classifier", name).batches.negatives == "dataset":
            missing.append(f"classifier {name}: its outliers are the machine types of DCASE2021's data sets")
        elif len(recordings.sections) == 1 and not recordings.outliers:
            missing.append(f"classifier {name}: needs outliers, which neither other sections nor other folders gave")
        else:
            chosen["classifier"].append(name)
    return chosen, missing


def train(made: params.Settings, chosen: dict[str, list[str]], sections: list[str], jobs: int) -> None:
    """Train all candidates and fit their scorers, ``jobs`` at a time; what is done already stays.

    Args:
        made: Of :func:`settings`, the clips prepared.
        chosen: Of :func:`candidates`.
        sections: Two digits each.
        jobs: Processes; each uses ``threads`` of the settings.
    """
    tasks = [("autoencoder", name, "") for name in chosen["autoencoder"]]
    tasks += [("classifier", name, section) for name in chosen["classifier"] for section in sections]
    tasks = [(made.resolved(), *task) for task in tasks]
    with process_lifetime.leading(Path(made.runs)) as pipe:  # waits until processes of an earlier call have ended
        if jobs == 1 or len(tasks) == 1:
            for task in tasks:
                run(*task)
        else:
            _side_by_side(tasks, jobs, pipe)
    for name in chosen["classifier"]:
        if not paths.Run.of(made).scores("classifier", MACHINE, name).is_file():
            classifier_scorer.score(made, MACHINE, name)


def _side_by_side(tasks: list[tuple], jobs: int, pipe: Path) -> None:
    """Run tasks in processes of their own, which end with this one, however it ends."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(jobs, len(tasks)), context, process_lifetime.follow_in_pool, (str(pipe),))
    try:
        for future in [pool.submit(run, *task) for task in tasks]:
            future.result()
    except BaseException as error:
        for process in list(pool._processes.values()):  # shutdown would wait until the tasks are done
            process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)
        if isinstance(error, BrokenProcessPool):
            raise DetectorError(
                "a process that trained a network was killed, perhaps because memory ran out; fit again with a lower "
                "--jobs (jobs=...), which continues where this call ended"
            ) from None
        raise
    pool.shutdown()


def run(resolved: dict, branch: str, candidate: str, section: str) -> None:
    """One task of :func:`train`, in a process of its own: train one network; an autoencoder's scorers, too."""
    made = params.Settings.model_validate(resolved)
    folder = paths.Run.of(made).system(branch, MACHINE, candidate, section or None)
    name = " ".join(part for part in (branch, candidate, section and f"section {section}") if part)
    with contextlib.redirect_stdout(Prefixed(name)):
        if branch == "classifier":
            if not (folder / "record.json").is_file():
                classifier_train.fit(made, MACHINE, section, candidate)
            return
        if not (folder / "record.json").is_file():
            autoencoder_train.fit(made, MACHINE, candidate)
        if not (folder / "scores.csv").is_file():
            autoencoder_scorer.score(made, MACHINE, candidate)
