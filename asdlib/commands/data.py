"""Check and download recordings."""

import json

from asdlib import params
from asdlib.data import download as zenodo
from asdlib.data import folder_report, names


def check(given) -> int:
    """Report the contents of a data folder and every problem in it."""
    settings = params.Data(root=str(given.folder), sample_rate=given.sample_rate, channels=given.channels)
    report = folder_report.check(given.folder, settings, params.load(given.profile).shortest_clips())
    print(json.dumps(report, indent=2) if given.json else folder_report.describe(report))
    return 0 if report["usable"] else 1


def download(given) -> int:
    """Download DCASE2021 Task 2."""
    machines, parts = given.machine or names.MACHINES, given.sections or ["development"]
    zenodo.download(given.folder, list(dict.fromkeys(machines)), list(dict.fromkeys(parts)), given.address)
    print(given.folder)
    return 0
