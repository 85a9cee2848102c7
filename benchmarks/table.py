"""Run every benchmark on one core and write ``book/results/benchmarks.csv``, for ``make bench`` and the book."""

import tempfile
from pathlib import Path

import classifier
import conformer
import decoding
import detector
import ensembles
import frame_autoencoder
import gaussian
import log_mel
import pandas as pd
import selection
import torch

from asdlib import atomic, params, records
from asdlib.compute import resolve_compute


def main() -> None:
    """Run all benchmarks and write the table."""
    torch.set_num_threads(1)
    rows = []
    for subject in (
        decoding,
        log_mel,
        frame_autoencoder,
        conformer,
        classifier,
        gaussian,
        selection,
        ensembles,
        detector,
    ):
        with tempfile.TemporaryDirectory() as folder:
            rows += subject.run(Path(folder))
    results = Path(__file__).parents[1] / "book" / "results"
    compute = resolve_compute(params.Settings(profile="benchmark", title="Benchmarks"))
    origin = {"device": compute.describe(), "commit": records.commit(), "torch": torch.__version__}
    with atomic.writing(results / "benchmarks.csv") as temporary:
        pd.DataFrame(rows).assign(**origin).to_csv(temporary, index=False, float_format="%.5g", lineterminator="\n")
    print(results / "benchmarks.csv")


if __name__ == "__main__":
    main()
