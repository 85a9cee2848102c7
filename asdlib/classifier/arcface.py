"""Compute ArcFace (Deng et al., 2019), the additional loss of Sec. 2.2, on the two classes normal and outlier."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ArcFace(nn.Module):
    r"""Additive angular margin loss between the embeddings and one learned direction per class.

    With :math:`\theta_k` the angle between an embedding and the direction of class k, the loss for class k is

    .. math:: -\log \frac{e^{s \cos(\theta_k + m)}}{e^{s \cos(\theta_k + m)} + e^{s \cos \theta_j}}, \quad j \ne k.

    Under Mixup it is the mean of both classes' losses, weighted by the label.

    Args:
        dimensions: Length of an embedding.
        settings: :class:`asdlib.params.classifier.ArcFace`.
    """

    def __init__(self, dimensions: int, settings):
        super().__init__()
        self.scale, self.margin = settings.scale, settings.margin
        self.directions = nn.Parameter(nn.init.xavier_uniform_(torch.empty(2, dimensions)))  # the index is the label

    def forward(self, embedding: Tensor, label: Tensor) -> Tensor:
        """Return the scalar loss of embeddings (batch, dimensions) with labels (batch,) in 0 to 1 (1 = normal)."""
        embedding = embedding.to(self.directions.dtype)
        # No matrix product, which autocast would compute in bfloat16, too coarse for a cosine scaled by 30.
        directions = F.normalize(self.directions, dim=1)
        cosine = (F.normalize(embedding, dim=1).unsqueeze(1) * directions).sum(2)  # (batch, 2)
        harder = with_margin(cosine, self.margin)
        # With two classes, the loss of class k is softplus(s (cos of the other - cos with margin of k)).
        outlier, normal = F.softplus(self.scale * (cosine.flip(1) - harder)).unbind(1)
        return (label * normal + (1 - label) * outlier).mean()


def with_margin(cosine: Tensor, margin: float) -> Tensor:
    r"""Return :math:`\cos(\theta + m)` for cosines of :math:`\theta`, of any shape, and the margin m in radians.

    Beyond :math:`\theta = \pi - m`, where it would rise again, it continues as :math:`\cos \theta - m \sin m`, as in
    the authors' description, so that a larger angle always costs more.
    """
    sine = (1 - cosine.square()).clamp(min=1e-12).sqrt()
    return torch.where(
        cosine > math.cos(math.pi - margin),
        cosine * math.cos(margin) - sine * math.sin(margin),
        cosine - margin * math.sin(margin),
    )
