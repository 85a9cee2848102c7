"""What chapters may name in ``{{ }}``: numbers of the run and of stored results, as text, and settings."""

from importlib import metadata

import ablation_tables
import claim_counts
import costs
import gpu_figures
import longer_trainings
import method_sentences
import negative_results
import offered
import one_model_stored
import paper_costs
import plain_detectors
import real
import real_systems
import shifts
import stored_results
import takes
import without_words
from generated import there

from asdlib import metrics, params
from asdlib.atomic import read_json
from asdlib.classifier import clip_outputs
from asdlib.data import folder_report, plan
from asdlib.evaluation import paper
from asdlib.evaluation.render import typeset
from asdlib.paths import Run
from asdlib.tables import read_table


def of_run(settings, run: Run, machines: list[str]) -> dict:
    """All of them, by name.

    Args:
        settings: Of the run.
        run: The run.
        machines: Its machine types.
    """
    judged = {}
    for name, path in (("paper", run.claims), ("extensions", run.claims_extensions)):
        found = read_table(there(path))
        judged[name] = claim_counts.counts(found)
        judged[f"{name}_surviving"] = claim_counts.surviving(found, settings.evaluation.confidence)
    python = metadata.metadata("asdlib")["Requires-Python"]
    rate = params.load("detector").data.sample_rate
    first_candidate = run.system("classifier", machines[0], next(iter(settings.classifier_candidates)))
    ablated = stored_results.read(stored_results.ABLATIONS / "ablations.csv")
    return values(settings, read_json(there(run.values))) | {
        "embedding_length": str(clip_outputs.load(first_candidate)[1].shape[1]),
        "toycar": real.values(stored_results.REAL),
        "systems": real_systems.values(stored_results.SYSTEMS),
        "verdicts": judged,
        "shifts": shifts.values(stored_results.SHIFTS),
        "longer": longer_trainings.values(stored_results.SHIFTS),
        "ablation_seeds": ablation_tables.seeds(ablated),
        "ablation_chance": method_sentences.chance_to_pass(int(ablated["seeds"].max())),
        "ablation_effects": ablation_tables.effects(ablated),
        "part_sentences": method_sentences.holding(ablated),
        "parts_shown": method_sentences.count_shown(ablated, settings.evaluation.confidence),
        "trained_without": without_words.trained_without(ablated),
        "ablation_copies": ablation_tables.usual_copies(stored_results.ABLATIONS),
        "offered": offered.values(settings),
        "paper_disk": paper_costs.disk_texts(stored_results.RESULTS / "paper_run.csv"),
        "pauc_least": f"{metrics.pauc([0, 1], [1.0, 0.0], settings.evaluation.p):.3f}",
        "ablated": one_model_stored.values(stored_results.SHIFTS),
        "paper_pump": paper_pump(),
        "takes": takes.values(run),
        "steps": gpu_figures.paper_steps(),
        "project": {
            "python": python.removeprefix(">=") + " or newer",
            "rate": f"{rate:,}",
            "packages": costs.packages(),
            "fewest": str(plan.FEWEST),
            "few": str(folder_report.FEW),
        },
        "detector": plain_detectors.values(stored_results.DETECTOR),
        "negative": negative_results.values(read_table(there(run.differences))),
    }


def paper_pump() -> dict[str, str]:
    """What the paper prints for pumps, source and target: its ensemble, and the better baseline of each domain.

    >>> paper_pump()["mix"]
    '77.29 % before and 64.03 % after the change'
    """
    best = {
        "mix": ["AE+BC ensemble (mix)"],
        "baseline": [paper.BASELINE_AE, paper.BASELINE_MOBILENET],
    }
    figures = {
        name: [max(paper.cell(row, "pump", domain) for row in rows) for domain in ("source", "target")]
        for name, rows in best.items()
    }
    return {
        name: f"{100 * source:.2f} % before and {100 * target:.2f} % after the change"
        for name, (source, target) in figures.items()
    }


def values(settings, numbers: dict[str, float]) -> dict:
    """What chapters may name in ``{{ }}``: the run's numbers as text, and ``settings``, ``published`` (those
    of ``params/paper.yaml``) and ``values`` as they are.

    Fractions become per cent with two digits, as in the paper's table; counts stay what they are.

    >>> values(params.load("smoke"), {"mix": 0.75062, "test_clips": 1200})["mix"]
    '75.06'
    """
    texts = {
        name: typeset(f"{100 * value:.2f}") if isinstance(value, float) else f"{value:,}"
        for name, value in numbers.items()
    }
    return texts | {"settings": settings.resolved(), "published": params.load("paper").resolved(), "values": numbers}
