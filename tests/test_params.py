"""Test that every mistake in settings is reported in one sentence with file and key."""

import json
from typing import get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from asdlib import origin, params
from asdlib.errors import ParamsError
from asdlib.params import Settings, validation
from asdlib.params.explain import explain_profile

HEAD = "profile: x\ntitle: t\n"


@pytest.fixture
def load(tmp_path):
    def load(text: str, overrides: dict | None = None) -> Settings:
        path = tmp_path / "x.yaml"
        path.write_text(HEAD + text)
        return params.load(path, overrides)

    return load


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sed: 3", "unknown key 'sed'; did you mean 'seed'?"),
        ("data: {roots: a}", "unknown key 'data.roots'; did you mean 'root'?"),
        ("data: {synthetic: {machine: [fan]}}", "unknown key 'data.synthetic.machine'; did you mean 'machines'?"),
        (
            "autoencoder: {scorer: {target_from: pseudo_target}}",
            "target_from: Input should be 'clips' or 'shifted', found \"pseudo_target\"",
        ),
        ("mahalanobis: {zzz: 1}", "unknown key 'mahalanobis.zzz'; expected one of features"),
        ("mobilenet: {epochs: 0}", "mobilenet.epochs: Input should be greater than 0, found 0"),
        ("mobilenet: {epochs: 2.5}", "mobilenet.epochs: Input should be a valid integer.*found 2.5"),
        ("mobilenet: {epochs: true}", "mobilenet.epochs: expected a number, found true"),
        ("mobilenet: {epochs: many}", 'mobilenet.epochs: Input should be a valid integer.*found "many"'),
        ("mobilenet: {learning_rate: -1}", "mobilenet.learning_rate: Input should be greater than 0, found -1"),
        ("mobilenet: {width: .inf}", "mobilenet.width: Input should be a finite number, found Infinity"),
        ("mobilenet: 3", "mobilenet: Input should be a valid dictionary.*found 3"),
        ("seed: -1", "seed: Input should be greater than or equal to 0, found -1"),
        ("evaluation: {p: 1.5}", "evaluation.p: Input should be less than or equal to 1, found 1.5"),
        ("device: gpu", 'device: String should match pattern.*found "gpu"'),
        ("precision: half", "precision: Input should be 'auto', 'float32' or 'bfloat16', found \"half\""),
        ("runs: true", "runs: Input should be a valid string, found true"),
        ("data: {sections: [0]}", r"data.sections.0: String should match pattern .*found \"0\""),
        ("data: {machines: fan}", r"data.machines: expected a list, found \"fan\"; write \[fan\]"),
        ("seed: 1:30", 'seed: Input should be a valid integer.*found "1:30"'),
        ("seed: 2021-01-01", 'seed: Input should be a valid integer.*found "2021-01-01"'),
        ("data: {sections: ['0']}", "data.sections.0: String should match pattern"),
        ("autoencoder: {model: {kernel: 4}}", r"autoencoder.model: kernel \(4\) must be odd"),
        ("autoencoder: {model: {heads: 5}}", r"channels \(144\) must be a multiple of heads \(5\)"),
        ("autoencoder: {specaugment: {time_width: [5, 1]}}", r"time_width: the range \[5, 1\] runs backwards"),
        ("classifier: {batches: {batch_size: 5}}", "classifier.batches.batch_size: Input should be a multiple of 2"),
        ("classifier: {batches: {noise_snr: [20, 5]}}", "noise_snr: the range .* runs backwards"),
        ("ensemble: {sizes: []}", "ensemble.sizes: List should have at least 1 item"),
        ("ensemble: {combinations: [mean]}", "ensemble.combinations.0: Input should be 'average'"),
        ("autoencoder_candidates: {}", "autoencoder_candidates: Dictionary should have at least 1 item"),
        ("autoencoder_candidates: {A: {}}", "autoencoder_candidates.A"),
        ("autoencoder_candidates: {a: 3}", "autoencoder_candidates.a: Input should be a valid dictionary, found 3"),
        (
            "autoencoder_candidates: {a: {training: {stps: 3}}}",
            "autoencoder_candidates.a: unknown key 'training.stps'; did you mean 'steps'?",
        ),
        (
            "classifier_candidates: {a: {batches.mixup: -3}}",
            "classifier_candidates.a: batches.mixup: Input should be greater than or equal to 0, found -3",
        ),
        ("mobilenet: {width: 1}\nmobilenet: {epochs: 3}", "not valid YAML .*'mobilenet' twice.*line 4"),
        ("seed: [", "not valid YAML"),
        ("data: &a {root: *a}", "not valid YAML .*an alias of what contains it.*line 3"),
        ("data: " + "[" * 3000, "not valid YAML .*recursion"),
    ],
)
def test_a_mistake_is_one_sentence_with_file_and_key(load, text, message):
    with pytest.raises(ParamsError, match=message) as error:
        load(text)
    assert str(error.value).split(": ")[0].endswith("x.yaml")
    assert "\n" not in str(error.value)


