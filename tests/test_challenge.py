"""Test official files of DCASE2020 to 2025 as people store them: reading, recognition, evaluation, writing."""

import json
import re
import shutil
import zipfile

import numpy as np
import pandas as pd
import pytest
import synthetic_scores
from sklearn.metrics import roc_auc_score

from asdlib import ensemble, scores
from asdlib.challenge import export, file_names, files, results, rules, years
from asdlib.challenge.combine import combine
from asdlib.challenge.evaluate import describe, evaluate
from asdlib.data import catalogue, lists
from asdlib.errors import ScoreError

pytestmark = pytest.mark.slow

DOMAINS = ("source", "target")
LABELS = ("normal", "anomaly")
SECTIONS = {2020: ("00", "02", "04", "06"), 2021: ("00", "01", "02"), 2022: ("00", "01", "02"), 2023: ("00",)}


def clips(year, section, count=10, labelled=True, start=0):
    """Return the names of a section's test clips in the format of a year, with domain and label."""
    rows = []
    for domain in DOMAINS if year > 2020 else ("source",):
        for label in LABELS:
            for number in range(start, start + count):
                if year == 2020:
                    rows.append((f"{label}_id_{section}_{number:08d}.wav", domain, label))
                else:
                    more = "_car_A1_spd_28V_mic_1" if year > 2021 else ""
                    rows.append((f"section_{section}_{domain}_test_{label}_{number:04d}{more}.wav", domain, label))
    if not labelled:
        random = np.random.default_rng([year, int(section)]).permutation(len(rows))
        rows = [rows[k] for k in random]
        if year == 2021:
            rows = [(f"section_{section}_{d}_test_{n:04d}.wav", d, label) for n, (_, d, label) in enumerate(rows)]
        else:
            name = "id_{}_{:08d}.wav" if year == 2020 else "section_{}_{:04d}.wav"
            rows = [(name.format(section, n), d, label) for n, (_, d, label) in enumerate(rows)]
    return pd.DataFrame(rows, columns=["clip", "domain", "label"])


def put(path, rows, end="\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name},{value}{end}" for name, value in rows), newline="")


def system(folder, year, machines, sections=None, seed=0, labelled=True, names=None):
    """Write a system's scores, and return them as one table."""
    random, parts = np.random.default_rng(seed), []
    for machine in machines:
        for section in sections or SECTIONS[min(year, 2023)]:
            table = clips(year, section, labelled=labelled).assign(machine=machine, section=section)
            table["score"] = random.normal(size=len(table)) + 1.2 * (table["label"] == "anomaly")
            for domain, part in table.groupby("domain") if year == 2021 else [("", table)]:
                name = (names or file_names.file_name)("anomaly_score", year, machine, section, domain)
                put(folder / name, part[["clip", "score"]].to_numpy())
            parts.append(table)
    return pd.concat(parts, ignore_index=True)


def ground_truth(root, year, table):
    """Write the labels (and domains) of unlabelled clips like the organisers of a year."""
    for (machine, section), part in table.groupby(["machine", "section"]):
        for domain, rows in part.groupby("domain") if year == 2021 else [("", part)]:
            middle = f"_{domain}" if domain else ""
            name = f"ground_truth_{machine}_section_{section}{middle}_test.csv"
            put(root / "ground_truth_data" / name, zip(rows["clip"], (rows["label"] == "anomaly") * 1, strict=True))
            if year > 2021:
                put(
                    root / "ground_truth_domain" / name,
                    zip(rows["clip"], (rows["domain"] == "target") * 1, strict=True),
                )
                put(root / "ground_truth_attributes" / name, [(clip, "vel_5") for clip in rows["clip"]])


def expected(table, year):
    """Compute the official score from the definition with scikit-learn."""
    values, means = [], {}
    for (machine, _), part in table.groupby(["machine", "section"]):
        truth, own = part["label"] == "anomaly", []
        for domain, mine in part.groupby("domain"):
            used = part[(part["domain"] == domain) | truth] if year > 2021 else mine
            own.append(roc_auc_score(used["label"] == "anomaly", used["score"]))
            if year <= 2021:
                own.append(roc_auc_score(mine["label"] == "anomaly", mine["score"], max_fpr=0.1))
        own += [roc_auc_score(truth, part["score"], max_fpr=0.1)] if year > 2021 else []
        values += own
        means.setdefault(machine, []).append(np.mean(own))
    if year == 2020:
        return np.mean([np.mean(of) for of in means.values()])
    return len(values) / np.sum(1 / np.array(values))


