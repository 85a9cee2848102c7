"""Define the workflow of the experiment, with one rule per stage, each a notebook that papermill executes.

Run it with `make reproduce`, or `snakemake --cores 2 --config profile=demo`, or on a cluster with `snakemake --profile
params/slurm --config profile=paper`; that profile sets the memory and time of the stages. The executed notebook is the
job's log, so a failed job keeps its traceback. The settings that a stage depends on are its params, so that editing one
candidate reruns only that candidate.
"""

import contextlib
import json
import os
import re
import shlex
import sys

from asdlib.execution import process_lifetime
from asdlib import params as parameters
from asdlib.atomic import write_json
from asdlib.paths import DECODED
from asdlib.paths import SHIFTED
from asdlib.data import catalogue
from asdlib.execution.notebooks import COMMON
from asdlib.paths import BASELINES, KEEP_FINISHED, Run, home
from asdlib.execution.reproduce import alone, forget_finished

process_lifetime.follow()  # ends with `make reproduce`, if that started it
profile = config.get("profile", "demo")
overrides = config.get("overrides", {})  # passed by --configfile, as the command line turns null and numbers into strings
settings = parameters.load(profile, overrides)
plan = catalogue.plan(settings)
run = Run.of(settings)
trained_as = settings.trained_as
autoencoders, classifiers = list(settings.autoencoder_candidates), list(settings.classifier_candidates)
gpu = int(settings.device.startswith("cuda"))  # jobs on a GPU; `--resources gpu=1` runs one at a time
python = shlex.quote(sys.executable)
# Not in the params of the rules, where an override would rerun every stage instead of only those that depend on it.
os.environ[COMMON] = json.dumps({"params": profile, "overrides": overrides})
os.environ[KEEP_FINISHED] = "1"  # a job killed after its training, but before its end is noted, need not train again


def needs(*keys, branch=None, trains=False):
    """Return the settings that a stage depends on, as JSON; when they change, Snakemake reruns the stage.

    A training does not depend on the scorer or the origin of its branch, since other post-processing needs no new model.
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


def data(wildcards):
    """Return the decoded clips of all machine types, since a classifier takes its outliers from the other types."""
    decoded = [run.data(machine) / name for machine in [*plan.machines, *plan.outliers] for name in DECODED]
    return decoded + [run.shifted(machine) / name for machine in plan.machines for name in SHIFTED]


execute = f"{python} -m asdlib execute {{input.notebook:q}} {{log:q}} --parameters {{params.values:q}}"


wildcard_constraints:
    machine="|".join(re.escape(machine) for machine in plan.machines),
    section=r"\d{2}",
    candidate=r"[a-z][a-z0-9_]*",


localrules:
    all,


until_the_end = contextlib.ExitStack()


onstart:
    if process_lifetime.PIPE not in os.environ:  # started by hand; `make reproduce` takes the lock itself
        until_the_end.enter_context(alone(home()))
    elif workflow.non_local_exec:  # jobs on a cluster outlive this process and the command
        del os.environ[process_lifetime.PIPE]
    write_json(settings.resolved(), run.settings)


onsuccess:
    forget_finished(run)


rule all:
    input:
        home() / "book" / "_build" / settings.profile / "_build" / "html" / "index.html",


rule data:
    input:
        notebook="notebooks/01_data.ipynb",
    output:
        data(None),
    log:
        run.notebook("01_data"),
    params:
        values=values,
        needs=needs(),
        files=lambda wildcards: catalogue.state(settings),  # a function, so that not every cluster job evaluates it
    threads: settings.threads
    shell:
        execute


rule baselines:
    input:
        data,
        notebook="notebooks/02_baselines.ipynb",
    output:
        [run.scores(system, "{machine}") for system in BASELINES],
    log:
        run.notebook("02_baselines", "{machine}"),
    params:
        values=values,
        needs=needs("frame_autoencoder", "mobilenet", "mahalanobis"),
    threads: settings.threads
    resources:
        gpu=gpu,
    shell:
        execute


rule train_autoencoder:
    input:
        data,
        notebook="notebooks/03_train_autoencoder.ipynb",
    output:
        run.system("autoencoder", "{machine}", "{candidate}") / "model.safetensors",
        run.system("autoencoder", "{machine}", "{candidate}") / "record.json",
    log:
        run.notebook("03_train_autoencoder", "{machine}", "{candidate}"),
    params:
        values=values,
        needs=needs(branch="autoencoder", trains=True),
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
            / "model.safetensors"
        ),
        notebook="notebooks/04_reconstruction_errors.ipynb",
    output:
        run.scores("autoencoder", "{machine}", "{candidate}"),
    log:
        run.notebook("04_reconstruction_errors", "{machine}", "{candidate}"),
    params:
        values=values,
        needs=needs(branch="autoencoder"),
    threads: settings.threads
    resources:
        gpu=gpu,
    shell:
        execute


rule train_classifier:
    input:
        data,
        notebook="notebooks/05_train_classifier.ipynb",
    output:
        run.system("classifier", "{machine}", "{candidate}", "{section}") / "source.safetensors",
        run.system("classifier", "{machine}", "{candidate}", "{section}") / "record.json",
    log:
        run.notebook("05_train_classifier", "{machine}", "{section}", "{candidate}"),
    params:
        values=values,
        needs=needs(branch="classifier", trains=True),
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
        notebook="notebooks/06_embeddings.ipynb",
    output:
        run.scores("classifier", "{machine}", "{candidate}"),
    log:
        run.notebook("06_embeddings", "{machine}", "{candidate}"),
    params:
        values=values,
        needs=needs(branch="classifier"),
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
        notebook="notebooks/07_ensemble.ipynb",
    output:
        run.scores("ensemble", "{machine}"),
        run.system("ensemble", "{machine}") / "choices.csv",
    log:
        run.notebook("07_ensemble", "{machine}"),
    params:
        values=values,
        needs=needs("ensemble", "evaluation"),
        order=[autoencoders, classifiers],  # the first candidate of each is used without labels
    shell:
        execute


rule table1:
    input:
        [run.scores(system, machine) for system in (*BASELINES, "ensemble") for machine in plan.machines],
        notebook="notebooks/08_table1.ipynb",
    output:
        run.table1,
        run.values,
        run.claims,
        run.claims_extensions,
        run.false_alarms,
        run.health,
    log:
        run.notebook("08_table1"),
    params:
        values=values,
        needs=needs("evaluation", "title"),
    shell:
        execute


rule book:
    input:
        run.table1,
        run.values,
        run.claims,
        run.claims_extensions,
        run.false_alarms,
        run.health,
        [path for pattern in ("*.md", "*.csv", "*.bib", "*.py", "_config.yml", "_static/*", "_ext/*.py", "results/**/*.*") for path in sorted((home() / "book").glob(pattern))],
    output:
        rules.all.input,
    params:
        overrides=json.dumps(overrides),
        profile=profile,
    shell:
        f"{python} book/assemble.py --profile {{params.profile:q}} --overrides {{params.overrides:q}}"