def test_all_mistakes_are_reported_at_once(load):
    with pytest.raises(ParamsError) as error:
        load("sed: 3\nmobilenet: {epochs: 0, epoch: 1}")
    assert len(str(error.value).splitlines()) == 3


def test_a_file_that_is_no_mapping_or_text(tmp_path):
    path = tmp_path / "x.yaml"
    for content, message in [
        (b"- 1", "expected a mapping of settings, found list"),
        (b"", "expected a mapping of settings, found NoneType"),
        (b"\xff\xfe\x00", "not valid YAML"),
        (b"a: !!python/object/apply:os.getcwd []", "not valid YAML"),
        (b"profile: x", "the key 'title' is missing"),
        (b"profile: ../x\ntitle: t", "profile: String should match pattern"),
    ]:
        path.write_bytes(content)
        with pytest.raises(ParamsError, match=message):
            params.load(path)


def test_profiles_are_found_by_name_and_by_path(tmp_path, monkeypatch):
    (tmp_path / "params").mkdir()
    (tmp_path / "params" / "mine.yaml").write_text(HEAD)
    inner = tmp_path / "notebooks"
    inner.mkdir()
    for folder, names in [
        (tmp_path, ["mine", "params/mine.yaml", str(tmp_path / "params/mine.yaml")]),
        (inner, ["mine", "params/mine.yaml", "../params/mine.yaml"]),
    ]:
        monkeypatch.chdir(folder)
        for name in names:
            assert params.load(name).profile == "x"
    with pytest.raises(ParamsError, match=r"minne\.yaml: no such file; profiles in that folder: mine"):
        params.load("minne")


def test_overrides_may_be_nested_or_dotted(load):
    text = "mobilenet: {epochs: 3, width: 1.0}\ndata: {synthetic: {machines: [fan]}}"
    assert load(text).mobilenet.epochs == 3
    for overrides in ({"mobilenet.epochs": 7}, {"mobilenet": {"epochs": 7}}):
        settings = load(text, overrides)
        assert (settings.mobilenet.epochs, settings.mobilenet.width) == (7, 1.0)
    both = load(text, {"mobilenet.epochs": 7, "mobilenet.width": 0.25})
    assert (both.mobilenet.epochs, both.mobilenet.width) == (7, 0.25)
    assert load(text, {"data.synthetic": None}).data.synthetic is None
    assert load(text, {"data.synthetic.machines": ["valve"]}).data.synthetic.machines == ["valve"]
    assert load(text, {"mobilenet.learning_rate": "1e-3"}).mobilenet.learning_rate == 1e-3  # as papermill passes it
    with pytest.raises(ParamsError, match=r"unknown key 'mobilenet\.epoch'; did you mean 'epochs'"):
        load(text, {"mobilenet.epoch": 7})


NUMBERS = {
    "008": 8, "010": 10, "0o10": 8, "0x1F": 31, "+5": 5, "1e3": 1000.0, "1e-3": 0.001, ".5": 0.5, "1.": 1.0,
    "1E+2": 100.0,
}  # fmt: skip


@pytest.mark.parametrize("text", NUMBERS)
def test_numbers_are_those_of_yaml_1_2(load, text):
    """Compare with YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema)."""
    settings = load(f"mobilenet: {{learning_rate: {text}}}")
    assert settings.mobilenet.learning_rate == NUMBERS[text]
    if isinstance(NUMBERS[text], int):
        assert load(f"seed: {text}").seed == NUMBERS[text]
        assert load("", {"seed": params.settings.value(text)}).seed == NUMBERS[text]
    candidates = load(f"autoencoder_candidates: {{a: {{training: {{learning_rate: {text}}}}}}}").resolved()
    assert yaml.safe_load(yaml.safe_dump(candidates)) == candidates  # plain numbers, as the book writes them


NAMES = ["NA", "001", "null", "no", "yes", "on", "off", "2021-01-01", "1e3", "1:30", "7", "nan", "0x1F", "0o7"]


def test_settings_may_be_merged(load):
    """Keys merged by << give way to those next to them, as YAML's merge key says."""
    values = "autoencoder_candidates: {a: &a {seed: 1, training: {steps: 5}}, b: {<<: *a, seed: 2}}"
    found = load(values)
    assert [found.candidate("autoencoder", name).seed for name in "ab"] == [1, 2]
    assert found.candidate("autoencoder", "b").training.steps == 5