MACHINES = {
    2020: ("ToyCar", "fan"),
    2021: ("pump", "fan"),
    2022: ("bearing", "fan"),
    2023: ("bandsaw", "ToyNscale"),
    2024: ("3DPrinter", "ToothBrush"),
    2025: ("AutoTrash", "ToyRCCar"),
}
IDS = {2020: ("01", "03", "05"), 2021: ("03", "04", "05"), 2022: ("03", "04", "05")}


# Every year -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("year", years.YEARS)
def test_evaluation_part_of_every_year(tmp_path, command, year):
    """With unlabelled clips and published ground truth, the year is recognised, and its rule is stated and followed."""
    table = system(tmp_path / "sys", year, ("fan",) if year == 2020 else MACHINES[year], IDS.get(year), labelled=False)
    if year == 2020:
        put(tmp_path / "eval_data_list.csv", [])
        lines = [f"{clip},{label}_x.wav,{int(label == 'anomaly')}" for clip, _, label in table.iloc[:, :3].to_numpy()]
        (tmp_path / "eval_data_list.csv").write_text("\n".join(["fan", *lines, "pump", "id_01_00000000.wav,x,1"]))
        truth = [tmp_path / "eval_data_list.csv"]
    else:
        ground_truth(tmp_path, year, table)
        truth = [tmp_path / name for name in ("ground_truth_data", "ground_truth_domain") if (tmp_path / name).exists()]
    code, out, _ = command("evaluate", tmp_path / "sys", *truth, "--json")
    found = json.loads(out)
    assert code == 0 and found["year"] == year and found["rule"] == rules.RULES[year]
    assert found["official_score"] == pytest.approx(expected(table, year), abs=1e-12)
    assert evaluate([tmp_path]) == found  # everything in one folder, including attributes
    assert describe(found).startswith(f"DCASE{year} (recognised")
    for file in (tmp_path / "sys").iterdir():  # systems that write folders before the clips' names
        file.write_text(file.read_text().replace("section_", "eval/test/section_").replace("\nid_", "\n.\\test\\id_"))
    assert evaluate([tmp_path]) == found


@pytest.mark.parametrize(("year", "machines"), [(2020, ("fan",)), (2021, ("fan", "pump")), (2022, ("fan", "bearing"))])
def test_development_part(tmp_path, year, machines):
    table = system(tmp_path / "sys", year, machines)
    found = evaluate([tmp_path / "sys"])
    assert found["year"] == year and found["official_score"] == pytest.approx(expected(table, year), abs=1e-12)


def test_years_that_look_alike_are_all_named(tmp_path):
    table = system(tmp_path / "sys", 2023, ("bearing", "gearbox"))
    found = evaluate([tmp_path / "sys"])
    assert found["year"] == 2023 and "2024, 2025 look the same" in found["recognised"]
    assert found["official_score"] == pytest.approx(expected(table, 2023), abs=1e-12)
    shutil.copytree(tmp_path / "sys", tmp_path / "my dcase2024 systems" / "one")
    assert evaluate([tmp_path / "my dcase2024 systems"])["year"] == 2024  # a folder's name decides between them
    given = evaluate([tmp_path / "sys"], year=2021)
    assert given["year"] == 2021 and given["recognised"] == "the year was given"
    assert given["official_score"] == pytest.approx(expected(table, 2021), abs=1e-12)


def test_names_of_the_baselines_of_2023_on(tmp_path):
    def named(seed):
        return lambda kind, year, machine, section, domain: (
            f"{kind}_DCASE2024T2{machine}_section_{section}_test_seed{seed}_id(0_)_Eval.csv"
        )

    table = system(tmp_path / "sys", 2023, ("bearing", "gearbox"), names=named(13711))
    found = evaluate([tmp_path / "sys"])
    assert found["year"] == 2024 and [cell["machine"] for cell in found["cells"][::2]] == ["bearing", "gearbox"]
    assert found["official_score"] == pytest.approx(expected(table, 2024), abs=1e-12)
    system(tmp_path / "sys", 2023, ("bearing", "gearbox"), seed=1, names=named(2))
    both = evaluate([tmp_path / "sys"])["systems"]  # two seeds in one folder are two systems
    assert both["seed13711_id(0_)_Eval"] == found and set(both) == {"seed13711_id(0_)_Eval", "seed2_id(0_)_Eval"}


