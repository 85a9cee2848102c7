"""Recognise recordings of anomalies by their names and folders, before a model learns them as normal."""

import itertools
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from asdlib.data import file_names
from asdlib.errors import AsdError

_SAYS = re.compile(
    r"(?!\w*(detect|scor|recogni))(abnorm|anomal|anormal)\w*|anom|abn|outliers?|faults?|faulty|defect(s|ive)?|broken"
    r"|break(down|age)|damaged?|bad|ng|nok|ko|reject(s|ed)?|scrap|unhealthy|degraded|degradation|seized|jammed|clogged"
    r"|fail(s|ed|ing|ures?)?|malfunction(s|ing)?|cracks?|cracked|chipped|worn|imbalanced?|unbalanced?"
    r"|misalign(ed|ment)?|leak(s|y|ing|ages?)?|looseness|cavitation|cavitating|nonconform(ing|ity)?|contaminat(ed|ion)|overheat(ed|ing)|alarms?"
    r"|fehler(haft)?|fehlfunktion(en)?|\w*(defekte?|schaden|schaeden)|beschadigt|kaputt|storung(en)?|unwucht|ausfall"
    r"|verschlei(ß|ss)|verschlissen|gebrochen|undicht|leckagen?|anomalien?"
    r"|defauts?|defectueu(x|se)|defaillan(ce|t|te)s?|pannes?|casse|fuites?|usure"
    r"|fall[oa]s?|averias?|averiad[oa]s?|defectos?|defectuos[oa]s?|desgaste|fugas?"
    r"|guast[oi]|difett[oi]|difettos[oi]|rott[oi]|usura"
    r"|avarias?|falhas?|defeitos?|defeituos[oa]s?|quebrad[oa]s?"
    r"|kapot|storing(en)?|afwijking(en)?|trasig|avvikelser?|awari[ae]|uszkodz\w+|usterk[ai]|poruch[ay]|zavad[ay]|ar[iı]za"
    r"|неисправн\w+|поломк[аи]|авари[яи]|аномал\w+|дефект\w*|брак"
)
"""words in English, German, French, Spanish, Italian, Portuguese, Dutch, Swedish, Polish, Czech, Turkish and Russian,
without accents, and the *not good*, *not OK*, *KO*, *nicht in Ordnung* of test benches"""
_NEGATED = {
    (no, good) for no in ("not", "non", "nicht") for good in ("ok", "okay", "good", "normal", "conforming", "io")
}
"""two words that say it together"""
_TAGS = re.compile(r"(?<![A-Za-z])(?:(ab)\d+(?=_)|([nN][._]?[iI][._]?[oO])(?![A-Za-z]))")
"""an anomaly in file names of ToyADMOS, such as ``case1_ab01_IND_ch1_0001.wav``, and *n.i.O.*"""
_SAYS_WITHIN = re.compile(
    "(?<![无無没沒非未])(?:異常|异常|異音|异音|故障|不良|破損|破损|損傷|损伤|损坏|壊れ"
    "|고장|비정상|불량|이상음?)(?! ?(?:なし|無し|前|없음))"
)
_NOT_BEFORE = {
    *("no", "non", "not", "without", "zero", "un", "never", "before", "anti"),
    *("kein", "keine", "ohne", "nie", "sans", "aucun", "aucune", "sin", "senza"),
}
_NOT_AFTER = {"free", "less", "detection", "detector", "detect", "score", "scores", "recognition"}


def suspected_anomalies(paths: Iterable[Path | str], folder: Path | str | None = None) -> list[str]:
    """Find recordings that their names or folders call anomalous, or that are test clips of DCASE without a label.

    Args:
        paths: Recordings that are meant to be normal.
        folder: The folder that the user gave: its own name and everything below it count. Without it, the file and the
            folder that it lies in.

    Returns:
        A sentence per suspected recording.

    >>> suspected_anomalies(["fan/id_00/abnormal/0001.wav", "fan/id_00/normal/0001.wav", "no_fault/1.wav"])
    ["fan/id_00/abnormal/0001.wav: 'abnormal' in its path"]
    """
    sentences = []
    for path in map(Path, paths):
        parts = path.parts[-2:]
        if folder is not None and path.is_relative_to(folder):
            parts = (Path(folder).resolve().name, *path.relative_to(folder).parts)
        word = next((word for part in parts for word in _words(part)), None)
        if word is not None:
            sentences.append(f"{path}: {word!r} in its path")
        elif _unlabelled_test_clip(path):
            sentences.append(f"{path}: a test clip of DCASE without a label, which may be an anomaly")
    return sentences


def _words(part: str) -> list[str]:
    """Find the words of a file or folder name that say anomaly.

    >>> _words("section_00_source_test_anomaly_0001.wav"), _words("pumpBroken2"), _words("fault-detection")
    (['anomaly'], ['broken'], [])
    >>> _words("Lager-defekt_02"), _words("Störung"), _words("ohne Fehler"), _words("异常声音"), _words("故障なし")
    (['defekt'], ['storung'], [], ['异常'], [])
    >>> _words("NG"), _words("not_ok_3"), _words("AnomalousSound_IND"), _words("case1_ab01_IND")
    (['ng'], ['not ok'], ['anomalous'], ['ab'])
    >>> _words("anomalydetection"), _words("no_bad_ones")
    ([], [])
    """
    part = unicodedata.normalize("NFC", part)
    within = _SAYS_WITHIN.findall(part) + [match[match.lastindex] for match in _TAGS.finditer(part)]
    part = "".join(c for c in unicodedata.normalize("NFD", part) if not unicodedata.combining(c))
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", part)
    tokens = [token.lower() for token in re.findall(r"[^\W\d_]+", split)]
    around = ["", *tokens, ""]
    within += [" ".join(pair) for pair in itertools.pairwise(tokens) if pair in _NEGATED]
    return within + [
        word
        for before, word, after in zip(around, tokens, around[2:], strict=False)
        if _SAYS.fullmatch(word) and before not in _NOT_BEFORE and after not in _NOT_AFTER
    ]


def _unlabelled_test_clip(path: Path) -> bool:
    """Tell whether a file name is that of a test clip of DCASE without a label."""
    try:
        name = file_names.parse(path.parent.name, path.name)
    except AsdError:
        try:
            name = file_names.parse("test", path.name)  # in a folder of another name
        except AsdError:
            return False
        if name.grammar == 2020:  # its names do not tell training from test clips
            return False
    return name.split == "test" and name.label == "unknown"
