"""Draw the figures of the pages on the stored run."""

from pathlib import Path

import pandas as pd
import real
from real_compared import REFERENCE
from stored_results import read

from asdlib import metrics, origin
from asdlib.atomic import read_json
from asdlib.classifier import inspection
from asdlib.ensemble.blocks import EXTENSIONS, ROWS
from asdlib.plots import autoencoder, baselines, classifier, ensemble, evaluation, style


def draw(folder: Path, scores: pd.DataFrame, where: Path) -> None:
    """Draw the figures of the pages as ``where/real_<name>.svg``."""
    record = read_json(folder / "record.json")
    p = record["settings"]["evaluation"]["p"]
    first = {branch: next(iter(record["settings"][f"{branch}_candidates"])) for branch in ("autoencoder", "classifier")}
    one, other = (f"{branch}/{candidate}/" for branch, candidate in first.items())
    style.use()
    table1 = read(folder / "table1.csv")
    singles = scores[scores["row"].str.contains("/")]
    fixed = scores[(scores["selection"] == "fixed") & scores["row"].isin([*ROWS, EXTENSIONS.mix])]
    fixed = pd.concat([fixed, scores[scores["row"] == REFERENCE]])
    both = [f"ensemble/fixed/{row}" for row in ("AE ensemble", "BC ensemble")]
    losses = read(folder / "losses_classifier.csv")
    figures = {
        "table1": evaluation.intervals(table1[(table1["machine"] == "all") & (table1["domain"] == "all")]),
        "claims": evaluation.claims(real.over_seeds(folder, "claims.csv")),
        "scorer": autoencoder.distributions(_only(scores, [one + name for name in ("l1", "median", "clip_signed")])),
        "bands": autoencoder.bands(read(folder / "bands.csv"), record["settings"]["data"]["sample_rate"]),
        "losses_autoencoder": autoencoder.training(read(folder / "losses_autoencoder.csv")),
        "losses_classifier": classifier.training(losses, inspection.loss_weights(losses)),
        "scores": baselines.scores(_only(scores, [other + name for name in ("w50_mean", "mahalanobis")])),
        "maps": classifier.maps(read(folder / "maps.csv").assign(method="PCA"), "PCA"),
        "pool": ensemble.pool(
            metrics.cells(metrics.sections(metrics.evaluable(singles), p)),
            _extensions(record, singles["system"].unique()),
        ),
        "agreement": ensemble.agreement(read(folder / "agreement.csv")),
        "branches": ensemble.branches(_only(scores, both), *both),
        "roc": ensemble.roc(metrics.evaluable(fixed.assign(system=fixed["row"])), p),
    }
    for name, figure in figures.items():
        style.save_svg(figure, where / f"real_{name}.svg")


def _only(scores: pd.DataFrame, systems: list[str]) -> pd.DataFrame:
    return scores[scores["system"].isin(systems)]


def _extensions(record: dict, systems: list[str]) -> list[str]:
    """The systems that the paper lacks: their candidate or their variant is an extension."""
    found = []
    for system in systems:
        branch, candidate, variant = system.split("/")
        origins = (
            record["settings"][f"{branch}_candidates"][candidate].get("origin"),
            origin.of_variant(branch, variant),
        )
        found += [system] * (origin.EXTENSION in origins)
    return found
