"""Fit a detector to a user's recordings: lay them out, train both branches, and write the folder of the detector."""

from pathlib import Path

from asdlib import atomic, records
from asdlib.detector import estimate, make, train
from asdlib.detector.facts import FORMAT, Facts
from asdlib.detector.layout import lay_out
from asdlib.detector.recordings import lengths
from asdlib.detector.sources import Recordings
from asdlib.prepare import prepare_clips


def fit(
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
    settings = train.build_settings(profile, overrides or {}, place)
    asked = [settings.resolved(), repr(recordings), level_limit, false_alarm_rate, statistics_only]
    settings = train.build_settings(profile, overrides or {}, place / records.fingerprint(asked))
    layout = lay_out(recordings, settings, false_alarm_rate, level_limit, statistics_only)
    for warning in layout.warnings:
        print(f"warning: {warning}", flush=True)
    chosen, missing = train.choose_candidates(settings, recordings, statistics_only)
    codes = [f"{number:02d}" for number in range(len(recordings.sections))]
    count = len(chosen["autoencoder"]) + len(chosen["classifier"]) * len(codes)
    if count:
        took = estimate.in_words(estimate.seconds(settings, chosen, codes, jobs))
        print(f"training {count} network(s), {min(jobs, count)} at a time: {took} on this machine", flush=True)
    prepare_clips(settings)
    facts = Facts(
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
        train.train(settings, chosen, facts.codes, jobs)
    written = Path(settings.runs) / "made"
    with atomic.writing(written, folder=True) as target:
        make.write(target, settings, facts, layout, began)
    return written, layout.warnings