def test_a_machine_type_of_nobodys_challenge(tmp_path):
    table = system(tmp_path / "sys", 2022, ("my_lathe", "my mill"))
    found = evaluate([tmp_path / "sys"])
    assert found["year"] == 2022 and found["official_score"] == pytest.approx(expected(table, 2022), abs=1e-12)


# Where files lie and how they are written -----------------------------------------------------------------------------
def test_folders_archives_and_odd_characters(tmp_path):
    folder = tmp_path / "results (new)" / "alpha=norm(w), m=0.7 é"
    table = system(folder, 2022, ("fan", "bearing"))
    found = evaluate([folder])
    assert found["official_score"] == pytest.approx(expected(table, 2022), abs=1e-12)
    shutil.make_archive(str(tmp_path / "packed"), "zip", folder.parent, folder.name)
    shutil.make_archive(str(tmp_path / "flat"), "zip", folder)
    with zipfile.ZipFile(tmp_path / "flat.zip", "a") as archive:  # what macOS leaves in archives
        archive.writestr("__MACOSX/._anomaly_score_fan_section_00.csv", b"\x00\x05\x16\x07")
        archive.writestr("._anomaly_score_fan_section_00.csv", b"\x00\x05\x16\x07")
    (folder / ".ipynb_checkpoints").mkdir()
    shutil.copy(folder / "anomaly_score_fan_section_00.csv", folder / ".ipynb_checkpoints" / "anomaly_score_x.csv")
    for path in (folder, tmp_path / "packed.zip", tmp_path / "flat.zip"):
        assert evaluate([path]) == found
    shutil.copytree(folder, tmp_path / "second")
    several = evaluate([tmp_path / "flat.zip", tmp_path / "second"])["systems"]
    assert several == {"flat": found, "second": found}
    (tmp_path / "broken.zip").write_bytes((tmp_path / "flat.zip").read_bytes()[:500])
    with pytest.raises(ScoreError, match=r"broken\.zip: not a readable zip archive"):
        evaluate([tmp_path / "broken.zip"])


def test_two_systems_with_a_folder_per_machine_type(tmp_path):
    found = {}
    for name in "ab":
        system(tmp_path / "flat" / name, 2022, ("fan", "bearing"), seed=ord(name))
        found[name] = evaluate([tmp_path / "flat" / name])
        for file in (tmp_path / "flat" / name).iterdir():
            machine = file_names.parse(file.name).machine
            (tmp_path / "deep" / name / machine).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, tmp_path / "deep" / name / machine)
    assert evaluate([tmp_path / "deep"]) == {"systems": found}


def test_some_files_with_test_in_their_names_and_some_without(tmp_path):
    """One of the real systems of 2022 has such names."""
    system(tmp_path, 2022, ("fan", "bearing"))
    found = evaluate([tmp_path])
    (tmp_path / "anomaly_score_fan_section_01.csv").rename(tmp_path / "anomaly_score_fan_section_01_test.csv")
    assert evaluate([tmp_path]) == found


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda text: "\ufeff" + text.replace("\n", "\r\n") + "\r\n\r\n",
        lambda text: text.replace("\n", "\r"),
        lambda text: "file_name,anomaly_score\n" + text,
        lambda text: "\n\n" + text.replace("\n", "\n\n"),
        lambda text: text.replace(",", ";").replace(".", ",").replace(",wav", ".wav"),
        lambda text: text.replace(",", "\t"),
        lambda text: text.replace(",", " , "),
        lambda text: text.replace("section_", '"section_').replace(".wav", '.wav"'),
        lambda text: text.replace(".wav", ""),
        lambda text: re.sub(r"^(.*),(.*)$", r'"\1","\2"', text, flags=re.M).replace(".", ",").replace(",wav", ".wav"),
        lambda text: re.sub(r"^(.*)$", r'"\1"', text.strip(), flags=re.M),
        lambda text: re.sub(r"^(.*),(.*)$", r'"a; b, c/\1";\2', text, flags=re.M),
    ],
    ids=[
        *("bom-crlf", "cr", "header", "blank", "semicolon", "tab", "spaces", "quoted", "bare"),
        *("quoted decimal commas", "whole line quoted", "separators in names"),
    ],
)
def test_how_spreadsheets_write_lists(tmp_path, rewrite):
    table = system(tmp_path / "sys", 2022, ("fan", "bearing"), IDS[2022], labelled=False)
    ground_truth(tmp_path, 2022, table)
    found = evaluate([tmp_path])
    for file in tmp_path.rglob("*.csv"):
        if "attributes" not in file.parent.name:
            file.write_text(rewrite(file.read_text()), newline="")
    assert evaluate([tmp_path]) == found


