"""The box below the title of every chapter: what its data are, and what made the numbers."""

import detector_found
import real
import real_systems
import shifts
import stored_results

from asdlib.atomic import read_json
from asdlib.errors import AsdError

ALSO = ". This page also shows stored results of other runs, and says where"
"""of pages that show more than the book's own run"""
MIXED = (
    *("claims", "cost", "did_not_work", "how_to_run", "index", "one_model", "reliability"),
    *("your_machine", "service"),
)
WITHOUT_FIGURES = (
    *("api", "audit", "computed", "cost", "data", "deviations", "how_to_run"),
    *("not_run", "paper", "references", "reliability", "service", "your_machine"),
)
"""pages that print no figure of merit of the run's clips, so that it does not matter who tuned on these"""


TUNED = real.TUNED[True]
"""of pages with figures of clips that the settings were tuned on"""


def of_chapter(name: str, stamp: str, facts: str, tuned: str = "") -> tuple[str, ...]:
    """Arguments of :func:`stamped` for a chapter: of the stored run that it shows, or of the book's run.

    Args:
        name: Of the chapter.
        stamp: What the data of the book's run are.
        facts: What made it.
        tuned: Whether its settings were tuned on its clips, for pages that print figures of these.
    """
    if name in real.PAGES:
        return *real.stamp(stored_results.REAL), "real-settings"
    if name == "ablations":
        return *real.stamp(stored_results.ABLATIONS), "ablations-settings"
    if name in real_systems.PAGES:
        return *real_systems.stamp(stored_results.SYSTEMS), "real-systems-made"
    if name in shifts.PAGES:
        return *shifts.stamp(stored_results.SHIFTS), "shifts-made"
    if name == "detector_tested":
        return *detector_found.stamp(stored_results.RESULTS / "detector"), "detector-made"
    warning = f". {tuned.strip().removesuffix('.')}" if tuned and name not in WITHOUT_FIGURES else ""
    return stamp + ALSO * (name in MIXED) + warning, facts


def tuned(settings) -> str:
    """What is known of the tuning of the run's settings, as a sentence; nothing but for clips of the stored run.

    Args:
        settings: Of the book's run.
    """
    record = read_json(stored_results.RESULTS / "demo" / "record.json")
    same = (
        settings.data.synthetic and settings.resolved()["data"]["synthetic"] == record["settings"]["data"]["synthetic"]
    )
    return f"{TUNED} " if same and record["settings_tuned_on_these_clips"] else ""


def stamped(text: str, stamp: str, facts: str, settings: str = "settings") -> str:
    """A page with a box below its title: what the data are; then what made the run, and a link to all that was set."""
    title, _, rest = text.partition("\n")
    if not title.startswith("# "):
        raise AsdError(f"a chapter begins with {title!r}; expected a title")
    words = "How this was made" if settings.endswith("-made") else "All settings"
    return f"{title}\n\n:::{{div}} stamp\n{stamp}.\n\n{facts} {{ref}}`{words} <{settings}>`.\n:::\n{rest}"
