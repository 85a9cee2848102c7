"""Run the first stage: synthesise, check and decode the clips, and make shifted clips from some of them."""

import time

import pandas as pd

from asdlib import paths
from asdlib.data import audio, catalogue, plan
from asdlib.shift import shifted_clips
from asdlib.synthetic import dataset


def prepare_clips(settings, needed: dict[str, int] | None = None, warn: bool = True) -> pd.DataFrame:
    """Prepare the clips of a run: synthesise (if set), catalogue, check and decode them, and make shifted clips.

    Args:
        settings: :class:`asdlib.params.settings.Settings`.
        needed: Minimum number of samples of a clip, as returned by ``Settings.shortest_clips``.
        warn: Whether to print warnings about the clips, by their names in the data folder.

    Returns:
        The catalogue of all machine types in the run, including outliers.

    Raises:
        asdlib.errors.DataError: The data cannot be used; all problems are listed together.
    """
    data, run = settings.data, paths.Run.of(settings)
    root = paths.project_root() / data.root
    if data.synthetic:
        dataset.write(root, data.synthetic, data.sample_rate)
    clips = catalogue.select(catalogue.scan(root), data)
    planned = plan.derive_from(clips, data)
    machines = [*planned.machines, *planned.outliers]
    clips = clips[clips["machine"].isin(machines)].reset_index(drop=True)
    audio.refuse(audio.check_headers(clips, root, data, needed))
    plan.write(planned, settings)
    for machine in machines:
        began = time.monotonic()
        rows = clips[clips["machine"] == machine].reset_index(drop=True)
        done = audio.decode(rows, root, run.data(machine), data)
        role = f"sections {', '.join(planned.machines[machine])}" if machine in planned.machines else "outliers only"
        how = f"decoded in {time.monotonic() - began:.1f} s" if done else "decoded before"
        print(f"{machine}: {len(rows)} clips, {role}, {how}", flush=True)
        for warning in audio.warnings(run.data(machine)) if warn else ():
            print(f"warning: {warning}", flush=True)
        if machine in planned.machines:
            shifted_clips.make(settings, machine)
    return clips