def test_utf_16_is_read():
    assert list(lists.lines("\ufeffa.wav\t1,5\r\n".encode("utf-16-le"))) == [(1, ["a.wav", "1.5"])]


@pytest.mark.parametrize("separator", [",", ";", "\t", " "])
def test_the_list_of_2020_with_any_separator_labels_recordings_and_scores(tmp_path, separator):
    table = system(tmp_path / "sys", 2020, ("fan",), IDS[2020], labelled=False)
    lines = [separator.join((row.clip, "x.wav", str(int(row.label == "anomaly")))) for row in table.itertuples()]
    (tmp_path / "eval_data_list_2020.csv").write_bytes(("\ufefffan\r\n" + "\r\n".join(lines) + "\r\n").encode())
    assert evaluate([tmp_path])["official_score"] == pytest.approx(expected(table, 2020), abs=1e-12)
    for row in table.itertuples():
        (tmp_path / "fan" / "test").mkdir(parents=True, exist_ok=True)
        (tmp_path / "fan" / "test" / row.clip).touch()
    labels = catalogue.scan(tmp_path).set_index("clip")["label"]
    assert labels.reindex(table["clip"]).tolist() == table["label"].tolist()


# Refused --------------------------------------------------------------------------------------------------------------
def change(file, how):
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(how(lines)))


FAN = "anomaly_score_fan_section_01.csv"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / FAN).unlink(), f"{FAN} is missing"),
        (
            lambda folder: change(folder / FAN, lambda lines: lines[:25] + lines[27:]),
            "0005 of the target domain has no score, 2",
        ),
        (lambda folder: change(folder / FAN, lambda lines: lines[1:]), "0000 of the source domain has no score"),
        (lambda folder: change(folder / FAN, lambda lines: lines[:30]), "no target anomaly clips"),
        (lambda folder: change(folder / FAN, lambda lines: lines[:20]), "no target anomaly clips"),
        (lambda folder: change(folder / FAN, lambda lines: [*lines, lines[3]]), "has more than one score"),
        (lambda folder: change(folder / FAN, lambda lines: [*lines[:-1], lines[-1][:30]]), "line 40"),
        (
            lambda folder: change(folder / FAN, lambda lines: [*lines, "normal_id_01_00000030.wav,1\n"]),
            "from different parts",
        ),
        (
            lambda folder: change(folder / FAN, lambda lines: [*lines, "section_01_0000.wav,1\n"]),
            "from different parts",
        ),
        (
            lambda folder: shutil.copy(folder / FAN, folder / FAN.replace(".csv", "_test.csv")),
            f"{FAN} is of the same machine type, section and domain",
        ),
        (
            lambda folder: shutil.copy(folder / FAN, folder / "anomaly_score_fan_section_00.csv"),
            "is of the section 01, but the name of the file says 00",
        ),
        (
            lambda folder: put(folder / "anomaly_score_slider_id_00.csv", clips(2020, "00").iloc[:, [0, 1]].to_numpy()),
            "these are scores of DCASE2020",
        ),
        (lambda folder: system(folder, 2021, ("pump",)), "these are scores of DCASE2021"),
        (lambda folder: (folder / FAN).rename(folder / "anomaly_score_fan_01.csv"), "not the name of an official file"),
        (lambda folder: (folder / FAN).rename(folder / f"{FAN[:-4]} (1).csv"), "not the name of an official file"),
    ],
)
def test_incomplete_doubled_and_mixed_files_get_one_sentence(tmp_path, command, spoil, words):
    system(tmp_path / "sys", 2022, ("fan", "bearing"))
    assert command("evaluate", tmp_path / "sys")[0] == 0
    spoil(tmp_path / "sys")
    code, out, err = command("evaluate", tmp_path / "sys")
    assert (code, out) == (2, "") and err.count("\n") == 1 and words in err and "expected" in err


