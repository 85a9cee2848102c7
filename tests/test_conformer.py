"""Test the Conformer block against its equations in plain numpy, and its properties."""

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax

from asdlib.autoencoder.conformer import Attention, ConformerBlock

CHANNELS, HEADS, KERNEL, EXPANSION = 8, 2, 5, 3
FLOAT64 = {"rtol": 1e-9, "atol": 1e-9}
FLOAT32 = {"rtol": 1e-4, "atol": 1e-5}


def block(kernel: int = KERNEL, dropout: float = 0.0) -> ConformerBlock:
    torch.manual_seed(0)
    result = ConformerBlock(CHANNELS, HEADS, kernel, EXPANSION, dropout)
    with torch.no_grad():  # nothing may hide behind a default of 0 or 1
        for parameter in result.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
        norm = result.convolution.batch_norm
        norm.running_mean.copy_(0.3 * torch.randn(CHANNELS))
        norm.running_var.copy_(0.5 + torch.rand(CHANNELS))
    return result


def reference(module: ConformerBlock, x: np.ndarray, statistics: tuple[np.ndarray, np.ndarray] | None = None):
    """Compute the block in numpy, clip by clip, with plain loops; ``x`` is ``(frames, channels)``.

    ``statistics`` are batch norm's mean and variance; the running ones if none are given. Returns the output and what
    enters the batch norm.
    """
    weights = {name: value.double().numpy() for name, value in module.state_dict().items()}

    def norm(name, x):
        centred = x - x.mean(1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5)
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def linear(name, x):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def swish(x):
        return x * expit(x)

    def feed_forward(name, x):
        return linear(f"{name}.3", swish(linear(f"{name}.1", norm(f"{name}.0", x))))

    def attention(x):
        joint = linear("attention.inward", norm("attention.norm", x))
        query, key, value = np.split(joint, 3, axis=1)
        size, heads = CHANNELS // HEADS, []
        for head in range(HEADS):
            part = slice(head * size, (head + 1) * size)
            likeness = softmax(query[:, part] @ key[:, part].T / np.sqrt(size), axis=1)
            heads.append(likeness @ value[:, part])
        return linear("attention.outward", np.concatenate(heads, axis=1))

    def convolution(x):
        first, gate = np.split(linear("convolution.inward", norm("convolution.norm", x)), 2, axis=1)
        x = first * expit(gate)
        filters = weights["convolution.depthwise.weight"][:, 0, 0]  # (channels, kernel)
        half, mixed = filters.shape[1] // 2, np.zeros_like(x)
        for frame in range(len(x)):
            for tap in range(filters.shape[1]):
                if 0 <= frame + tap - half < len(x):
                    mixed[frame] += x[frame + tap - half] * filters[:, tap]
        mixed += weights["convolution.depthwise.bias"]
        mean, variance = statistics or (
            weights["convolution.batch_norm.running_mean"],
            weights["convolution.batch_norm.running_var"],
        )
        scaled = (mixed - mean) / np.sqrt(variance + 1e-5)
        scaled = scaled * weights["convolution.batch_norm.weight"] + weights["convolution.batch_norm.bias"]
        return linear("convolution.outward", swish(scaled)), mixed

    x = x + 0.5 * feed_forward("first", x)
    x = x + attention(x)
    moved, normed = convolution(x)
    x = x + moved
    x = x + 0.5 * feed_forward("second", x)
    return norm("norm", x), normed


def test_block_equals_its_equations():
    module = block().double().eval()
    x = torch.randn(3, 11, CHANNELS, dtype=torch.float64)
    expected = np.stack([reference(module, clip.numpy())[0] for clip in x])
    np.testing.assert_allclose(module(x).detach().numpy(), expected, **FLOAT64)


def test_training_statistics_are_those_of_the_valid_frames():
    module, lengths = block().double().train(), [11, 7]
    x = torch.randn(2, 11, CHANNELS, dtype=torch.float64)
    valid = torch.arange(11) < torch.tensor(lengths)[:, None]
    clips = [clip[:length].numpy() for clip, length in zip(x, lengths, strict=True)]
    normed = np.concatenate([reference(module, clip)[1] for clip in clips])
    statistics = (normed.mean(0), normed.var(0))
    output = module(x, valid).detach().numpy()
    for index, clip in enumerate(clips):
        np.testing.assert_allclose(output[index, : len(clip)], reference(module, clip, statistics)[0], **FLOAT64)


@pytest.mark.parametrize("training", [False, True])
def test_padding_does_not_leak(training):
    module = block().train(training)
    valid = torch.arange(12) < torch.tensor([12, 5])[:, None]
    x = torch.randn(2, 12, CHANNELS)
    other = torch.where(valid[..., None], x, 100 * torch.randn_like(x))
    torch.testing.assert_close(module(x, valid)[valid], module(other, valid)[valid], rtol=0, atol=0)


def test_padded_equals_unpadded():
    module = block().eval()
    x, valid = torch.randn(2, 12, CHANNELS), torch.arange(12) < torch.tensor([12, 5])[:, None]
    torch.testing.assert_close(module(x, valid)[1, :5], module(x[1:, :5])[0], **FLOAT32)


def test_batch_equals_single():
    module, x = block().eval(), torch.randn(5, 9, CHANNELS)
    torch.testing.assert_close(module(x)[3:4], module(x[3:4]), **FLOAT32)


def test_without_neighbours_the_order_of_frames_is_free():
    """With a kernel of one frame, only attention mixes frames, and it has no positional encoding."""
    module, x, order = block(kernel=1).eval(), torch.randn(1, 9, CHANNELS), torch.randperm(9)
    torch.testing.assert_close(module(x[:, order]), module(x)[:, order], **FLOAT32)
    module = block().eval()
    assert not torch.allclose(module(x[:, order]), module(x)[:, order], atol=1e-2)


def test_gradients_reach_every_parameter():
    module = block(dropout=0.1).train()
    module(torch.randn(2, 9, CHANNELS)).square().sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
        if name != "convolution.depthwise.bias":  # the batch norm takes it away
            assert parameter.grad.abs().max() > 1e-6, name


def test_bfloat16_is_near():
    module, x = block().eval(), torch.randn(2, 9, CHANNELS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = module(x).float()
    assert (rough - module(x)).abs().mean() < 0.03  # 8 bits of mantissa through some twenty operations


def test_attention_in_bfloat16_trains_like_float32():
    """On a CPU, training crops take another path than the fused attention in float32, with the same result."""
    module, x = Attention(CHANNELS, HEADS).train(), torch.randn(2, 9, CHANNELS)
    weight = module.inward.weight
    exact = module(x)
    (of_exact,) = torch.autograd.grad(exact.square().sum(), weight)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = module(x).float()
    (of_rough,) = torch.autograd.grad(rough.square().sum(), weight)
    # 8 bits of mantissa through five operations: 2 % of the values' norm, 5 % of the gradient's.
    assert (rough - exact).norm() < 0.02 * exact.norm()
    assert (of_rough - of_exact).norm() < 0.05 * of_exact.norm()
