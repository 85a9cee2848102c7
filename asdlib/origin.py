"""Which scores are the paper's and which are our extensions: the one list that selection, table and claims read.

A row of Table 1 that carries the paper's name chooses only from systems whose candidate *and* whose variant of scores
are the paper's. A candidate states its origin in its settings (``origin``); a variant has its origin here.
"""

PAPER, EXTENSION = "paper", "extension"

EXTENSION_VARIANTS = {
    "autoencoder": ("clip_signed", "l1"),
    "classifier": ("source_model", "mahalanobis", "source_mahalanobis", "posterior", "distance"),
}
"""by branch: variants of scores that the paper does not describe; every other variant is the paper's"""


def of_variant(branch: str, variant: str) -> str:
    """Return the origin of a variant of scores.

    Args:
        branch: ``autoencoder`` or ``classifier``.
        variant: Name in the branch's ``scorer.variants``.

    >>> of_variant("autoencoder", "median"), of_variant("classifier", "mahalanobis")
    ('paper', 'extension')
    """
    return EXTENSION if variant in EXTENSION_VARIANTS[branch] else PAPER


def first(branch: str, variants: list[str], origin: str) -> str:
    """Return the variant that is used without labels: the first of an origin, or of all where none is of it.

    >>> first("autoencoder", ["median", "clip_signed"], EXTENSION)
    'clip_signed'
    """
    return next((name for name in variants if of_variant(branch, name) == origin), variants[0])


def of_system(settings, system: str) -> str:
    """Return the origin of a system: the paper's only if both its candidate and its variant are.

    Args:
        settings: :class:`asdlib.params.Settings`.
        system: ``<branch>/<candidate>/<variant>``.
    """
    branch, candidate, variant = system.split("/")
    if settings.candidate(branch, candidate).origin == EXTENSION:
        return EXTENSION
    return of_variant(branch, variant)
