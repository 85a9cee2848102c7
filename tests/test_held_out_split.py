"""Test which clips are learnt from, which are held out, and which of them are in the score table."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from asdlib.data import held_out_split
from asdlib.data.held_out_split import HELD_OUT, LEARN
from asdlib.data.machine_clips import MachineClips


def catalogue(sources: int, targets: int = 3, section: str = "00", tests: int = 4) -> pd.DataFrame:
    keys = [("source", "train")] * sources + [("target", "train")] * targets + [("source", "test")] * tests
    table = pd.DataFrame(keys, columns=["domain", "split"]).assign(machine="fan", section=section, label="normal")
    return table.assign(clip=[f"section_{section}_{number}.wav" for number in range(len(table))])


@given(st.integers(1, 300), st.integers(0, 5), st.floats(0.01, 0.99))
def test_roles(sources, targets, share):
    table = catalogue(sources, targets)
    role = held_out_split.roles(table, share, seed=0)
    source, held_out = role[:sources], (role == HELD_OUT).sum()
    assert set(source) <= {LEARN, HELD_OUT} and (source == LEARN).sum() + held_out == sources
    if sources < 3:
        assert held_out == 0
    else:
        assert 2 <= held_out <= sources - 1  # cross-fitting takes two, the networks one
        assert abs(held_out - share * sources) <= 1 or held_out in (2, sources - 1)
    assert (role[sources : sources + targets] == LEARN).all()
    assert (role[sources + targets :] == "").all()
    assert (held_out_split.roles(table, share, seed=0) == role).all()


def test_other_seeds_and_sections_hold_out_other_clips():
    first = held_out_split.roles(catalogue(100), 0.2, seed=0)
    assert (held_out_split.roles(catalogue(100), 0.2, seed=1) != first).any()
    assert (held_out_split.roles(catalogue(100, section="01"), 0.2, seed=0) != first).any()


def test_other_clips_do_not_change_the_roles():
    """With or without further sections and test clips, systems hold out the same clips."""
    both = pd.concat([catalogue(50), catalogue(30, section="01")], ignore_index=True)
    together = held_out_split.roles(both, 0.2, seed=0)
    alone = held_out_split.roles(catalogue(50, targets=0, tests=0), 0.2, seed=0)
    assert (together[:50] == alone).all()


@given(st.integers(3, 40), st.integers(0, 3), st.integers(0, 3), st.booleans())
def test_the_score_table_has_test_clips_and_held_out_clips_of_both_domains(sources, targets, tests, planned):
    """Section 01 has no target clips; section 00 may; section 02 is never scored."""
    parts = [catalogue(sources, targets, "00", tests), catalogue(5, 0, "01"), catalogue(9, 2, "02", 0)]
    clips = pd.concat(parts, ignore_index=True)
    waveforms = type("Waveforms", (), {"clips": clips})
    names = ["00", "01"] if planned else ["01"]
    rows = np.flatnonzero((clips["split"] == "train") | clips["section"].isin(names))
    role = held_out_split.roles(clips.iloc[rows], 0.25, seed=3)
    opened = MachineClips(waveforms, rows, ["00", "01", "02"], names, role)
    scored, held_out = opened.scored, opened.table["clip"][role == HELD_OUT]
    assert set(scored["section"]) == set(names)
    assert not scored.duplicated(["section", "domain", "split", "clip"]).any()
    for section in names:
        part = scored[scored["section"] == section]
        own = set(held_out) & set(clips["clip"][clips["section"] == section])
        assert set(part["clip"][(part["split"] == "train") & (part["domain"] == "source")]) == own
        reference = set(part["clip"][(part["split"] == "train") & (part["domain"] == "target")])
        assert reference == (own if section == "00" and targets else set())
        tested = clips["clip"][(clips["section"] == section) & (clips["split"] == "test")]
        assert sorted(part["clip"][part["split"] == "test"]) == sorted(tested)
    for place, row in scored.iterrows():
        assert opened.table["clip"][place] == row["clip"]  # the index says which clip it is
