"""Let the reader hear the domain shift next to a fault, and say how large both are in each section."""

import pandas as pd
from detector_exercises import Answer
from tables import table

from asdlib.data import inspection
from asdlib.paths import Run
from asdlib.plots import sound

SHIFT, FAULT = COLUMNS = ("shift", "fault, source")
"""of :func:`asdlib.data.inspection.differences`"""


def heard(run: Run, settings, machine: str) -> str:
    """Players of a normal source clip, a normal target clip and a fault; then the size of shift and fault by section."""
    examples = inspection.across_domains(settings, machine)
    html = f"""```{{raw}} html
<span id="shift-sounds"></span>
<div class="scrolls">{sound.players(examples).data}</div>
```

"""
    found = sizes(settings)
    return f"(shift-sounds)=\n\n{html}{_caption(machine, examples)}\n\n{_sentences(found, machine)}"


def sizes(settings) -> pd.DataFrame:
    """The shift of each section with both domains and the size of its faults in the source, in dB."""
    apart = inspection.differences(inspection.spectra(settings))
    return apart.reindex(columns=COLUMNS).dropna().sort_index()


def _caption(machine: str, examples: list) -> str:
    names = ", ".join(f"*{example.title}*" for example in examples)
    return (
        f"Clips of one section of {machine}, all amplified alike: {names}. Each normal clip is the nearest to the "
        "average spectrum of its domain, the fault the farthest from that of the source."
    )


def _sentences(found: pd.DataFrame, machine: str) -> str:
    """How large shift and fault are in each section of a machine type."""
    own = found[found.index.get_level_values("machine") == machine]
    if own.empty:
        return "This run has no section with clips of both domains, so that no shift can be measured."
    lines = [
        f"* section {section}: the shift is {row[SHIFT]:.2f} dB, the fault {row[FAULT]:.2f} dB in the source;"
        for (_, section), row in own.iterrows()
    ]
    lines[-1] = lines[-1].removesuffix(";") + "."
    return (
        f"How large is the shift of {machine} next to its faults? As mean absolute difference of average spectra over "
        "the mel bands:\n\n" + "\n".join(lines) + "\n\nThe shift is the difference of the normal clips of both "
        "domains, the fault that of anomalous and normal clips. The latter is small where faults live in time, since "
        "the average over time and clips hardly shows these."
    )


def exercise(run: Run, settings, machine: str) -> Answer:
    """In which sections the shift is larger than the fault."""
    found = sizes(settings)
    if found.empty:
        return "", "**So no section can tell: this run has none with clips of both domains.**"
    larger = found[SHIFT] > found[FAULT]
    rows = [
        (name, section, f"{row[SHIFT]:.2f}", f"{row[FAULT]:.2f}", f"{row[SHIFT] / row[FAULT]:.1f}")
        for (name, section), row in found.iterrows()
    ]
    columns = ["Machine", "Section", "Shift, dB", "Fault, dB", "Shift / fault"]
    caption = "Average spectra of test clips: the shift of normal clips, and the faults in the source."
    shown = table(pd.DataFrame(rows, columns=columns), caption, "shift-and-fault", "llrrr")
    ratio = found[SHIFT] / found[FAULT]
    most = "section {1} of {0}".format(*ratio.idxmax())
    if larger.all():
        where = f"in every one of the {len(found)} sections"
    elif larger.any():
        names = ", ".join(f"section {section} of {name}" for name, section in found.index[larger])
        where = f"in {larger.sum()} of {len(found)} sections ({names})"
    else:
        where = f"in none of the {len(found)} sections"
    return (
        "",
        f"{shown}\n**So the shift is larger than the fault {where}, most of all in {most}: {ratio.max():.1f} times.**",
    )
