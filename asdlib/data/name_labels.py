"""Read from names of files and folders whether a recording is said to be anomalous, or may be."""

import re
from pathlib import Path

_ANOMALOUS = {
    *("abnormal", "abnormals", "anomaly", "anomalies", "anomalous", "anomal", "anormal"),
    *("fault", "faults", "faulty", "broken", "defect", "defects", "defective", "damage", "damaged"),
    *("failure", "failures", "failed", "malfunction", "malfunctioning", "ng"),
}
_NEGATIONS = {"no", "non", "not", "without", "zero", "before"}
_FREE = {"free"}
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_DCASE_TEST = re.compile(r"^section_\d+_(source_|target_)?test_", re.IGNORECASE)
_TEST_FOLDER = re.compile(r"^(source_|target_)?test$|^eval(uation)?_?(data)?$|_eval$", re.IGNORECASE)
_DCASE_NAME = re.compile(r"^(section|id|normal_id|anomaly_id)_\d+", re.IGNORECASE)


def said_anomalous(path: Path, top: Path | None = None) -> str | None:
    """Find what in a recording's name says that it is not known to be normal.

    Args:
        path: The recording.
        top: Folder that was given; names from it downwards count. Without one, those of the file and its folder do.

    Returns:
        The telling part of the path; None if there is none.

    >>> said_anomalous(Path("pump/abnormal/1.wav")), said_anomalous(Path("pump/fault_free/1.wav"))
    ('abnormal', None)
    >>> said_anomalous(Path("fan/test/section_00_source_test_0000.wav"))
    'section_00_source_test_0000.wav'
    """
    parts = path.relative_to(top.parent).parts if top is not None and path.is_relative_to(top) else path.parts[-2:]
    for part in parts:
        if _is_anomalous(Path(part).stem if part == path.name else part):
            return part
    name = path.name
    if _DCASE_TEST.match(name):
        return name
    if _DCASE_NAME.match(name) and any(_TEST_FOLDER.search(part) for part in parts[:-1]):
        return next(part for part in parts[:-1] if _TEST_FOLDER.search(part))
    return None


def _is_anomalous(name: str) -> bool:
    words = [word.lower() for word in _WORDS.findall(name)]
    for index, word in enumerate(words):
        before, after = words[index - 1 : index], words[index + 1 : index + 2]
        if word in _ANOMALOUS and not _NEGATIONS & set(before) and not _FREE & set(after):
            return True
    return False
