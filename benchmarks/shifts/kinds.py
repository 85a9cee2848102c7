"""What networks add per family of faults: ``kinds.py RUN DATA OUT`` for a finished run of the profile ``demo``.

``RUN`` is the run's folder, ``DATA`` its recordings. ``OUT/kinds.csv`` gets the AUC of each family of faults (its clips
against the normal clips of the same section and domain; mean over machine types, sections and domains), of simple
references without a network and of the run's systems, with the paired difference to the simple reference that is best
over all families and its bootstrap interval over clips.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from candidates import FEATURES
from clip_features import features_of, read

from asdlib import records, scores
from asdlib.atomic import read_json
from asdlib.data import file_names, held_out_split
from asdlib.features import LogMel
from asdlib.gaussian import Gaussian
from asdlib.metrics import resampled_areas
from asdlib.params import Features
from asdlib.synthetic.faults import FAULTS, fault

DRAWS, UNIT = 1000, ["machine", "section", "domain"]
SYSTEMS = {
    "frame_autoencoder": "Baseline (AE)",
    "mobilenet": "Baseline (MobileNetV2)",
    "autoencoder/base/median": "AE, frames, median",
    "autoencoder/base/median_of_max": "AE, frames, copies by maximum",
    "autoencoder/base/clip_signed": "AE, the clip's mean error",
    "classifier/base/w50_mean": "BC, the paper's score",
    "classifier/base/mahalanobis": "BC, Mahalanobis on the embedding",
    "classifier/arcface/w50_mean": "BC with ArcFace, the paper's score",
}


def references(data: Path, settings: dict) -> pd.DataFrame:
    """Score rows of a Gaussian on each feature, fitted on all clips that the run's systems learnt from."""
    log_mel, tables = LogMel(Features(), settings["data"]["sample_rate"]), []
    for machine in settings["data"]["synthetic"]["machines"]:
        files = sorted((data / machine).glob("*/*.wav"))
        parsed = [file_names.parse(path.parent.name, path.name) for path in files]
        rows = [(machine, n.section, n.domain, n.split, n.label, p.name) for n, p in zip(parsed, files, strict=True)]
        clips = pd.DataFrame(rows, columns=[*UNIT, "split", "label", "clip"])
        found = features_of([read(path) for path in files], log_mel)
        role = held_out_split.roles(clips, settings["data"]["held_out"], settings["seed"])
        for feature, blocks in FEATURES.items():
            vectors = np.concatenate([found[block] for block in blocks], axis=1).astype(np.float64)
            for _, part in clips.groupby("section"):
                learn = part.index[role[part.index] == held_out_split.LEARN]
                test = part[part["split"] == "test"]
                distance = Gaussian.fit(vectors[learn]).distance(vectors[test.index])
                tables.append(test.assign(system=f"reference/{feature}", score=distance))
        print(machine, flush=True)
    return pd.concat(tables)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    settings = read_json(arguments.run / "settings.json")
    paths = [path for path in sorted(arguments.run.glob("*/*/**/scores.csv")) if "ensemble" not in path.parts]
    table = pd.concat([scores.read(paths).query("split == 'test'"), references(arguments.data, settings)])
    table = table[table["system"].isin(SYSTEMS) | table["system"].str.startswith("reference/")]
    wide = table.pivot_table(index=[*UNIT, "label", "clip"], columns="system", values="score").reset_index()
    number = [
        int(file_names.parse(f"{d}_test", clip).number) for d, clip in zip(wide["domain"], wide["clip"], strict=True)
    ]
    kind = [
        fault(m, n) if label == "anomaly" else ""
        for m, n, label in zip(wide["machine"], number, wide["label"], strict=True)
    ]
    wide["family"] = [FAULTS[m][k].family if k else "" for m, k in zip(wide["machine"], kind, strict=True)]
    systems = [name for name in wide if name in SYSTEMS or name.startswith("reference/")]
    areas = {}
    for index, (_, part) in enumerate(wide.groupby(UNIT)):
        normal = part[part["label"] == "normal"]
        for place, (family, faults) in enumerate(part[part["label"] == "anomaly"].groupby("family")):
            rows = pd.concat([normal, faults])
            rng, weights = np.random.default_rng([index, place]), np.ones((1 + DRAWS, len(rows)), int)
            for first, count in ((0, len(normal)), (len(normal), len(faults))):
                weights[1:, first : first + count] = rng.multinomial(count, np.full(count, 1 / count), DRAWS)
            for system in systems:
                found = resampled_areas(rows["label"].to_numpy(), rows[system].to_numpy(), weights, (1.0,))[:, 0]
                areas.setdefault((system, family), []).append(found)
    means = {key: np.mean(values, axis=0) for key, values in areas.items()}
    families = sorted({family for _, family in means})
    for system in systems:
        means[system, "all"] = np.mean([means[system, family] for family in families], axis=0)
    best = max((s for s in systems if s.startswith("reference/")), key=lambda system: means[system, "all"][0])
    rows = []
    for system in systems:
        for family in (*families, "all"):
            values = means[system, family]
            difference = values - means[best, family]
            low, high = np.percentile(difference[1:], [2.5, 97.5])
            name = SYSTEMS.get(system, system.removeprefix("reference/"))
            group = "network" if system in SYSTEMS else "reference"
            clips = int((wide["family"] == family).sum()) if family != "all" else int((wide["family"] != "").sum())
            rows.append((group, name, family, clips, values[0], difference[0], low, high, system == best))
    columns = ["group", "system", "family", "clips", "auc", "over_best", "low", "high", "best_reference"]
    pd.DataFrame(rows, columns=columns).to_csv(arguments.out / "kinds.csv", index=False, float_format="%.5f")
    record = read_json(arguments.run / "mahalanobis" / "fan" / "record.json")
    about = {key: record[key] for key in ("date", "commit", "device")} | {"draws": DRAWS, "settings": settings}
    about["commit_of_this_table"] = records.commit()
    (arguments.out / "kinds.record.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
