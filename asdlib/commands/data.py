"""Check and download recordings."""

import json

from asdlib import params
from asdlib.data import download as zenodo
from asdlib.data import file_names, folder_report


def check(arguments) -> int:
    """Report the contents of a data folder and every problem in it."""
    settings = params.Data(root=str(arguments.folder), sample_rate=arguments.sample_rate, channels=arguments.channels)
    report = folder_report.check(arguments.folder, settings, params.load(arguments.profile).shortest_clips())
    print(json.dumps(report, indent=2) if arguments.json else folder_report.describe(report))
    return 0 if report["usable"] else 1


def download(arguments) -> int:
    """Download DCASE2021 Task 2."""
    machines, parts = arguments.machine or file_names.MACHINES, arguments.sections or ["development"]
    zenodo.download(arguments.folder, list(dict.fromkeys(machines)), list(dict.fromkeys(parts)), arguments.address)
    print(arguments.folder)
    return 0
