"""Prove the training paths on a GPU: ``make gpu``, or ``python benchmarks/gpu.py``.

Three parts make their own data, take 8 minutes together, print one row per figure and write them to
``book/results/gpu/figures.csv``, which the book shows:

* *right*: all networks against the CPU in float64; trainings repeated and resumed, equal bit by bit; no step that waits
* *fast*: steps per second next to a plain recipe, where the time goes, memory, log-mel and scores
* *whole*: one machine type of DCASE2021's size from waveforms to scores, extrapolated to the profile ``paper``

``--tiny`` runs the same code at tiny sizes, without a GPU on the CPU. ``--paper-size DATA`` trains the paper's networks
on a folder of recordings instead (:mod:`gpu_paper_size`).

A machine without a package registry needs PyTorch with CUDA, torchvision, timm, numpy, scipy, pandas, scikit-learn,
safetensors, pyyaml and xxhash. pydantic (settings) and soundfile (recordings) are small and can be brought along:

    pip wheel --no-deps --wheel-dir wheels . pydantic pydantic-core annotated-types typing-inspection \\
        soundfile cffi pycparser                                     # here, for the Python version over there
    pip install --no-index --no-deps wheels/*.whl                    # there
    PYTHONPATH=. python benchmarks/gpu.py                            # there, in the project's folder

Neither librosa nor notebooks, Snakemake or Jupyter Book are needed.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

try:
    import gpu_fast
    import gpu_paper_size
    import gpu_right
    import gpu_whole
    import torch
    from gpu_table import Table

    from asdlib import params, records
    from asdlib.compute import resolve_compute
except ModuleNotFoundError as missing:
    sys.exit(f"error: {missing.name} cannot be imported; the top of {__file__} says how to bring along what is missing")

RESULTS = Path(__file__).parents[1] / "book" / "results" / "gpu"
SHARES = {"right": 0.3, "fast": 0.4, "whole": 0.3}
"""of the time, by part"""
CANDIDATES = ("base", "resnext50", "efficientnet")
"""the classifiers of the profile ``paper`` that differ in their backbone"""
SYNTHETIC = {"machines": [gpu_whole.MACHINE]}
"""one machine type of DCASE2021's size: 3 sections of 1,003 clips for training and 400 for testing"""
TINY = {
    "threads": 1,
    "autoencoder.features.n_mels": 16,
    "autoencoder.specaugment": {"time_masks": 4, "frequency_masks": 1, "frequency_width": [0, 3]},
    "autoencoder.model": {"channels": 8, "heads": 2, "blocks": 1, "kernel": 3, "latent": 4},
    "autoencoder.training": {"batch_size": 8, "crop_frames": [20, 30]},
    "autoencoder.scorer": {"copies": 2, "variants": ["median", "mean_of_max"]},
    "classifier.features": {"n_fft": 512, "hop_length": 512, "n_mels": 32},
    "classifier.images": {"frames": 32, "windows": 2},
    "classifier.batches": {"batch_size": 8},
    "classifier.scorer": {"variants": ["w50_mean", "w50_max"]},
    "mobilenet.frames": 32,
}
TINY_CANDIDATES = {
    "base": {"model": {"backbone": "test_resnet"}},
    "efficientnet": {"model": {"backbone": "test_efficientnet"}},
}
TINY_SYNTHETIC = {"duration": 2.0, "train_source": 12, "train_target": 3, "test_normal": 3, "test_anomaly": 3}
TINY_STEPS = {
    "autoencoder.training.steps": 6,
    "classifier.training.steps": 4,
    "classifier.training.finetune_steps": 2,
    "classifier.model.backbone": "test_resnet",
}


def benchmark_settings(folder: Path, device: str, tiny: bool) -> params.Settings:
    """Return the settings of the profile ``paper`` for one synthetic machine type in ``folder``, or tiny ones."""
    resolved = params.load("paper").resolved()
    candidates = resolved["classifier_candidates"]
    resolved["autoencoder_candidates"] = {"base": {}}
    resolved["classifier_candidates"] = TINY_CANDIDATES if tiny else {name: candidates[name] for name in CANDIDATES}
    changes = {
        "runs": str(folder / "runs"),
        "device": device,
        "data.root": str(folder / "data"),
        "data.synthetic": SYNTHETIC | (TINY_SYNTHETIC if tiny else {}),
        "classifier.model.pretrained": False,
        **(TINY if tiny else {}),
    }
    return params.Settings.model_validate(params.merge(resolved, changes))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--tiny", action="store_true", help="run at tiny sizes, without a GPU on the CPU, to try the script"
    )
    parser.add_argument("--parts", nargs="+", choices=list(SHARES), default=list(SHARES), help="parts to run")
    parser.add_argument("--minutes", type=float, default=8.0, help="time for all three parts; what is left is named")
    parser.add_argument("--out", type=Path, help=f"CSV file to write; by default in {RESULTS}, with --tiny none")
    parser.add_argument("--paper-size", type=Path, metavar="DATA", help="train on this folder of recordings instead")
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), help="with --paper-size: folder of trainings, to resume them"
    )
    parser.add_argument("--steps", type=int, default=10_000, help="with --paper-size: steps of the paper's autoencoder")
    parser.add_argument("--seeds", type=int, default=1, help="with --paper-size: number of trainings of each network")
    return parser.parse_args()


def main() -> int:
    """Run what the command line asks for; the exit code is 1 if something is wrong and 2 without a GPU."""
    chosen = arguments()
    if not chosen.tiny and not torch.cuda.is_available():
        print("error: PyTorch finds no CUDA device; run this on a machine with a GPU, or pass --tiny", file=sys.stderr)
        return 2
    device, began = "cuda" if torch.cuda.is_available() else "cpu", time.monotonic()
    if chosen.paper_size:
        out = chosen.out or (None if chosen.tiny else RESULTS / "paper_size.csv")
        changes = TINY | TINY_STEPS if chosen.tiny else {}
        gpu_paper_size.run(chosen.paper_size, chosen.runs, device, changes, chosen.seeds, chosen.steps, out)
        return 0
    out = chosen.out or (None if chosen.tiny else RESULTS / "figures.csv")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = benchmark_settings(folder, device, chosen.tiny)
        compute = resolve_compute(settings)
        facts = {"device": compute.describe(), "torch": torch.__version__, "commit": records.commit()}
        table = Table(facts, out)
        parts = {
            "right": lambda: gpu_right.run(table, settings, compute, folder, chosen.tiny),
            "fast": lambda: gpu_fast.run(table, settings, compute, folder, chosen.tiny),
            "whole": lambda: gpu_whole.run(table, settings, compute, 4 if chosen.tiny else 100),
        }
        for part in SHARES:
            if part in chosen.parts:
                table.begin(part, 60 * chosen.minutes * SHARES[part])
                parts[part]()
    print(table.frame.drop(columns=["device", "torch", "commit"]).to_string(index=False))
    print(f"{facts['device']}, PyTorch {facts['torch']}, {time.monotonic() - began:.0f} s", flush=True)
    return int(table.wrong)


if __name__ == "__main__":
    sys.exit(main())
