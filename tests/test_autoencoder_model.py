"""Test the section-aware autoencoder: shapes, options, what depends on the section, padding."""

import pytest
import torch
from safetensors.torch import load_model, save_model

from asdlib.autoencoder.model import Autoencoder
from asdlib.params import AutoencoderModel

MELS, SECTIONS = 10, 3
FLOAT32 = {"rtol": 1e-4, "atol": 1e-5}


def model(sections: int = SECTIONS, **changes) -> Autoencoder:
    torch.manual_seed(0)
    sizes = {"channels": 8, "heads": 2, "blocks": 2, "kernel": 3, "expansion": 2, "latent": 4, "dropout": 0.0}
    return Autoencoder(AutoencoderModel(**(sizes | changes)), MELS, sections).eval()


@pytest.mark.parametrize("embedding", ["none", "concatenate", "add"])
@pytest.mark.parametrize("latent", [0, 4])
@pytest.mark.parametrize("regression", [False, True])
def test_shapes_at_any_length(embedding, latent, regression):
    module = model(section_embedding=embedding, latent=latent, section_regression=regression)
    for batch, frames in ((1, 1), (2, 17)):
        features = torch.randn(batch, frames, MELS)
        section = torch.full((batch,), 2)
        output = module(features, section)
        assert output.shape == (batch, frames, MELS + regression)
        assert module.target(features, section).shape == output.shape


@pytest.mark.parametrize(
    ("options", "reaches"),
    [
        ({"section_input": False, "section_embedding": "none"}, False),
        ({"section_input": True, "section_embedding": "none"}, True),
        ({"section_input": False, "section_embedding": "concatenate"}, True),
        ({"section_input": False, "section_embedding": "add"}, True),
    ],
)
def test_the_section_reaches_the_output_by_each_way(options, reaches):
    module, features = model(**options), torch.randn(1, 5, MELS)
    first, second = module(features, torch.tensor([0])), module(features, torch.tensor([1]))
    assert torch.equal(first, second) is not reaches


def test_the_section_is_the_last_column_and_the_regressed_one():
    module, features = model(section_regression=True), torch.randn(3, 5, MELS)
    target = module.target(features, torch.tensor([0, 1, 2]))
    assert torch.equal(target[..., :-1], features)
    assert target[:, :, -1].unique(dim=1).flatten().tolist() == [-1.0, 0.0, 1.0]
    seen = []
    module.inward.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    module(features, torch.tensor([0, 1, 2]))
    assert torch.equal(seen[0], target)


def test_one_section_is_enough():
    assert model(sections=1)(torch.randn(2, 5, MELS), torch.zeros(2, dtype=torch.long)).shape == (2, 5, MELS + 1)


def test_nothing_passes_around_the_bottleneck():
    """If the bottleneck passes nothing, the output depends on the section only."""
    module = model()
    torch.nn.init.constant_(module.bottleneck[0].bias, -1e6)  # ReLU gives 0
    section = torch.tensor([1, 1])
    output = module(torch.randn(2, 7, MELS), section)
    torch.testing.assert_close(output[0], output[1], rtol=0, atol=0)


def test_batch_equals_single_and_padding_does_not_leak():
    module, section = model(), torch.tensor([0, 1, 2])
    features, lengths = torch.randn(3, 12, MELS), [12, 5, 9]
    valid = torch.arange(12) < torch.tensor(lengths)[:, None]
    features = torch.where(valid[..., None], features, 1e3)
    output = module(features, section, valid)
    for index, length in enumerate(lengths):
        alone = module(features[index : index + 1, :length], section[index : index + 1])
        torch.testing.assert_close(output[index, :length], alone[0], **FLOAT32)


def test_standardising_is_reversible():
    module, decibel = model(), 20 * torch.randn(2, 5, MELS) - 40
    module.deviation, module.mean = torch.std_mean(decibel, dim=(0, 1))
    features = module.standardise(decibel)
    torch.testing.assert_close(features.mean((0, 1)), torch.zeros(MELS), rtol=0, atol=1e-5)
    torch.testing.assert_close(features.std((0, 1)), torch.ones(MELS), rtol=1e-5, atol=0)
    torch.testing.assert_close(module.decibel(features), decibel, rtol=1e-5, atol=1e-4)


def test_the_file_holds_all_that_the_output_needs(tmp_path):
    module, other = model(), model()
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.is_floating_point():
                tensor.add_(torch.rand_like(tensor))
    save_model(module, str(tmp_path / "model.safetensors"))
    load_model(other, str(tmp_path / "model.safetensors"))
    decibel, section = torch.randn(2, 5, MELS), torch.tensor([0, 2])
    assert torch.equal(other(other.standardise(decibel), section), module(module.standardise(decibel), section))


def test_gradients_reach_every_parameter():
    module = model(section_regression=True).train()
    features, section = torch.randn(3, 9, MELS), torch.tensor([0, 1, 2])
    (module(features, section) - module.target(features, section)).abs().mean().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
        if not name.endswith("depthwise.bias"):  # the batch norm takes it away
            assert parameter.grad.abs().max() > 0, name