def test_a_missing_machine_id_of_2020_is_named(tmp_path):
    system(tmp_path, 2020, ("fan", "pump"))
    (tmp_path / "anomaly_score_pump_id_04.csv").unlink()
    with pytest.raises(ScoreError, match=r"anomaly_score_pump_id_04\.csv is missing"):
        evaluate([tmp_path])


def test_files_of_two_years_are_refused_unless_a_year_is_given(tmp_path):
    system(tmp_path / "one", 2023, ("bandsaw",))
    system(tmp_path / "two", 2024, ("3DPrinter",))
    with pytest.raises(ScoreError, match=r"of DCASE2024, but .* is of DCASE2023"):
        evaluate([tmp_path / "one", tmp_path / "two"])
    assert evaluate([tmp_path / "one", tmp_path / "two"], year=2024)["year"] == 2024


def test_the_year_of_a_short_file_of_2022_follows_from_the_others(tmp_path):
    """Evaluation clips have no labels in their names, so they need ground truth."""
    for section in IDS[2022]:
        put(
            tmp_path / f"anomaly_score_fan_section_{section}.csv",
            [(f"section_{section}_{n:04d}.wav", n) for n in range(200)],
        )
    change(tmp_path / "anomaly_score_fan_section_04.csv", lambda lines: lines[:150])
    shutil.copytree(tmp_path, tmp_path / "b")
    with pytest.raises(ScoreError, match=r"section_04\.csv: 150 clips have a score; expected 200"):
        combine([tmp_path / "b", tmp_path / "anomaly_score_fan_section_03.csv"], "test", "average", tmp_path / "out")


def test_required_contents_of_ground_truth(tmp_path):
    table = system(tmp_path / "sys", 2023, ("bandsaw",), labelled=False)
    ground_truth(tmp_path, 2023, table)
    name = "ground_truth_bandsaw_section_00_test.csv"
    with pytest.raises(
        ScoreError, match=r"the domain of clip section_00_0000\.wav .* is unknown.* ground_truth_domain"
    ):
        evaluate([tmp_path / "sys", tmp_path / "ground_truth_data"])
    with pytest.raises(ScoreError, match="none of these clips is labelled"):
        evaluate([tmp_path / "sys", tmp_path / "ground_truth_domain"])
    text = (tmp_path / "ground_truth_domain" / name).read_text()
    (tmp_path / "ground_truth_domain" / name).write_text(text.partition("\n")[2])
    with pytest.raises(ScoreError, match=r"clip section_00_0000\.wav has no domain, 1 clip"):
        evaluate([tmp_path])
    (tmp_path / "ground_truth_domain" / name).write_text(text + text[: text.index("\n") + 1])
    with pytest.raises(ScoreError, match=r"section_00_0000\.wav is listed twice"):
        evaluate([tmp_path])
    (tmp_path / "ground_truth_domain" / name).write_text(text)
    spelled = (tmp_path / "ground_truth_data" / name).read_text().replace("section_00_", "section_00_test_")
    (tmp_path / "ground_truth_data" / name).write_text(spelled)  # another spelling of the same clips
    assert evaluate([tmp_path])["official_score"] == pytest.approx(expected(table, 2023), abs=1e-12)
    put(tmp_path / "other" / name, [(clip, 0) for clip in table["clip"]])
    with pytest.raises(ScoreError, match="contradicts"):
        evaluate([tmp_path])
    named = system(tmp_path / "named", 2023, ("bearing",))
    put(tmp_path / "wrong" / "ground_truth_bearing_section_00_test.csv", [(clip, 0) for clip in named["clip"]])
    with pytest.raises(ScoreError, match="is normal here, but anomaly by its name"):
        evaluate([tmp_path / "named", tmp_path / "wrong"])