def test_names_are_the_text_that_they_are(load):
    """Names of machine types and sections come from a file or ``--set``, and reach other processes as JSON."""
    text = f"{{machines: [{', '.join(NAMES)}], sections: [00, 01, 08]}}"
    for settings in (load(f"data: {text}"), load("", json.loads(json.dumps({"data": params.settings.value(text)})))):
        assert settings.data.machines == NAMES and settings.data.sections == ["00", "01", "08"]
    for name in NAMES:
        for settings in (
            load(f"runs: {name}\ndata: {{root: {name}}}"),
            load("", params.settings.assignments([f"runs={name}"])),
        ):
            assert settings.runs == name
    assert load("", params.settings.assignments(["title=2021", "data.root=7"])).title == "2021"


def test_a_tilde_is_the_home_folder(load, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = load("data: {root: ~/recordings}\nruns: ~/runs")
    assert (settings.data.root, settings.runs) == (f"{tmp_path}/recordings", f"{tmp_path}/runs")
    (tmp_path / "p.yaml").write_text(HEAD)
    assert params.load("~/p.yaml").profile == "x"


NESTED = st.recursive(
    st.integers(), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=8
)
MAPPING = st.dictionaries(st.sampled_from("abc"), NESTED, max_size=3)


@given(MAPPING, MAPPING)
def test_merging(values, overrides):
    before = repr((values, overrides))
    once = params.merge(values, overrides)
    assert params.merge(once, overrides) == once
    assert params.merge(values, {}) == values
    assert params.merge({}, overrides) == overrides
    assert repr((values, overrides)) == before


def test_a_candidate_is_its_branch_with_overrides(load):
    settings = load(
        "autoencoder: {training: {steps: 9, batch_size: 3}}\n"
        "autoencoder_candidates: {base: {}, small: {training: {steps: 5}, model.latent: 4}}"
    )
    base, small = (settings.candidate("autoencoder", name) for name in ("base", "small"))
    assert base == settings.autoencoder
    assert (small.training.steps, small.training.batch_size, small.model.latent) == (5, 3, 4)
    with pytest.raises(ParamsError, match="autoencoder candidate 'smal' is not in the profile x; did you mean 'small'"):
        settings.candidate("autoencoder", "smal")


def test_settings_cannot_be_changed(load):
    with pytest.raises(ValueError, match="frozen"):
        load("").seed = 3


def test_resolved_settings_can_be_read_again(load):
    settings = load("mobilenet: {epochs: 3}\ndata: {synthetic: {}}")
    assert Settings.model_validate(settings.resolved()) == settings


@pytest.mark.parametrize("profile", ["smoke", "demo", "quick", "detector", "paper"])
def test_the_profiles_load(root, profile):
    settings = params.load(root / "params" / f"{profile}.yaml")
    assert settings.profile == profile


def test_every_key_is_described():
    def undescribed(model: type[BaseModel], where: str) -> list[str]:
        found = []
        for name, field in model.model_fields.items():
            inner = validation.kinds(field.annotation)
            if inner:
                found += undescribed(inner[0], f"{where}{name}.")
            elif not field.description:
                found.append(where + name)
        return found

    assert undescribed(Settings, "") == []


def test_the_paper_profile_spells_out_every_default(root):
    """The profile contains every key; the code's defaults equal it, except for weights that must be downloaded."""
    spelt = params.load(root / "params" / "paper.yaml").resolved()
    assert spelt["classifier"]["model"].pop("pretrained") is True
    own = {"profile", "title", "device", "threads", "autoencoder_candidates", "classifier_candidates"}
    default = params.Settings(profile="paper", title="").resolved()
    assert default["classifier"]["model"].pop("pretrained") is False
    assert {key: spelt[key] for key in spelt if key not in own} == {
        key: default[key] for key in default if key not in own
    }
    written = yaml.safe_load((root / "params" / "paper.yaml").read_text(encoding="utf-8"))

    def leaves(tree, path=()):
        return (
            {leaf for key, below in tree.items() for leaf in leaves(below, (*path, key))}
            if isinstance(tree, dict)
            else {path}
        )

    written["classifier"]["model"].pop("pretrained")
    assert {path for path in leaves(written) if path[0] not in own} == {
        path for path in leaves(spelt) if path[0] not in own
    }


def test_the_paper_profile_explains_every_key_in_the_words_of_its_definition(root):
    """Run python -m asdlib.params.explain to renew the comments."""
    written = (root / "params" / "paper.yaml").read_text(encoding="utf-8")
    assert written == explain_profile(written)


def test_candidates_that_differ_in_the_scorer_share_one_training():
    candidates = {"base": {}, "copies": {"scorer": {"copies": 3}}, "wide": {"model": {"latent": 9}},
                  "wide_max": {"model": {"latent": 9}, "scorer": {"variants": ["max_of_max"]}},
                  "shift": {"origin": "extension", "scorer": {"target_from": "shifted"}}}  # fmt: skip
    settings = params.load("smoke", {"autoencoder_candidates": candidates})
    found = {name: settings.trained_as("autoencoder", name) for name in candidates}
    assert found == {"base": "base", "copies": "base", "wide": "wide", "wide_max": "wide", "shift": "base"}


@pytest.mark.parametrize(
    ("branch", "change", "key"),
    [
        ("autoencoder", {"training": {"pseudo_target": 0.25}}, "training.pseudo_target is 0.25"),
        (
            "autoencoder",
            {"training.pseudo_target": 1, "training.pseudo_target_by": "shift"},
            "training.pseudo_target is 1.0",
        ),
        ("autoencoder", {"scorer": {"target_from": "shifted"}}, 'scorer.target_from is "shifted"'),
        ("classifier", {"batches": {"pseudo_target_by": "shift"}}, 'batches.pseudo_target_by is "shift"'),
        ("classifier", {"scorer": {"target_from": "shifted"}}, 'scorer.target_from is "shifted"'),
        ("autoencoder", {"scorer": {"masking": False}}, "scorer.masking is false"),
        ("autoencoder", {"scorer": {"groups": "machine"}}, 'scorer.groups is "machine"'),
        ("autoencoder", {"scorer": {"errors": "signed"}}, 'scorer.errors is "signed"'),
        ("autoencoder", {"scorer": {"target_centre": "source"}}, 'scorer.target_centre is "source"'),
        ("autoencoder", {"specaugment": {"time_masks": 0}}, "specaugment.time_masks is 0"),
        ("autoencoder", {"specaugment": {"frequency_masks": 0}}, "specaugment.frequency_masks is 0"),
        ("autoencoder", {"specaugment": {"dropout": 0.0}}, "specaugment.dropout is 0.0"),
        ("autoencoder", {"model": {"section_regression": False}}, "model.section_regression is false"),
        ("classifier", {"batches": {"target_share": 0}}, "batches.target_share is 0.0"),
        ("classifier", {"ddcsad": {"weight": 0.0}}, "ddcsad.weight is 0.0"),
        ("classifier", {"batches": {"mixup": 0.0}}, "batches.mixup is 0.0"),
        ("classifier", {"training": {"finetune_steps": 0}}, "training.finetune_steps is 0"),
    ],
)
def test_a_candidate_of_the_paper_uses_no_extension(branch, change, key):
    """Additions are ours (the estimated shift, pseudo-target clips for scorers and autoencoders), and a method with a
    part left out is not the paper's: a candidate says so."""
    head = {"profile": "x", "title": "t"}
    with pytest.raises(ParamsError, match=f"{branch}_candidates.mine: {key}, which .* set origin: extension") as error:
        Settings.model_validate(head | {f"{branch}_candidates": {"base": {}, "mine": change}})
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="set origin: extension"):
        Settings.model_validate(params.merge(head, {branch: params.merge({}, change)}))
    candidates = {"base": {}, "mine": change | {"origin": "extension"}}
    said = Settings.model_validate(head | {f"{branch}_candidates": candidates})
    assert said.candidate(branch, "mine").origin == "extension" and said.candidate(branch, "base").origin == "paper"


