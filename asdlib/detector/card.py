"""Write the model card of a detector: what it learnt from, what to expect from it, and its limits."""

import pandas as pd

from asdlib.detector.calibration import CONFIDENCE, ENSEMBLE, Calibration
from asdlib.detector.description import Description
from asdlib.detector.recordings import MACHINE
from asdlib.detector.survey import FEW_FILES

CALIBRATION = "calibration"
"""split of clips that set thresholds after the fit (:mod:`asdlib.detector.recalibrate`), and nothing else"""
_HELD_OUT = (
    "Nothing was learnt from the held-out clips, which share no sample with the others; they set the thresholds."
)
_CROSS_FITTED = (
    "Each clip that sets the thresholds is scored by statistics of the clips of other recordings, or of other parts of "
    "few recordings, so all clips were learnt from."
)
_CALIBRATED = " Clips of a later calibration only set thresholds; nothing was learnt from them."


def card(
    description: Description, settings, clips: pd.DataFrame, calibration: dict[tuple[str, str], dict[str, Calibration]]
) -> str:
    """Return the card in Markdown.

    Args:
        description: Description of the detector.
        settings: Settings of the run (:class:`asdlib.params.settings.Settings`).
        clips: The clips of :class:`asdlib.detector.layout.Layout`.
        calibration: Calibrations by section and domain, and then by branch.
    """
    record, rate = description.record, settings.data.sample_rate
    own = clips[clips["machine"].eq(MACHINE) & clips["split"].ne("replaced")]  # see asdlib.detector.recalibrate
    lines = ["# Model card", "", "## What it learnt from", ""]
    use = "held out" if description.has_networks else "for thresholds, too"
    lines += [f"| section | normal clips | {use} | changed conditions | {use} |", "|---|---|---|---|---|"]
    for name, part in own.groupby("name", sort=False):
        numbers = [
            str(int((part["domain"].eq(domain) & part["split"].isin(splits)).sum()))
            for domain in ("source", "target")
            for splits in (("train", "test", CALIBRATION), ("test", CALIBRATION))
        ]
        lines.append(f"| {name} | {' | '.join(numbers)} |")
    others = clips[clips["machine"] != MACHINE].groupby("name", sort=False).size()
    # Recordings of several folders may have the same name; clips of one recording start at different times.
    same = own.groupby(["name", "domain", "recording", "start"]).size().groupby(["name", "domain", "recording"]).max()
    lines += [
        "",
        f"Clips of {description.seconds:.1f} s at {rate} Hz, normal ones only, from {same.sum()} recordings. "
        + (_HELD_OUT if description.has_networks else _CROSS_FITTED)
        + _CALIBRATED * bool(own["split"].eq(CALIBRATION).any()),
        "",
        "Outliers: " + (", ".join(f"{name} ({count} clips)" for name, count in others.items()) or "none") + ".",
        "",
        *[f"* {sentence}." for sentence in record.get("warnings", [])],
        "",
        "## Branches",
        "",
        f"* Autoencoder branch: {', '.join(description.autoencoder) or 'none'}.",
        f"* Classifier branch: {', '.join(description.classifier) or 'none'}.",
        "* Statistics of the spectrum, over the whole clip and at each moment.",
        *[f"* Left out: {sentence}." for sentence in description.missing],
        "",
        "## What to expect",
        "",
        f"The thresholds aim at {100 * description.false_alarm_rate:g} % false alarms.",
        "",
        "| section | conditions | false alarms, mean of all such detectors "
        f"| {100 * CONFIDENCE:g} % interval for this one | clips that set the threshold |",
        "|---|---|---|---|---|",
    ]
    word = "at most" if description.has_networks else "about"
    for (section, domain), parts in calibration.items():
        found = parts[ENSEMBLE].expected()
        conditions = "as trained" if domain == "source" else "changed"
        lines.append(
            f"| {description.sections[int(section)]} | {conditions} | {word} {100 * found['rate']:.1f} % | "
            + (f"{100 * found['low']:.1f} to {100 * found['high']:.1f} %" if description.has_networks else "not known")
            + f" | {found['clips']} |"
        )
    if "calibrated" in record:
        lines += ["", f"Thresholds set on {record['calibrated_on']} new clips at {record['calibrated']}."]
    lines += ["", *[f"* {sentence}" for sentence in _limits(description, rate, own, calibration)]]
    lines += ["", "## Provenance", "", *[f"* {key}: {record[key]}" for key in ("date", "commit", "device", "seed")]]
    return "\n".join([*lines, f"* wall time: {record['wall_seconds']:.0f} s", ""])


def _limits(description: Description, rate: int, own: pd.DataFrame, calibration: dict) -> list[str]:
    """Return the limits of the detector, one sentence or two each."""
    limits = [
        "The rates hold for normal clips like those that set the thresholds: same machine, place, microphone and "
        "conditions. "
        + (
            "The interval is that of this threshold; it is wider with fewer clips."
            if description.has_networks
            else "They are approximate, and no interval is known, since the clips' scores come from several fits."
        ),
        "Which anomalies the detector finds is not known, since it has learnt from none.",
        f"Frequencies above {rate // 2} Hz are not analysed.",
        "A longer recording is judged in several windows, and the highest score counts. The threshold then rises with "
        "the number of windows, by extrapolating the tail of the scores, so its rate is not bounded.",
    ]
    if description.level is None:
        limits.append("Levels are a part of the sound: a recording with another gain may be called an anomaly.")
    else:
        limits.append(
            f"Levels do not count up to {description.level_limit:g} dB outside those of the normal recordings. Beyond "
            "that, the verdict is that the level changed, and the recording is not searched for faults."
        )
        limits.append(
            "A recording that sounds normal once a tilt of its spectrum, or a loss of high or of low frequencies, is "
            "removed has a changed response, says the verdict, and is no alarm. A fault that has the same effect can "
            "be mistaken for one."
        )
    lengths = ", ".join(f"{seconds:g}" for seconds in description.lengths)
    limits.append(
        f"There are thresholds for windows of {lengths} s. A recording is cut into the longest windows that fit; the "
        "shorter they are, the fewer faults are found."
    )
    short = [
        key for key, parts in calibration.items() if parts[ENSEMBLE].expected()["rate"] > description.false_alarm_rate
    ]
    if short:
        limits.append("There were too few clips for this rate; the table states the rate that can be reached.")
    changed = own[own["domain"] == "target"]
    if len(changed) and not any(domain == "target" for _, domain in calibration):
        limits.append(
            "There were too few clips of changed conditions to hold any out. Their thresholds are those of the "
            "section's other clips, and their rate of false alarms is not known; expect more."
        )
    few = own[own["domain"].eq("source")].groupby("name").agg({"recording": "nunique"})["recording"]
    if description.has_networks and (few < FEW_FILES).any():
        limits.append(
            "Held-out clips are parts of recordings from whose other parts the detector has learnt, so they resemble "
            "them more than new recordings will; expect more false alarms than the table states."
        )
    if description.has_networks and not description.classifier:
        limits.append(
            "There were no outliers, so there is no classifier. Normal recordings of other machines "
            "(--outliers FOLDER) add one."
        )
    return limits