def test_absent_machine_types_are_named(tmp_path, command):
    system(tmp_path, 2022, ("ToyCar", "bearing", "fan", "gearbox", "slider"))
    code, _, err = command("evaluate", tmp_path)
    assert code == 0 and err == (
        "note: there are no scores of ToyTrain, valve, so the official score does not include them\n"
    )


# result.csv -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("year", [2020, 2021, 2022, 2023])
def test_results_are_written_and_read_in_every_years_form(tmp_path, year):
    table = system(tmp_path, year, ("fan", "gearbox") if year > 2020 else ("fan", "valve"))
    frame = files.read([tmp_path]).frame
    decided = frame.assign(decision=(frame["score"] > 0.6).astype(int))
    mine = results.figures(decided, year)
    results.write(mine, tmp_path / "result.csv", year)
    back = synthetic_scores.read_result(tmp_path / "result.csv")
    columns = [name for name in back if name in mine]
    assert columns[3:5] == ["auc", "pauc"] and (year == 2020 or "f1" in columns)
    pd.testing.assert_frame_equal(back[columns], mine[columns], check_dtype=False, rtol=0, atol=1e-15)
    found = evaluate([tmp_path], compare=True)["result_csv"]
    assert found["equal"] == found["figures"] == len(mine) * 2 - (len(mine) // 2 if year > 2021 else 0)
    assert len(table) == len(frame)


def test_a_result_that_follows_another_reading_is_explained(tmp_path, command):
    system(tmp_path, 2022, ("fan", "bearing"))
    frame = files.read([tmp_path]).frame
    own, _ = rules.figures(frame, 2021)
    both, _ = rules.figures(frame, 2022)
    lines = []
    for machine, rows in both.assign(auc=own["auc"]).groupby("machine"):
        lines += [machine, "section,AUC(Source),AUC(Target),pAUC"]
        for section, part in rows.groupby("section"):
            lines.append(",".join([section, *(f"{value:.4f}" for value in [*part["auc"], part["pauc"].iloc[0]])]))
        lines += ["arithmetic mean,0.1,0.1,0.1", ""]
    (tmp_path / "result.csv").write_text("\n".join([*lines, "(A)Total Average,0.6,0.6,0.5"]))
    code, out, _ = command("evaluate", tmp_path, "--compare")
    assert code == 0 and "all 6 pAUC are equal" in out
    assert "12 AUC are those of the normal clips of a domain against the anomalies of that domain alone" in out
    (tmp_path / "result.csv").unlink()
    code, _, err = command("evaluate", tmp_path, "--compare")
    assert code == 2 and "no result.csv" in err


# combine and export ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("year", years.YEARS)
def test_combining_writes_the_files_of_the_year(tmp_path, year):
    machines, sections = ("fan",) if year == 2020 else MACHINES[year], IDS.get(year)
    parts = [system(tmp_path / name, year, machines, sections, seed, labelled=False) for seed, name in enumerate("ab")]
    combine([tmp_path / "a", tmp_path / "b"], "test", "average", tmp_path / "both")
    names = {file.name for file in (tmp_path / "a").iterdir()}
    assert {file.name for file in (tmp_path / "both").iterdir()} == names
    by = ["machine", "section", "domain"] if year == 2021 else ["machine", "section"]
    total = 0
    for table in parts:  # mean 0 and variance 1 in each file, then the mean: by hand
        total = total + table.groupby(by)["score"].transform(
            lambda values: (values - values.mean()) / values.std(ddof=0)
        )
    table = parts[0].assign(score=total / 2)
    back = files.read([tmp_path / "both"]).frame
    keys = ["machine", "section", "clip"]
    both = table.merge(back, on=keys)
    assert len(both) == len(table) and np.allclose(both["score_x"], both["score_y"], rtol=0, atol=1e-12)


def test_combining_labelled_clips_of_2022_keeps_their_domains(tmp_path):
    for seed, name in enumerate("ab"):
        system(tmp_path / name, 2022, ("fan",), seed=seed)
    result = combine([tmp_path / "a", tmp_path / "b"], "rank", "maximum", tmp_path / "both", 2022)
    domains = result["clip"].str.extract("_(source|target)_", expand=False)
    assert result["domain"].tolist() == domains.tolist() and set(domains) == set(DOMAINS)


@pytest.mark.parametrize(("year", "folders"), [(2021, ("source_test", "target_test")), (2023, ("test", "test"))])
def test_a_run_is_exported_as_the_year_of_its_data(tmp_path, year, folders):
    """Clips of both years may have the same names; their folders distinguish the years."""
    settings = synthetic_scores.settings(tmp_path / "runs", ["fan"], candidates=1)
    synthetic_scores.write_run(settings, shift=1.5)
    ensemble.run(settings, "fan")
    run = tmp_path / "runs" / "test"
    table = scores.read(run / "mobilenet" / "fan" / "scores.csv")
    test = table[table["split"] == "test"]
    path = "fan/" + test["domain"].map(dict(zip(DOMAINS, folders, strict=True))) + "/" + test["clip"]
    (run / "data" / "fan").mkdir(parents=True, exist_ok=True)
    test.assign(path=path).to_csv(run / "data" / "fan" / "clips.csv", index=False)
    export.export(run, tmp_path / "out")
    names = {file.name for file in (tmp_path / "out" / "mobilenet").iterdir()}
    middle = "_source_test" if year == 2021 else ""
    assert any(re.fullmatch(rf"anomaly_score_fan_section_00{middle}(_test)?\.csv", name) for name in names)
    found = evaluate([tmp_path / "out" / "mobilenet"], compare=True)
    assert found["result_csv"]["equal"] == found["result_csv"]["figures"]
    assert (found["year"] == 2021) == (year == 2021)
    export.export(run, tmp_path / "given", year=2020)
    assert (tmp_path / "given" / "mobilenet" / "decision_result_fan_id_00.csv").is_file()


# Real systems ---------------------------------------------------------------------------------------------------------
def test_thirty_real_systems_of_2022_have_the_figures_of_their_results(realdata):
    found = evaluate([realdata / "dcase2022_development"], compare=True)["systems"]
    assert len(found) == 30 and {result["year"] for result in found.values()} == {2022}
    odd = {name: result["result_csv"] for name, result in found.items() if result["result_csv"]["equal"] < 63}
    assert list(odd) == ["system_42"] and all(result["result_csv"]["figures"] == 63 for result in found.values())
    assert (
        "all 42 AUC are those of the normal clips of a domain against the anomalies of that"
        in odd["system_42"]["explanation"]
    )
    assert odd["system_42"]["equal"] == 21


@pytest.mark.parametrize(
    ("folder", "published"),
    [
        ("dcase2022_evaluation", {"Xiao_HEU-HIT_task2_1": 0.6639, "Xiao_HEU-HIT_task2_2": 0.6653}),
        ("dcase2024_evaluation", {"Kim_CAU_task2_1": 0.4646}),
    ],
)
def test_published_official_scores(realdata, folder, published):
    found = evaluate([realdata / folder])["systems"]
    assert {name: round(found[name]["official_score"], 4) for name in published} == published


def test_the_mobilenets_of_2021_have_the_figures_of_their_results(realdata):
    found = evaluate([realdata / "dcase2021_scores"], compare=True)["systems"]
    assert len(found) == 6
    for result in found.values():
        assert result["year"] == 2021 and result["result_csv"]["equal"] == result["result_csv"]["figures"] == 84


def test_real_systems_of_2020(realdata):
    """No score is published with these files, so compute it from the files with scikit-learn."""
    folder = realdata / "dcase2020_evaluation"
    found = evaluate([folder])["systems"]["Haunschmid_378"]
    machine, truth = "", {}
    for line in (folder / "eval_data_list_2020.csv").read_text().splitlines():
        machine, _, label = (line.rstrip(","), "", "") if line.count(",") < 2 else (machine, *line.split(",")[1:])
        if label:
            truth[machine, line.split(",")[0]] = int(label)
    assert found["year"] == 2020 and len(found["sections"]) == 18
    for row in found["sections"]:
        pairs = pd.read_csv(
            folder / "Haunschmid_378" / f"anomaly_score_{row['machine']}_id_{row['section']}.csv", header=None
        )
        labels = [truth[row["machine"], clip] for clip in pairs[0]]
        assert row["auc"] == pytest.approx(roc_auc_score(labels, pairs[1]), abs=1e-12)
        assert row["pauc"] == pytest.approx(roc_auc_score(labels, pairs[1], max_fpr=0.1), abs=1e-12)
