"""List the machine types and sections of DCASE2020 to 2025 Task 2, and recognise the year of files."""

import re
from collections.abc import Iterable

import pandas as pd

from asdlib.data.file_names import MACHINES

YEARS = range(2020, 2026)

_IDS = ("00", "02", "04", "06"), ("01", "03", "05")
_SEVEN = ("ToyCar", "ToyTrain", "bearing", "fan", "gearbox", "slider", "valve")
_EVALUATED = {
    2023: ("ToyDrone", "ToyNscale", "ToyTank", "Vacuum", "bandsaw", "grinder", "shaker"),
    2024: (
        *("3DPrinter", "AirCompressor", "BrushlessMotor", "HairDryer", "HoveringDrone"),
        *("RoboticArm", "Scanner", "ToothBrush", "ToyCircuit"),
    ),
    2025: (
        *("AutoTrash", "BandSealer", "CoffeeGrinder", "HomeCamera"),
        *("Polisher", "ScrewFeeder", "ToyPet", "ToyRCCar"),
    ),
}

PARTS: dict[int, tuple[dict[str, tuple[str, ...]], ...]] = {
    2020: (
        {
            "ToyCar": ("01", "02", "03", "04"),
            "ToyConveyor": ("01", "02", "03"),
            **dict.fromkeys(("fan", "pump", "slider", "valve"), _IDS[0]),
        },
        {
            "ToyCar": ("05", "06", "07"),
            "ToyConveyor": ("04", "05", "06"),
            **dict.fromkeys(("fan", "pump", "slider", "valve"), _IDS[1]),
        },
    ),
    2021: (dict.fromkeys(MACHINES, ("00", "01", "02")), dict.fromkeys(MACHINES, ("03", "04", "05"))),
    2022: (dict.fromkeys(_SEVEN, ("00", "01", "02")), dict.fromkeys(_SEVEN, ("03", "04", "05"))),
} | {year: (dict.fromkeys(_SEVEN, ("00",)), dict.fromkeys(names, ("00",))) for year, names in _EVALUATED.items()}
"""machine types and their sections (in 2020 machine IDs) of the development and the evaluation part, by year"""

CLIPS_2022 = 200
"""number of test clips in every section of DCASE2022"""

_NAMED = re.compile(r"dcase[\s_-]?(20\d\d)", re.IGNORECASE)


def candidates(grammar: Iterable[int], machine: str, section: str) -> set[int]:
    """Return the possible years of a file of a machine type and section.

    Args:
        grammar: Years whose files are named like this one.
        machine: Machine type; a machine type of no challenge does not restrict the years.
        section: Two digits.
    """
    grammar = set(grammar)
    by_machine = {year for year in grammar if any(machine in part for part in PARTS[year])}
    by_section = {year for year in by_machine if any(section in part.get(machine, ()) for part in PARTS[year])}
    return by_section or by_machine or grammar


def grammar_of_clips(clips: pd.Series) -> set[int]:
    """Return the years whose clips are named like these; empty if the names do not restrict them."""
    if clips.str.match(r"(?:(?:normal|anomaly)_)?id_\d+_\d+").all():
        return {2020}
    if clips.str.match(r"section_\d+_(?:test_)?\d+").all():
        return set(range(2022, 2026))
    return set(range(2021, 2026)) if clips.str.match(r"section_\d+_(?:source|target)_").all() else set()


def years_in_names(where: Iterable[str], possible: set[int]) -> set[int]:
    """Return the possible years that are part of the paths of all files, as in ``dcase2024_evaluation``."""
    found = [set(map(int, _NAMED.findall(text))) & possible for text in where]
    return set.intersection(*found) if found else set()


def single(possible: set[int], sections: set[str]) -> tuple[int, tuple[int, ...]]:
    """Choose one year, and list the other years that the files may be of.

    DCASE2022 has three sections per machine type, 2023 to 2025 have one, so files of section 00 alone are assigned to
    the latter.
    """
    if 2022 in possible and len(possible) > 1 and sections <= {"00"}:
        possible = possible - {2022}
    first, *others = sorted(possible)
    return first, tuple(others)


def missing_sections(year: int, found: dict[str, set[str]]) -> list[tuple[str, str]]:
    """List the machine types and sections that an otherwise complete set of files lacks.

    A machine type is complete if it has all sections of a part of the challenge, or all sections that the set has of
    any machine type. Other data may have fewer sections than the challenge, as long as all machine types have the same
    sections.

    Args:
        year: Year of the challenge.
        found: Sections of each machine type.
    """
    lacking = []
    everywhere = set().union(*found.values()) if year != 2020 else set()
    for part in PARTS[year]:
        mine = {machine: sections & set(part.get(machine, ())) for machine, sections in found.items()}
        whole = any(machine in part and sections == set(part[machine]) for machine, sections in mine.items())
        for machine, sections in mine.items():
            expected = set(part.get(machine, ())) if whole else set()
            expected |= everywhere & set(part.get(machine, ()))
            lacking += [(machine, section) for section in sorted(expected - sections) if sections]
    strangers = {machine: sections for machine, sections in found.items() if not any(machine in p for p in PARTS[year])}
    shared = set().union(*strangers.values()) if strangers else set()
    lacking += [(m, section) for m, sections in strangers.items() for section in sorted(shared - sections)]
    return lacking


def missing_machines(year: int, found: Iterable[str]) -> list[str]:
    """List the machine types that a set of files lacks, if it has more than half of a part of the challenge."""
    found, lacking = set(found), []
    for part in PARTS[year]:
        absent = [machine for machine in part if machine not in found]
        if 2 * len(absent) < len(part) and absent:
            lacking += absent
    return list(dict.fromkeys(lacking))
