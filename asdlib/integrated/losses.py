"""Compute the losses of both heads, and weight them so that each has its share of the encoder's gradient."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asdlib.classifier.arcface import with_margin

NAMES = ("reconstruction", "outlier", "section", "ddcsad")
MARGIN, SCALE = 0.2, 16.0
"""of ArcFace over the sections; smaller than for two classes, since sections of one machine type may sound alike"""
ETA, EPSILON, MOMENTUM = 1.0, 0.1, 0.95
"""of DDCSAD, as in the classifier of a short profile"""


class SectionArcFace(nn.Module):
    """Additive angular margin loss (Deng et al., 2019) over the sections of a machine type."""

    def __init__(self, dimensions: int, sections: int):
        super().__init__()
        self.directions = nn.Parameter(nn.init.xavier_uniform_(torch.empty(sections, dimensions)))

    def cosines(self, embedding: Tensor) -> Tensor:
        """Return the cosine between embeddings and each section's direction, ``(batch, sections)``, in float32."""
        directions, embedding = F.normalize(self.directions, dim=1), F.normalize(embedding.float(), dim=1)
        return (embedding[:, None] * directions).sum(2)

    def forward(self, embedding: Tensor, section: Tensor) -> Tensor:
        """Return the mean loss of embeddings ``(batch, dimensions)`` of sections ``(batch,)``."""
        cosine = self.cosines(embedding)
        harder = with_margin(cosine.gather(1, section[:, None]), MARGIN)
        return F.cross_entropy(SCALE * cosine.scatter(1, section[:, None], harder), section)


class SectionDdcsad(nn.Module):
    r"""DDCSAD (:mod:`asdlib.classifier.ddcsad`) with a centroid for each section and one, the last, for outliers.

    With :math:`d_k = \lVert z - c_k \rVert^2 / D`, a clip of section s with label :math:`y` (1 normal, 0 outlier, in
    between with Mixup) has the loss

    .. math:: y \left(d_s + \frac{\eta}{d_o + \epsilon}\right)
              + (1 - y) \left(d_o + \frac{\eta}{d_s + \epsilon}\right).
    """

    def __init__(self, dimensions: int, sections: int):
        super().__init__()
        self.register_buffer("centroids", torch.zeros(sections + 1, dimensions))
        self.register_buffer("seen", torch.zeros(sections + 1, dtype=torch.bool))

    def forward(self, embedding: Tensor, section: Tensor, label: Tensor) -> Tensor:
        """Return the mean loss of embeddings ``(batch, D)``, with sections and labels ``(batch,)``."""
        embedding = embedding.to(self.centroids.dtype)
        own = (embedding - self.centroids[section]).square().mean(1)
        outlier = (embedding - self.centroids[-1]).square().mean(1)
        normal_loss = own + ETA / (outlier + EPSILON)
        return (label * normal_loss + (1 - label) * (outlier + ETA / (own + EPSILON))).mean()

    @torch.no_grad()
    def observe(self, embedding: Tensor, section: Tensor, label: Tensor) -> None:
        """Move the centroids towards the class means of a batch, weighted by the labels."""
        embedding, classes = embedding.to(self.centroids.dtype), len(self.centroids)
        share = F.one_hot(section, classes) * label[:, None]
        share[:, -1] = 1 - label
        weight = share.sum(0)
        means = share.T @ embedding / weight.clamp(min=1e-6)[:, None]
        momentum = torch.where(self.seen, MOMENTUM, 0.0)[:, None]
        here = weight > 0
        self.centroids = torch.where(here[:, None], momentum * self.centroids + (1 - momentum) * means, self.centroids)
        self.seen = self.seen | here


class Balance(nn.Module):
    """Weight losses so that the norms of their gradients on shared parameters have given ratios.

    The norms are averaged over the batches given to :meth:`observe`; after that the weights are constants. They are
    buffers, so that a resumed training has the same.

    Args:
        shares: Ratio of each loss; the loss of the largest share has the weight 1.
    """

    def __init__(self, shares: dict[str, float]):
        super().__init__()
        self.names = list(shares)
        self.register_buffer("shares", torch.tensor([shares[name] for name in self.names]))
        self.register_buffer("norms", torch.zeros(len(shares)))
        self.register_buffer("batches", torch.zeros(()))

    def observe(self, losses: dict[str, Tensor], parameters: list[nn.Parameter]) -> None:
        """Add the gradient norms of a batch, ``losses`` by name; a loss without a share is not differentiated."""
        norms = []
        for name, share in zip(self.names, self.shares.tolist(), strict=True):
            used = share > 0 and losses[name].requires_grad
            found = torch.autograd.grad(losses[name], parameters, retain_graph=True, allow_unused=True) if used else []
            squares = [gradient.float().square().sum() for gradient in found if gradient is not None]
            norms.append(torch.stack(squares).sum().sqrt() if squares else self.norms.new_zeros(()))
        self.norms = self.norms + torch.stack(norms).detach()
        self.batches = self.batches + 1

    @property
    def weights(self) -> Tensor:
        """Weight of each loss, in the order of the names; 0 for a loss without share or gradient."""
        used = (self.shares > 0) & (self.norms > 0)
        raw = torch.where(used, self.shares / self.norms.clamp(min=1e-12), 0.0)
        first = raw[self.shares.argmax()]
        return raw / torch.where(first > 0, first, 1.0)

    def forward(self, losses: dict[str, Tensor]) -> Tensor:
        """Return the weighted sum of ``losses``."""
        return (torch.stack([losses[name].float() for name in self.names]) * self.weights).sum()
