"""Define the rows of Table 1 that choose or combine, in two blocks, and the systems from which each may choose.

The *paper's* block chooses only from the paper's systems: candidates and variants of scores that are both marked as
the paper's (:mod:`asdlib.origin`). Its row BC takes only candidates with the profile's first backbone, as the paper's
does (ResNet34). The block of *extensions* has names of its own and chooses from all systems, the paper's included: it
shows what the same procedure gives when our extensions may be chosen, too. A branch without any extension has no row
in that block, since it would repeat the paper's.
"""

from dataclasses import dataclass

from asdlib import origin
from asdlib.origin import BRANCHES

MIX, MAX, MIX_PLUS = "AE+BC ensemble (mix)", "AE+BC ensemble (max)", "mix+"


@dataclass(frozen=True)
class Block:
    """Names of the rows of one block."""

    origin: str
    """:data:`asdlib.origin.PAPER` or :data:`asdlib.origin.EXTENSION`"""
    single: dict[str, str]
    """the row that shows one system, by branch"""
    ensemble: dict[str, str]
    """the row that combines several systems, by branch"""
    mix: str
    """the row that averages both ensembles"""
    maximum: str = ""
    """the row for whichever ensemble scores better on the visible labels; empty if the block has none"""

    @property
    def rows(self) -> tuple[str, ...]:
        """All rows of the block, in the order of the table."""
        names = (*self.single.values(), *self.ensemble.values(), self.mix, self.maximum)
        return tuple(name for name in names if name)

    def eligible(self, settings, branch: str, systems: list[str], single: bool = False) -> list[int]:
        """Return the indices of the systems that the block's rows of a branch may choose from.

        Args:
            settings: :class:`asdlib.params.settings.Settings`.
            branch: ``autoencoder`` or ``classifier``.
            systems: ``<branch>/<candidate>/<variant>``, in the order of the settings.
            single: Whether it is for the row of one system, instead of the ensemble's.
        """
        origins = [origin.of_system(settings, system) for system in systems]
        if self.origin == origin.EXTENSION:
            return list(range(len(systems))) if origin.EXTENSION in origins else []
        allowed = [k for k, one in enumerate(origins) if one == origin.PAPER]
        if single and branch == "classifier":
            first = settings.classifier.model.backbone
            backbones = [settings.candidate(branch, candidate_of(system)).model.backbone for system in systems]
            allowed = [k for k in allowed if backbones[k] == first]
        return allowed

    def defaults(self, settings, branch: str, systems: list[str], single: bool = False) -> list[int]:
        """Return the indices of the systems that the block uses by the selection ``fixed``, one per candidate.

        For the paper's block, this is the first paper variant of each paper candidate. For the extensions, it is the
        first extension variant of each extension candidate, or of each candidate if no candidate is an extension
        (:func:`asdlib.origin.first`).
        """
        variants: dict[str, dict[str, int]] = {}
        for k in self.eligible(settings, branch, systems, single):
            variants.setdefault(candidate_of(systems[k]), {})[systems[k].rsplit("/", 1)[1]] = k
        extensions = [name for name in variants if settings.candidate(branch, name).origin == origin.EXTENSION]
        names = extensions if self.origin == origin.EXTENSION and extensions else list(variants)
        return [variants[name][origin.first(branch, list(variants[name]), self.origin)] for name in names]


AE, BC, AE_ENSEMBLE, BC_ENSEMBLE = "AE", "BC", "AE ensemble", "BC ensemble"
AE_PLUS, BC_PLUS, AE_PLUS_ENSEMBLE, BC_PLUS_ENSEMBLE = "AE+", "BC+", "AE+ ensemble", "BC+ ensemble"
PAPER = Block(
    origin.PAPER,
    dict(zip(BRANCHES, (AE, BC), strict=True)),
    dict(zip(BRANCHES, (AE_ENSEMBLE, BC_ENSEMBLE), strict=True)),
    MIX,
    MAX,
)
EXTENSIONS = Block(
    origin.EXTENSION,
    dict(zip(BRANCHES, (AE_PLUS, BC_PLUS), strict=True)),
    dict(zip(BRANCHES, (AE_PLUS_ENSEMBLE, BC_PLUS_ENSEMBLE), strict=True)),
    MIX_PLUS,
)
BLOCKS = (PAPER, EXTENSIONS)
ROWS = PAPER.rows
"""rows of the paper's block that choose, named as printed"""
EXTENSION_ROWS = EXTENSIONS.rows
"""rows of our extensions that choose"""


def candidate_of(system: str) -> str:
    """Return the candidate's name in ``<branch>/<candidate>/<variant>``.

    >>> candidate_of("autoencoder/base/median")
    'base'
    """
    return system.split("/")[1]
