"""How many candidates of the paper a run offers to each ensemble, and so which numbers N of members were possible."""

from asdlib import origin

BRANCHES = ("autoencoder", "classifier")


def values(settings) -> dict[str, str]:
    """Return texts for prose: candidates by branch, the sizes N of the settings, and those that were possible."""
    counts = {branch: len(names(settings, branch)) for branch in BRANCHES}
    texts = {branch: str(count) for branch, count in counts.items()}
    return texts | {"possible": possible(settings.ensemble.sizes, counts["autoencoder"])}


def names(settings, branch: str) -> list[str]:
    """Return the paper's candidates of a branch."""
    candidates = getattr(settings, f"{branch}_candidates")
    return [name for name in candidates if settings.candidate(branch, name).origin == origin.PAPER]


def backbones(settings) -> set[str]:
    """Return the architectures of the paper's classifiers."""
    return {settings.candidate("classifier", name).model.backbone for name in names(settings, "classifier")}


def possible(sizes: list[int], candidates: int) -> str:
    """Return which sizes N an ensemble of so many candidates can have, in words.

    >>> possible([3, 5, 10], 6), possible([3, 5], 3), possible([3, 5], 2)
    ('N = 3 or 5', 'only N = 3', 'none of them, so all are combined')
    """
    fit = [str(size) for size in sizes if size <= candidates]
    if len(fit) < 2:
        return f"only N = {fit[0]}" if fit else "none of them, so all are combined"
    return f"N = {', '.join(fit[:-1])} or {fit[-1]}"
