"""Map embeddings to two dimensions by PCA and t-SNE, for the figures of notebook 06; no score uses this."""

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE


def project(table: pd.DataFrame, embedding: np.ndarray, seed: int, perplexity: float = 30.0) -> pd.DataFrame:
    """Map the embeddings to two dimensions by PCA and by t-SNE, for each section's models.

    Args:
        table: Table returned by :func:`asdlib.classifier.clip_outputs.read`.
        embedding: One embedding per row of ``table``.
        seed: Seed of t-SNE.
        perplexity: Perplexity of t-SNE; reduced to a third of the number of points if it is larger.

    Returns:
        ``table`` twice, with the columns ``method``, ``x`` and ``y``. PCA is fitted to the clips, and the centroids
        are projected. t-SNE cannot project points, so the centroids are two additional points there.
    """
    parts = []
    for _, part in table.groupby(["model", "stage"], sort=False):
        points, clips = embedding[part.index], (part["kind"] != "centroid").to_numpy()
        nearest = min(perplexity, (len(points) - 1) / 3)
        tsne = TSNE(2, perplexity=nearest, init="pca", max_iter=500, random_state=seed, n_jobs=1)
        places = {
            "PCA": PCA(2, random_state=seed).fit(points[clips]).transform(points),
            "t-SNE": tsne.fit_transform(points),
        }
        parts += [part.assign(method=name, x=xy[:, 0], y=xy[:, 1]) for name, xy in places.items()]
    return pd.concat(parts, ignore_index=True)
