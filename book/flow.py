"""The data flow of the experiment as a figure, drawn from the rules of the Snakefile."""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

from asdlib import paths
from asdlib.errors import AsdError
from asdlib.execution.workflow import EXPLORING
from asdlib.plots import style


def graph(profile: str, overrides: dict) -> dict[str, set[str]]:
    """Each rule of the Snakefile and the rules that it needs, as Snakemake itself gives them."""
    home = paths.project_root()
    command = [sys.executable, "-m", "snakemake", "--directory", home, "--snakefile", home / "Snakefile", "--nolock"]
    with tempfile.TemporaryDirectory() as folder:  # a file, since --config would make null a string
        config = Path(folder) / "config.json"
        config.write_text(json.dumps({"profile": profile, "overrides": overrides}), encoding="utf-8")
        command += ["--workflow-profile", "none", "--rulegraph", "dot", "--configfile", config]
        environment = {name: value for name, value in os.environ.items() if name != "SNAKEMAKE_PROFILE"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AsdError(f"{home / 'Snakefile'}: Snakemake could not give its graph\n{done.stderr.strip()}")
    return parsed(done.stdout)


def parsed(dot: str) -> dict[str, set[str]]:
    """Rules and their needs from Snakemake's ``--rulegraph``; the rule ``all`` only collects and is left out.

    >>> parsed('0[label = "all"]; 1[label = "b"]; 2[label = "a"]; 1 -> 0; 2 -> 1')
    {'b': {'a'}, 'a': set()}
    """
    names = dict(re.findall(r'(\d+)\[\s*label = "(\w+)"', dot))
    needs = {name: set() for name in names.values() if name != "all"}
    for before, after in re.findall(r"(\d+)\s*->\s*(\d+)", dot):
        if names[after] != "all":
            needs[names[after]].add(names[before])
    return needs


def layers(needs: dict[str, set[str]]) -> list[list[str]]:
    """Rules in rows: each as high as possible below all that it needs, by name within a row.

    >>> layers({"table": {"fan", "ensemble"}, "ensemble": {"fan"}, "fan": set()})
    [['fan'], ['ensemble'], ['table']]
    """
    depth: dict[str, int] = {}
    while len(depth) < len(needs):
        for name in needs:
            if name not in depth and needs[name] <= depth.keys():
                depth[name] = 1 + max((depth[before] for before in needs[name]), default=-1)
    rows = [[] for _ in range(1 + max(depth.values()))]
    for name in sorted(depth):
        rows[depth[name]].append(name)
    return rows


def draw(needs: dict[str, set[str]], counts: dict[str, int], path: Path) -> None:
    """Draw the graph from top to bottom and save it as SVG, text as outlines, on opaque white.

    Notebooks that only show something of a run are no stages of the experiment and are left out.

    Args:
        needs: As :func:`graph` gives it.
        counts: Notebooks that each rule ran; rules without notebooks are left out.
        path: The file to write.
    """
    exploring = {stage.rule for stage in EXPLORING}
    needs = {name: before - exploring for name, before in needs.items() if name not in exploring}
    rows = layers(needs)
    columns = {"autoencoder": 0.0, "classifier": 1.0, "baselines": -0.9, "integrated": 1.9}
    place = {}
    for depth, row in enumerate(rows):
        for name in row:
            place[name] = (next((x for part, x in columns.items() if part in name), 0.5), -depth)
    figure, axes = plt.subplots(figsize=(4.4, 0.95 * len(rows)), layout="none")  # as wide as a phone
    boxes = {}
    for name, (x, y) in place.items():
        number = f"\n{counts[name]} notebook{'s' if counts[name] > 1 else ''}" if name in counts else ""
        box = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": _colour(name), "linewidth": 2}
        text = axes.text(x, y, name.replace("_", "\n") + number, ha="center", va="center", fontsize=9.5, bbox=box)
        boxes[name] = text.get_bbox_patch()
    for name, before in needs.items():
        for other in sorted(before):
            if _direct(other, name, needs):
                (left, top), (right, bottom) = place[other], place[name]
                around = top - bottom > 1 and left != right  # what stands between; a straight way has no corner
                way = "angle,angleA=-90,angleB=0,rad=6" if around else "arc3"
                arrow = {"arrowstyle": "-|>", "color": "0.35", "shrinkA": 0, "shrinkB": 2, "connectionstyle": way}
                ends = {"patchA": boxes[other], "patchB": boxes[name]}
                axes.annotate("", xy=place[name], xytext=place[other], arrowprops=arrow | ends)
    axes.set(xlim=(-1.4, 2.4), ylim=(0.5 - len(rows), 0.5))
    axes.set_axis_off()
    figure.subplots_adjust(left=0, right=1, bottom=0, top=1)
    figure.canvas.draw()  # places the boxes that arrows end at
    style.save_svg(figure, path)


def _direct(before: str, name: str, needs: dict[str, set[str]]) -> bool:
    """Whether no longer way leads from ``before`` to ``name``: only then an arrow tells something."""
    return not any(before in needs[between] for between in needs[name])


def _colour(name: str) -> str:
    known = {"autoencoder": style.AUTOENCODER, "classifier": style.CLASSIFIER, "baselines": style.BASELINE}
    return next((colour for part, colour in known.items() if part in name), style.ENSEMBLE)
