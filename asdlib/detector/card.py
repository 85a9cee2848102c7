"""The model card: what a detector heard, what to expect of it, and its limits."""

import pandas as pd

from asdlib.detector.calibration import CONFIDENCE, ENSEMBLE, Calibration
from asdlib.detector.facts import Facts
from asdlib.detector.folder import FEW_FILES
from asdlib.detector.recordings import MACHINE


def card(
    facts: Facts, settings, clips: pd.DataFrame, calibration: dict[tuple[str, str], dict[str, Calibration]]
) -> str:
    """The card, in Markdown.

    Args:
        facts: Of the detector.
        settings: :class:`asdlib.params.settings.Settings`.
        clips: Of :func:`asdlib.detector.folder.lay_out`.
        calibration: By section and domain, then branch.
    """
    record, rate = facts.record, settings.data.sample_rate
    own = clips[clips["machine"] == MACHINE]
    lines = ["# Model card", "", "## What it heard", ""]
    lines += ["| section | normal clips | held out | changed conditions | held out |", "|---|---|---|---|---|"]
    for name, part in own.groupby("name", sort=False):
        numbers = [
            str(int(((part["domain"] == domain) & (split is None or part["split"].eq(split))).sum()))
            for domain in ("source", "target")
            for split in (None, "test")
        ]
        lines.append(f"| {name} | {' | '.join(numbers)} |")
    others = clips[clips["machine"] != MACHINE].groupby("name", sort=False).size()
    lines += [
        "",
        f"Clips of {facts.seconds:.1f} s at {rate} Hz, normal ones only, from {own['recording'].nunique()} recordings. "
        "The clips held out trained nothing and share no sample with the others; the thresholds come from them.",
        "",
        "Outliers: " + (", ".join(f"{name} ({count} clips)" for name, count in others.items()) or "none") + ".",
        "",
        *[f"* {sentence}." for sentence in record.get("warnings", [])],
        "",
        "## What listens",
        "",
        f"* Autoencoder branch: {', '.join(facts.autoencoder)}.",
        f"* Classifier branch: {', '.join(facts.classifier) or 'none'}.",
        "* Statistics of the spectrum, on the whole and at any moment.",
        *[f"* Left out: {sentence}." for sentence in facts.missing],
        "",
        "## What to expect",
        "",
        f"A clip is called an anomaly above a threshold for {facts.false_alarm_rate:.1%} false alarms.",
        "",
        f"| section | conditions | expected false alarms | {CONFIDENCE:.0%} interval | held-out clips |",
        "|---|---|---|---|---|",
    ]
    for (section, domain), parts in calibration.items():
        found = parts[ENSEMBLE].expected()
        conditions = "as trained" if domain == "source" else "changed"
        lines.append(
            f"| {facts.sections[int(section)]} | {conditions} | at most {found['rate']:.1%} | "
            f"{found['low']:.1%} to {found['high']:.1%} | {found['clips']} |"
        )
    if "calibrated" in record:
        lines += ["", f"Thresholds set on {record['calibrated_on']} new clips at {record['calibrated']}."]
    lines += ["", *[f"* {sentence}" for sentence in _limits(facts, rate, own, calibration)]]
    lines += ["", "## What made it", "", *[f"* {key}: {record[key]}" for key in ("date", "commit", "device", "seed")]]
    return "\n".join([*lines, f"* wall time: {record['wall_seconds']:.0f} s", ""])


def _limits(facts: Facts, rate: int, own: pd.DataFrame, calibration) -> list[str]:
    limits = [
        "The rates hold for normal clips like those held out: same machine, place, microphone and conditions. The "
        "interval is that of this threshold; fewer held-out clips make it wider.",
        "Which anomalies it detects is not known: it has heard none.",
        f"Nothing above {rate // 2} Hz is heard.",
        "Of a longer recording, judged in several windows, the highest score counts; the threshold then rises with the "
        "number of windows by an extrapolated tail, so its rate is less certain.",
    ]
    if facts.level is None:
        limits.append("Levels are part of the sound: a recording of another gain may be called an anomaly.")
    else:
        limits.append(
            f"Levels mean nothing up to {facts.level_limit:g} dB outside of what was heard; beyond, the verdict is "
            "that the level changed, and faults are not looked for."
        )
    lengths = ", ".join(f"{seconds:g}" for seconds in facts.lengths)
    limits.append(
        f"There are thresholds for windows of {lengths} s. A recording is cut into the longest that it holds; the "
        "shorter, the less is found."
    )
    short = [key for key, parts in calibration.items() if parts[ENSEMBLE].expected()["rate"] > facts.false_alarm_rate]
    if short:
        limits.append("There were too few clips for the rate aimed at; the table says what can be had.")
    changed = own[own["domain"] == "target"]
    if len(changed) and not any(domain == "target" for _, domain in calibration):
        limits.append(
            "Changed conditions: too few clips to hold any out. Their thresholds are those of the section's other "
            "clips and their rate of false alarms is not known; expect more."
        )
    few = own[own["domain"].eq("source")].groupby("name").agg({"recording": "nunique"})["recording"]
    if (few < FEW_FILES).any():
        limits.append(
            "Held-out clips are parts of recordings whose other parts trained the networks, so they are more alike "
            "than new recordings will be; expect more false alarms than the table says."
        )
    if not facts.classifier:
        limits.append(
            "There were no outliers, so no classifier listens. Normal recordings of anything else "
            "(--outliers FOLDER) add the classifier."
        )
    return limits
