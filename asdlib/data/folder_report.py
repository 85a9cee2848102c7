"""Report what a data folder contains and what keeps it from being used (``python -m asdlib data check``)."""

from pathlib import Path

import pandas as pd

from asdlib.data import audio, catalogue, file_names, plan
from asdlib.data.anomaly_names import suspected_anomalies
from asdlib.messages import printable, summarise

FEW = 5  # test clips of a kind
GROUPS = ["machine", "section", "domain", "split", "label"]


def counts(clips: pd.DataFrame) -> pd.DataFrame:
    """Count the clips by machine type, section, domain, split and label."""
    return clips.groupby(GROUPS).size().rename("clips").reset_index()


def check(root: Path, data, needed: dict[str, int] | None = None) -> dict:
    """Read every clip of a folder and report contents and problems.

    Args:
        root: The data root.
        data: Settings (:class:`asdlib.params.data.Data`): sample rate, channels, machines and sections.
        needed: Minimum number of samples of a clip, as returned by ``Settings.shortest_clips``.

    Returns:
        ``root``; ``usable``; ``clips``, their number; ``counts``, one record per machine type, section, domain, split
        and label, with the ``clips`` found and the approximate number in ``dcase2021``, including missing groups;
        ``machines`` that would get systems, with their sections; ``outliers``; ``problems``, one sentence each, empty
        if the folder can be used; ``warnings``, one sentence each.

    Raises:
        asdlib.errors.DataError: ``data`` names a machine type or section that does not exist.
    """
    clips, problems, unused = catalogue.walk(root)
    planned, warnings = plan.Plan({}, []), []
    if len(clips):
        clips = catalogue.select(clips, data)
        planned, lacking = plan.assess(clips, data)
        unreadable, warnings = audio.check(clips, root, data, needed)
        problems += lacking + unreadable
        train = clips.loc[clips["split"] == "train", "path"]
        if suspected := suspected_anomalies(train):
            warnings.append(
                f"{summarise(suspected)}: training clips must be normal; move anomalous ones to a test folder"
            )
    few = [
        f"{' '.join(row[key] for key in GROUPS)}: {row['clips']}"
        for row in compare_counts(clips)
        if row["section"] in planned.machines.get(row["machine"], ())
        and row["split"] == "test"
        and 0 < row["clips"] < FEW
    ]
    if few:
        warnings.append(f"{summarise(few)}: an AUC of fewer than {FEW} clips says little; add some")
    if planned.machines and len(clips.loc[clips["split"] == "train", ["machine", "section"]].drop_duplicates()) < 2:
        warnings.append(
            "there is one section only, so classifiers have nothing to tell it from, and a run ends without Table 1; "
            "add another section, or another machine type with normal training clips of anything else"
        )
    if unused:
        warnings.append(f"{summarise(map(printable, unused))}: not used; expected wav files in {file_names.EXPECTED}")
    return {
        "root": str(root),
        "usable": not problems,
        "clips": len(clips),
        "counts": compare_counts(clips),
        "machines": planned.machines,
        "outliers": planned.outliers,
        "problems": problems,
        "warnings": warnings,
    }


def compare_counts(clips: pd.DataFrame) -> list[dict]:
    """Compare the number of clips per machine type, section, domain, split and label with that in DCASE2021.

    There is one record per group. Every section has its six groups of DCASE2021, including those without clips.
    """
    found = {tuple(row[key] for key in GROUPS): row["clips"] for row in counts(clips).to_dict("records")}
    groups = {(*section, *group) for section in {key[:2] for key in found} for group in catalogue.DCASE2021}
    return [
        dict(zip(GROUPS, key, strict=True))
        | {"clips": int(found.get(key, 0)), "dcase2021": catalogue.DCASE2021.get(key[2:])}
        for key in sorted(groups | set(found))
    ]


def describe(report: dict) -> str:
    """Format a report of :func:`check` as readable lines."""
    lines = [f"{report['root']}: {report['clips']} clips"]
    for row in report["counts"]:
        usual = f" (DCASE2021: about {row['dcase2021']})" if row["dcase2021"] else ""
        lines.append(f"  {' '.join(row[key] for key in GROUPS)}: {row['clips']}{usual}")
    lines += [f"  {machine}: sections {', '.join(sections)}" for machine, sections in report["machines"].items()]
    lines += [f"  outliers only: {', '.join(report['outliers'])}"] if report["outliers"] else []
    lines += [f"warning: {warning}" for warning in report["warnings"]]
    lines += [f"problem: {problem}" for problem in report["problems"]] or ["no problems: the data can be used"]
    return "\n".join(lines)
