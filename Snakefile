"""Define the workflow of the experiment, with one rule per stage, each a notebook that papermill executes.

Run it with `make reproduce`, or `snakemake --cores 2 --config profile=demo`, or on a cluster with `snakemake --profile
params/slurm --config profile=paper`; that profile sets the memory and time of the stages. The executed notebook is the
job's log, so a failed job keeps its traceback. The settings that a stage depends on are its params, so that editing one
candidate reruns only that candidate.
"""

import contextlib
import json
import re
import sys

from asdlib import params as parameters
from asdlib.atomic import write_json
from asdlib.data import catalogue
from asdlib.data import plan as plans
from asdlib.execution import process_lifetime
from asdlib.execution.reproduce import alone, forget_finished
from asdlib.paths import BASELINES, CHOICES, DECODED, INTEGRATED, MODEL, RECORD, SHIFTED, SINGLES, Run, project_root
from asdlib.execution.workflow import BY_RULE as stages

leader = "" if workflow.remote_exec else config.get("leader", "")  # of `make reproduce`; jobs on a cluster outlive it
if leader:
    process_lifetime.follow(leader)
profile = config.get("profile", "demo")
overrides = config.get("overrides", {})  # from a --configfile, as --config turns null and numbers into strings
settings = parameters.load(profile, overrides)
plan = plans.Plan(**config["plan"]) if "plan" in config else plans.derive(settings)
run = Run.of(settings)
trained_as = settings.trained_as
autoencoders, classifiers = list(settings.autoencoder_candidates), list(settings.classifier_candidates)
gpu = int(settings.device.startswith("cuda"))  # jobs on a GPU; `--resources gpu=1` runs one at a time


def relevant_settings(*keys, branch=None, trains=False):
    """Return the settings that a stage depends on, as JSON; when they change, Snakemake reruns the stage.

    A training does not depend on the scorer or the origin of its branch: other post-processing needs no new model.
    """

    def resolve(wildcards):
        resolved = settings.resolved()
        chosen = {key: resolved[key] for key in ("seed", "device", "precision", "threads", "data", *keys)}
        if settings.compile:  # left out when false, so that runs made before this setting existed stay valid
            chosen["compile"] = True
        if branch:
            left_out = {"scorer", "origin"} if trains else set()
            candidate = settings.candidate(branch, wildcards.candidate)
            chosen[branch] = candidate.model_dump(mode="json", exclude=left_out)
        return json.dumps(chosen)

    return resolve


def values(wildcards):
    """Return the notebook's parameters as JSON; the rule's wildcards have the same names."""
    return json.dumps(dict(wildcards.items()))


def playground_values(wildcards):
    """Return the parameters of notebook 09: the first machine type and section, and the first candidates."""
    machine, sections = next(iter(plan.machines.items()))
    chosen = {"autoencoder": autoencoders[0], "classifier": classifiers[0]}
    return json.dumps({"machine": machine, "section": sections[0], **chosen})


def your_machine_values(wildcards):
    """Return the parameters of notebook 10: recordings of the first machine type, outliers of another; its own networks."""
    (machine, sections), *others = plan.machines.items()
    root = settings.data.root
    chosen = {"normal": f"{root}/{machine}/train/section_{sections[0]}_source_*.wav", "overrides": {}}
    chosen |= {"judged": f"{root}/{machine}/source_test/section_{sections[0]}_*_000?*.wav", "params": "smoke"}
    chosen["outliers"] = f"{root}/{others[0][0]}/train" if others else ""
    return json.dumps(chosen | {"detector": f"{settings.runs}/{settings.profile}/{run.detector.name}"})


def data(wildcards):
    """Return the decoded clips of all machine types, since a classifier takes its outliers from the other types."""
    decoded = [run.data(machine) / name for machine in [*plan.machines, *plan.outliers] for name in DECODED]
    return decoded + [run.shifted(machine) / name for machine in plan.machines for name in SHIFTED]


# Snakemake compares the command as it stands here when it looks for stages to rerun, and fills in these variables only
# when it runs a job: another profile or override thus reruns only the stages that depend on it. A job that is killed
# after its training, but before Snakemake notes its end, need not train again.
python = sys.executable
follow = ["--leader", leader] if leader else []
common = json.dumps({"params": profile, "overrides": overrides | {"keep_finished": True}})
execute = "{python:q} -m asdlib execute {input.notebook:q} {log:q} --parameters {common:q} {params.values:q}"
execute += " {follow:q}"


wildcard_constraints:
    machine="|".join(re.escape(machine) for machine in plan.machines),
    section=r"\d{2}",
    candidate=r"[a-z][a-z0-9_]*",


localrules:
    all,


until_the_end = contextlib.ExitStack()


onstart:
    if not leader:  # started by hand; `make reproduce` takes the lock itself
        until_the_end.enter_context(alone(project_root()))
    write_json(settings.resolved(), run.settings)
    plans.write(plan, settings)


onsuccess:
    forget_finished(run)


rule all:
    input:
        project_root() / "book" / "_build" / settings.profile / "_build" / "html" / "index.html",


rule data:
    input:
        notebook=stages["data"].file,
    output:
        data(None),
    log:
        stages["data"].log(run),
    params:
        values=values,
        settings=relevant_settings(),
        files=lambda wildcards: catalogue.state(settings),  # a function, so that not every cluster job evaluates it
    threads: settings.threads
    shell:
        execute


