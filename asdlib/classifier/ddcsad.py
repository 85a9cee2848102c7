"""Compute the loss of deep double-centroids semi-supervised anomaly detection (DDCSAD), Sec. 2.2 and reference 6.

The paper states the name of the loss and its aim, to "minimize the within-class variance and maximize the between-class
variance in the feature space", but not its equation. Ours applies Deep SAD (Ruff et al., 2020) twice, see
:class:`Ddcsad`.
"""

import torch
from torch import Tensor, nn


class Ddcsad(nn.Module):
    r"""Loss that pulls each embedding to the centroid of its class and pushes it away from that of the other class.

    With :math:`d_k = \lVert z - c_k \rVert^2 / D`, centroids :math:`c_n` (normal) and :math:`c_o` (outlier), and label
    :math:`y` = 1 for normal, 0 for outlier, and in between with Mixup, the loss of a batch is the mean of

    .. math:: y \left(d_n + \frac{\eta}{d_o + \epsilon}\right)
              + (1 - y) \left(d_o + \frac{\eta}{d_n + \epsilon}\right).

    The centroids are not parameters but class means, weighted by the labels: of an initial pass (``fixed``), of the
    previous epoch (``epoch``), or a moving average over the batches (``average``). They and the weight of the loss,
    which may be derived from the first batches, are buffers, so that checkpoints and model files include them.

    Args:
        dimensions: D, length of an embedding.
        settings: :class:`asdlib.params.classifier.Ddcsad`.
        epoch_steps: Steps per epoch, for the rule ``epoch``.
    """

    def __init__(self, dimensions: int, settings, epoch_steps: int = 1):
        super().__init__()
        self.eta, self.epsilon = settings.eta, settings.epsilon
        self.rule, self.momentum, self.epoch_steps = settings.centroids, settings.momentum, epoch_steps
        balanced = settings.weight == "balanced"
        self.register_buffer("weight", torch.tensor(1.0 if balanced else float(settings.weight)))
        self.register_buffer("centroids", torch.zeros(2, dimensions))
        self.register_buffer("sums", torch.zeros(2, dimensions))  # of the current epoch
        self.register_buffer("weights", torch.zeros(2))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def distances(self, embedding: Tensor) -> Tensor:
        """Return the mean squared distances (batch, 2) of embeddings (batch, D) to the outlier and the normal centroid.

        They are computed in the precision of the centroids, not of autocast, because differences of close numbers need
        it.
        """
        difference = embedding.to(self.centroids.dtype).unsqueeze(1) - self.centroids
        return difference.square().mean(2)

    def forward(self, embedding: Tensor, label: Tensor) -> Tensor:
        """Return the scalar loss of embeddings (batch, D) with labels (batch,) in 0 to 1."""
        outlier, normal = self.distances(embedding).unbind(1)
        push = self.eta / (self.epsilon + outlier), self.eta / (self.epsilon + normal)
        return (label * (normal + push[0]) + (1 - label) * (outlier + push[1])).mean()

    @torch.no_grad()
    def collect(self, embedding: Tensor, label: Tensor) -> None:
        """Add a batch to the class means that will become the centroids in :meth:`replace`."""
        share = torch.stack([1 - label, label]).to(self.sums.dtype)  # (2, batch)
        self.sums = self.sums + (share.unsqueeze(2) * embedding.to(self.sums.dtype)).sum(1)
        self.weights = self.weights + share.sum(1)

    @torch.no_grad()
    def replace(self) -> None:
        """Replace the centroids of classes that occurred by the collected class means, and reset the collection."""
        means = self.sums / self.weights.clamp(min=1e-6).unsqueeze(1)
        self.centroids = torch.where(self.weights.unsqueeze(1) > 0, means, self.centroids)
        self.sums, self.weights = torch.zeros_like(self.sums), torch.zeros_like(self.weights)

    @torch.no_grad()
    def observe(self, embedding: Tensor, label: Tensor) -> None:
        """Update the centroids after a training step, according to the rule."""
        if self.rule == "fixed":
            return
        self.collect(embedding, label)
        self.steps = self.steps + 1
        before, sums, weights = self.centroids, self.sums, self.weights
        self.replace()
        if self.rule == "average":
            self.centroids = self.momentum * before + (1 - self.momentum) * self.centroids
        else:  # a condition in Python would have to wait for a GPU
            ended = self.steps % self.epoch_steps == 0
            self.centroids = torch.where(ended, self.centroids, before)
            self.sums, self.weights = torch.where(ended, self.sums, sums), torch.where(ended, self.weights, weights)
