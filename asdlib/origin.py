"""List which scores are the paper's and which are our extensions, for selection, Table 1 and claims.

A row of Table 1 with the paper's name chooses only from systems whose candidate *and* score variant are both
the paper's. A candidate states its origin in its settings (``origin``); the origin of a variant is defined here.
"""

BRANCHES = ("autoencoder", "classifier")
PAPER, EXTENSION = "paper", "extension"

EXTENSION_VARIANTS = {
    "autoencoder": ("clip_signed", "l1"),
    "classifier": ("mahalanobis", "source_mahalanobis", "source_model", "posterior", "distance"),
}
"""score variants that the paper does not describe, by branch; every other variant is the paper's

By the selection ``fixed``, the rows of the extensions use the first of them.
"""


def of_variant(branch: str, variant: str) -> str:
    """Return the origin of a score variant.

    Args:
        branch: ``autoencoder`` or ``classifier``.
        variant: Name in the branch's ``scorer.variants``.

    >>> of_variant("autoencoder", "median"), of_variant("classifier", "mahalanobis")
    ('paper', 'extension')
    """
    return EXTENSION if variant in EXTENSION_VARIANTS[branch] else PAPER


def first(branch: str, variants: list[str], origin: str) -> str:
    """Return the variant that the selection ``fixed`` uses.

    For the paper it is the first of the paper's variants in the settings, for extensions the first of
    :data:`EXTENSION_VARIANTS` that is in the settings; if there is no variant of that origin, it is the first one.

    >>> first("autoencoder", ["median", "l1", "clip_signed"], EXTENSION)
    'clip_signed'
    """
    if origin == EXTENSION:
        return next((name for name in EXTENSION_VARIANTS[branch] if name in variants), variants[0])
    return next((name for name in variants if of_variant(branch, name) == origin), variants[0])


def of_system(settings, system: str) -> str:
    """Return the origin of a system, which is the paper only if both its candidate and its variant are the paper's.

    Args:
        settings: :class:`asdlib.params.settings.Settings`.
        system: ``<branch>/<candidate>/<variant>``.
    """
    branch, candidate, variant = system.split("/")
    if settings.candidate(branch, candidate).origin == EXTENSION:
        return EXTENSION
    return of_variant(branch, variant)