def test_every_variant_is_the_papers_or_an_extension():
    """The list contains what Sec. 2.1 and 2.2 describe; everything else is an extension."""
    over_time = ("median", "mean", "max", "top_k", "percentile", "upper_mean")
    papers = {
        "autoencoder": {time + copies for time in over_time for copies in ("", "_of_max", "_of_median")},
        "classifier": {f"w{w}_{how}" for w in (25, 50, 75) for how in ("mean", "median", "max", "upper_mean")},
    }
    for branch, variants in (("autoencoder", params.types.Variant), ("classifier", params.types.ClassifierVariant)):
        every = set(get_args(variants))
        assert papers[branch] < every
        assert set(origin.EXTENSION_VARIANTS[branch]) == every - papers[branch]
        for variant in every:
            assert origin.of_variant(branch, variant) == ("paper" if variant in papers[branch] else "extension")


def test_a_system_is_the_papers_only_if_candidate_and_variant_are():
    candidates = {"base": {}, "ours": {"origin": "extension"}}
    settings = Settings.model_validate({"profile": "x", "title": "t", "autoencoder_candidates": candidates})
    for system, expected in (
        ("autoencoder/base/median", "paper"),
        ("autoencoder/base/clip_signed", "extension"),
        ("autoencoder/ours/median", "extension"),
        ("classifier/base/w50_mean", "paper"),
        ("classifier/base/mahalanobis", "extension"),
    ):
        assert origin.of_system(settings, system) == expected
