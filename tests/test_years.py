"""Test folders, labels and figures of DCASE2020 to 2025."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from asdlib import metrics, params
from asdlib.__main__ import main
from asdlib.challenge import rules
from asdlib.data import catalogue, plan
from asdlib.errors import DataError, ScoreError

DOMAINS = ("source", "target")


def touch(root, *files):
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()


def development(root, machine, sections, attributes="", domains=DOMAINS):
    """Create a development set in the layout of 2022 to 2025."""
    for section in sections:
        for domain in domains:
            train = [f"section_{section}_{domain}_train_normal_{n:04d}{attributes}.wav" for n in range(4)]
            test = [
                f"section_{section}_{domain}_test_{label}_{n:04d}{attributes}.wav"
                for label in ("normal", "anomaly")
                for n in range(2)
            ]
            touch(root / machine, *(f"train/{name}" for name in train), *(f"test/{name}" for name in test))


def truth(root, folder, name, values):
    (root / folder).mkdir(exist_ok=True)
    lines = [f"{clip},{value}" for clip, value in values.items()]
    (root / folder / f"ground_truth_{name}_test.csv").write_text("\n".join(lines) + "\n")


def derive_plan(root, **data):
    return plan.derive(params.Settings(profile="x", title="x", data=params.Data(root=str(root), **data)))


def evaluation(root, machine, section, spelling):
    """Create an evaluation set in the layout of 2022 to 2025: clips without label and domain, and the ground truth."""
    train = [f"train/section_{section}_{domain}_train_normal_{n:04d}_.wav" for domain in DOMAINS for n in range(4)]
    numbers = [f"{n:04d}" for n in range(8)]
    touch(root / machine, *train, *(f"test/{spelling.format(section, n)}" for n in numbers))
    named = [f"section_{section}_{n}.wav" for n in numbers]
    truth(root, "ground_truth_data", f"{machine}_section_{section}", dict(zip(named, [0, 1] * 4, strict=True)))
    domain = dict(zip(named, [0, 0, 0, 0, 1, 1, 1, 1], strict=True))
    truth(root, "ground_truth_domain", f"{machine}_section_{section}", domain)


def test_2020(tmp_path):
    for machine, ids in (("fan", ("00", "02")), ("ToyCar", ("01",))):
        for number in ids:
            touch(tmp_path / machine, *(f"train/normal_id_{number}_{n:08d}.wav" for n in range(4)))
            touch(tmp_path / machine, *(f"test/{kind}_id_{number}_00000000.wav" for kind in ("normal", "anomaly")))
    touch(tmp_path / "fan", "train/normal_id_01_00000000.wav", "test/id_01_00000000.wav")  # its evaluation part
    assert derive_plan(tmp_path).machines == {"ToyCar": ["01"], "fan": ["00", "02"]}
    clips = catalogue.scan(tmp_path)
    assert set(clips["domain"]) == {"source"} and (clips["label"] == "unknown").sum() == 1


def test_2020_evaluation_part_with_labels(tmp_path):
    names = [f"id_{number}_{n:08d}.wav" for number in ("01", "03") for n in range(4)]
    for machine in ("fan", "ToyCar"):
        touch(tmp_path / machine, *(f"train/normal_{name}" for name in names))
        touch(tmp_path / machine, *(f"test/{name}" for name in names))
    lines = ["fan", *(f"{name},anything,{n % 2}" for n, name in enumerate(names))]
    lines += ["ToyCar", *(f"{name},anything,{(n + 1) % 2}" for n, name in enumerate(names))]
    (tmp_path / "eval_data_list.csv").write_text("\n".join(lines) + "\n")
    assert derive_plan(tmp_path).machines == {"ToyCar": ["01", "03"], "fan": ["01", "03"]}
    test = catalogue.scan(tmp_path).query("split == 'test'").sort_values(["machine", "section", "clip"])
    assert test["label"].tolist() == ["anomaly", "normal"] * 4 + ["normal", "anomaly"] * 4
    assert set(test["domain"]) == {"source"}


@pytest.mark.parametrize("line", ["id_01_00000000.wav,x", "id_01_00000000.wav,x,2", "name.wav,x,1"])
def test_a_line_of_the_list_of_2020_that_fits_not_is_named(tmp_path, line):
    touch(tmp_path / "fan", "train/normal_id_01_00000000.wav", "test/id_01_00000000.wav")
    (tmp_path / "eval_data_list.csv").write_text(f"fan\n{line}\n")
    with pytest.raises(DataError, match=re.escape(f"eval_data_list.csv: a line reads {line!r}")):
        catalogue.scan(tmp_path)


def test_2021_evaluation_part_with_labels(tmp_path):
    for domain in DOMAINS:
        touch(tmp_path / "fan", *(f"train/section_03_{domain}_train_normal_{n:04d}.wav" for n in range(4)))
        names = [f"section_03_{domain}_test_{n:04d}.wav" for n in range(4)]
        touch(tmp_path / "fan", *(f"{domain}_test/{name}" for name in names))
        labels = [0, 1, 1, 0] if domain == "source" else [1, 0, 0, 1]
        name = f"fan_section_03_{domain}"
        truth(tmp_path, "ground_truth_data", name, dict(zip(names, labels, strict=True)))
    assert derive_plan(tmp_path).machines == {"fan": ["03"]}
    test = catalogue.scan(tmp_path).query("split == 'test'").sort_values(["domain", "clip"])
    expected = ["normal", "anomaly", "anomaly", "normal", "anomaly", "normal", "normal", "anomaly"]
    assert test["label"].tolist() == expected


@pytest.mark.parametrize(
    ("sections", "attributes"),
    [
        (("00", "01", "02"), "_car_A1_spd_28V_mic_1_noise_1"),  # 2022
        (("00",), "_vel_6_loc_A"),  # 2023
        (("00",), "_noAttribute"),  # 2024
        (("00",), "_"),  # 2025, a machine without attributes
    ],
)
def test_2022_to_2025_development_part(tmp_path, sections, attributes):
    development(tmp_path, "gearbox", sections, attributes)
    touch(tmp_path / "gearbox", "attributes_00.csv", "supplemental/section_00_machine_0001_.wav")
    assert derive_plan(tmp_path).machines == {"gearbox": list(sections)}
    clips = catalogue.scan(tmp_path)
    assert len(clips) == 16 * len(sections)  # supplemental clips are ignored
    assert set(clips["attributes"]) == {attributes.removeprefix("_")}
    assert all((tmp_path / path).name == clip for path, clip in zip(clips["path"], clips["clip"], strict=True))


@pytest.mark.parametrize("spelling", ["section_{}_{}.wav", "section_{}_test_{}.wav"])
def test_2022_to_2025_evaluation_part(tmp_path, spelling):
    evaluation(tmp_path, "Vacuum", "00", spelling)
    assert derive_plan(tmp_path).machines == {"Vacuum": ["00"]}
    test = catalogue.scan(tmp_path).query("split == 'test'").sort_values("clip")
    assert test["label"].tolist() == ["normal", "anomaly"] * 4
    assert test["domain"].tolist() == ["source"] * 4 + ["target"] * 4
    for path in tmp_path.glob("ground_truth_*/*"):
        path.unlink()
    with pytest.raises(DataError, match="no machine type has labelled test clips"):
        derive_plan(tmp_path)


def test_a_machine_without_a_domain(tmp_path):
    development(tmp_path, "bearing", ["00"], domains=("source",))
    development(tmp_path, "slider", ["00"])
    assert derive_plan(tmp_path).machines == {"bearing": ["00"], "slider": ["00"]}


def test_odd_ground_truth_is_named(tmp_path):
    evaluation(tmp_path, "Vacuum", "00", "section_{}_{}.wav")
    (tmp_path / "ground_truth_data" / "ground_truth_Vacuum.csv").write_text("")
    truth(tmp_path, "ground_truth_domain", "Vacuum_section_00", {"section_00_0000.wav": "target"})
    with pytest.raises(DataError) as info:
        catalogue.scan(tmp_path)
    for words in ("ground_truth_Vacuum.csv: expected", "'section_00_0000.wav,target'; expected a clip's name and 0 or"):
        assert words in str(info.value)


# Figures --------------------------------------------------------------------------------------------------------------
def scored(machines=("fan", "pump"), sections=("00", "01"), seed=0) -> pd.DataFrame:
    rng, rows = np.random.default_rng(seed), []
    for machine in machines:
        for section in sections:
            for domain in DOMAINS:
                for n in range(40):
                    label = ("normal", "anomaly")[n % 2]
                    score = rng.normal() + (label == "anomaly") + (domain == "target")
                    rows.append(("s", machine, section, domain, "test", f"{domain}{n}", label, score))
    return pd.DataFrame(rows, columns=["system", "machine", "section", "domain", "split", "clip", "label", "score"])


@pytest.mark.parametrize("year", [2022, 2025])
def test_from_2022_on_one_threshold_serves_both_domains(year):
    """Compare normal clips of a domain with anomalies of both, pair by pair; one pAUC per section by scikit-learn."""
    frame = scored()
    table, score = rules.figures(frame, year)
    values = []
    for (machine, section), part in frame.groupby(["machine", "section"]):
        anomalies = part.loc[part["label"] == "anomaly", "score"].to_numpy()
        rows = table[(table["machine"] == machine) & (table["section"] == section)]
        for domain in DOMAINS:
            normal = part.loc[(part["label"] == "normal") & (part["domain"] == domain), "score"].to_numpy()
            values.append(np.mean(anomalies[:, None] > normal))
            assert rows.loc[rows["domain"] == domain, "auc"].item() == pytest.approx(values[-1])
        values.append(roc_auc_score(part["label"] == "anomaly", part["score"], max_fpr=0.1))
        np.testing.assert_allclose(rows["pauc"], values[-1])
    assert score == pytest.approx(len(values) / np.sum(1 / np.array(values)))
    assert score < rules.figures(frame, 2021)[1]  # the shift between domains lowers the score


def test_the_published_score_of_the_baseline_of_2023():
    """Compare with the published AUC and pAUC by machine type and the published total; pAUC counts once per section."""
    source = [0.836434267021059, 0.7409411378914575, 0.8476602762317048, 0.813, 0.6678, 0.8012, 0.8384]
    target = [0.5885844748858448, 0.50682261208577, 0.6299533799533801, 0.4622, 0.409, 0.4532, 0.9006]
    both = [0.5753594967896497, 0.5955291246149972, 0.6233307541280444, 0.5142105263157895, 0.5089473684210526]
    both += [0.5384210526315789, 0.653157894736842]
    assert metrics.harmonic_mean(source + target + both) == pytest.approx(0.6105082186925268, abs=1e-12)


def test_2020_takes_plain_means():
    frame = scored().query("domain == 'source'")
    table, score = rules.figures(frame, 2020)
    assert score == pytest.approx((table["auc"].mean() + table["pauc"].mean()) / 2)
    unequal = frame[(frame["machine"] == "fan") | (frame["section"] == "00")]  # a machine type counts once
    table, score = rules.figures(unequal, 2020)
    fan, pump = (table.loc[table["machine"] == name, ["auc", "pauc"]].to_numpy().mean() for name in ("fan", "pump"))
    assert score == pytest.approx((fan + pump) / 2)
    with pytest.raises(ScoreError, match="the year 2019 was requested"):
        rules.figures(frame, 2019)


def test_evaluate_by_year(tmp_path, capsys):
    frame = scored()
    frame.to_csv(tmp_path / "scores.csv", index=False)
    found = {}
    for year in ("2021", "2023"):
        assert main(["evaluate", str(tmp_path / "scores.csv"), "--json", "--year", year]) == 0
        found[year] = json.loads(capsys.readouterr().out)["official_score"]
    assert found == {year: pytest.approx(rules.figures(frame, int(year))[1]) for year in found}