rule baselines:
    input:
        data,
        notebook=stages["baselines"].file,
    output:
        [run.scores(system, "{machine}") for system in BASELINES],
    log:
        stages["baselines"].log(run),
    params:
        values=values,
        settings=relevant_settings("frame_autoencoder", "mobilenet", "mahalanobis"),
    threads: settings.threads
    resources:
        gpu=gpu,
    shell:
        execute


rule train_autoencoder:
    input:
        data,
        notebook=stages["train_autoencoder"].file,
    output:
        run.system("autoencoder", "{machine}", "{candidate}") / MODEL,
        run.system("autoencoder", "{machine}", "{candidate}") / RECORD,
    log:
        stages["train_autoencoder"].log(run),
    params:
        values=values,
        settings=relevant_settings(branch="autoencoder", trains=True),
    threads: settings.threads
    resources:
        gpu=gpu,
    shell:
        execute


rule score_autoencoder:
    input:
        data,
        lambda wildcards: (
            run.system("autoencoder", wildcards.machine, trained_as("autoencoder", wildcards.candidate))
            / MODEL
        ),
        notebook=stages["score_autoencoder"].file,
    output:
        run.scores("autoencoder", "{machine}", "{candidate}"),
    log:
        stages["score_autoencoder"].log(run),
    params:
        values=values,
        settings=relevant_settings(branch="autoencoder"),
    threads: settings.threads
    resources:
        gpu=gpu,
    shell:
        execute


rule train_classifier:
    input:
        data,
        notebook=stages["train_classifier"].file,
    output:
        run.system("classifier", "{machine}", "{candidate}", "{section}") / "source.safetensors",
        run.system("classifier", "{machine}", "{candidate}", "{section}") / RECORD,
    log:
        stages["train_classifier"].log(run),
    params:
        values=values,
        settings=relevant_settings(branch="classifier", trains=True),
    threads: settings.threads
    resources:
        gpu=gpu,
    shell:
        execute


rule score_classifier:
    input:
        data,
        lambda wildcards: [
            run.system("classifier", wildcards.machine, trained_as("classifier", wildcards.candidate), section)
            / "source.safetensors"
            for section in plan.machines[wildcards.machine]
        ],
        notebook=stages["score_classifier"].file,
    output:
        run.scores("classifier", "{machine}", "{candidate}"),
    log:
        stages["score_classifier"].log(run),
    params:
        values=values,
        settings=relevant_settings(branch="classifier"),
    threads: settings.threads
    resources:
        gpu=gpu,
    shell:
        execute


rule integrated:
    input:
        data,
        notebook=stages["integrated"].file,
    output:
        run.scores(INTEGRATED, "{machine}"),
    log:
        stages["integrated"].log(run),
    params:
        values=values,
        settings=relevant_settings("integrated"),
    threads: settings.threads
    resources:
        gpu=gpu,
    shell:
        execute


rule scores:  # scores of all candidates without ensembles, for ablations
    localrule: True
    input:
        [run.scores("autoencoder", machine, candidate) for machine in plan.machines for candidate in autoencoders],
        [run.scores("classifier", machine, candidate) for machine in plan.machines for candidate in classifiers],


rule ensemble:
    input:
        [run.scores("autoencoder", "{machine}", candidate) for candidate in autoencoders],
        [run.scores("classifier", "{machine}", candidate) for candidate in classifiers],
        notebook=stages["ensemble"].file,
    output:
        run.scores("ensemble", "{machine}"),
        run.system("ensemble", "{machine}") / CHOICES,
    log:
        stages["ensemble"].log(run),
    params:
        values=values,
        settings=relevant_settings("ensemble", "evaluation"),
        order=[autoencoders, classifiers],  # the first candidate of each is used without labels
    shell:
        execute


rule table1:
    input:
        [run.scores(system, machine) for system in (*SINGLES, "ensemble") for machine in plan.machines],
        notebook=stages["table1"].file,
    output:
        run.table1,
        run.values,
        run.claims,
        run.claims_extensions,
        run.false_alarms,
        run.health,
    log:
        stages["table1"].log(run),
    params:
        values=values,
        settings=relevant_settings("evaluation", "title"),
    shell:
        execute


rule playground:
    input:
        run.scores("autoencoder", next(iter(plan.machines)), autoencoders[0]),
        run.scores("classifier", next(iter(plan.machines)), classifiers[0]),
        notebook=stages["playground"].file,
    output:
        touch(run.shown(stages["playground"].name)),
    log:
        stages["playground"].log(run),
    params:
        values=playground_values,
    shell:
        execute


rule your_machine:
    input:
        data,
        notebook=stages["your_machine"].file,
    output:
        directory(run.detector),
    log:
        stages["your_machine"].log(run),
    params:
        values=your_machine_values,
        settings=relevant_settings(),
    shell:
        execute


rule book:
    input:
        [run.shown(stages["playground"].name), run.detector] if settings.data.synthetic else [],
        run.table1,
        run.values,
        run.claims,
        run.claims_extensions,
        run.false_alarms,
        run.health,
        [path for pattern in ("*.md", "*.csv", "*.bib", "*.py", "_config.yml", "_static/*", "_ext/*.py", "results/**/*.*") for path in sorted((project_root() / "book").glob(pattern))],
    output:
        rules.all.input,
    params:
        overrides=json.dumps(overrides),
        profile=profile,
    shell:
        "{python:q} book/assemble.py --profile {params.profile:q} --overrides {params.overrides:q}"
