"""Test the classifier's network: input, embedding and logit as in the paper, losses, weights, memory layout."""

import copy

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from classifier_clips import RATE
from safetensors.torch import save_file

from asdlib import params, training
from asdlib.classifier.feature_extraction import backbone
from asdlib.classifier.model import Classifier, TrainedClassifier
from asdlib.compute import Compute
from asdlib.errors import ModelError
from asdlib.features import LogMel

SAMPLES = 31 * 128


def branch(**values) -> params.Classifier:
    plain = {"features": {"n_fft": 256, "hop_length": 128, "n_mels": 32}, "model": {"backbone": "test_resnet"}}
    return params.Classifier.model_validate(params.merge(plain, values))


def make(normalisation=(0.01, 0.2), **values) -> Classifier:
    torch.manual_seed(0)
    return Classifier(branch(**values), RATE, normalisation)


def waveform(batch: int = 4) -> torch.Tensor:
    return 0.2 * torch.randn(batch, SAMPLES, generator=torch.Generator().manual_seed(0))


def test_the_image_is_the_log_mel_of_the_normalised_waveform():
    image = make().image(waveform())
    expected = LogMel(branch().features, RATE)((waveform() - 0.01) / 0.2)
    assert image.shape == (4, 1, 32, 32)
    torch.testing.assert_close(image[:, 0].mT, expected)


def test_embedding_and_logit():
    model = make().eval()
    with torch.no_grad():
        embedding, logit = model(waveform())
        features = model.backbone.forward_features(
            model.image_norm(model.image(waveform()))
        )  # (batch, D, height, width)
    torch.testing.assert_close(embedding, features.mean(3).mean(2))
    weight, bias = model.fully_connected.weight[0], model.fully_connected.bias[0]
    torch.testing.assert_close(logit, (embedding.clamp(min=0) * weight).sum(1) + bias)


def test_a_clip_is_judged_by_itself():
    model = make().eval()
    with torch.no_grad():
        together = model(waveform())
        alone = [model(clip[None]) for clip in waveform()]
    torch.testing.assert_close(together.logit, torch.cat([output.logit for output in alone]), rtol=1e-4, atol=1e-5)


def test_dropout_is_before_the_fully_connected_layer_only():
    model = make(model={"dropout": 1.0}).train()
    first, second = model(waveform()), model(waveform())
    assert torch.equal(first.embedding, second.embedding)
    assert torch.equal(first.logit, model.fully_connected.bias.expand(4))


def test_outputs_are_float32_under_autocast():
    model = make().eval()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        embedding, logit = model(waveform())
    assert embedding.dtype == logit.dtype == torch.float32
    assert not torch.equal(logit, logit.bfloat16().float())


def test_losses_add_up_and_can_be_turned_off():
    label = torch.tensor([1.0, 0.0, 0.3, 1.0])
    model = make(arcface={"weight": 0.5}, ddcsad={"weight": 2.0}, model={"dropout": 0.0})
    before = model.ddcsad.centroids.clone()
    parts = model.losses(waveform(), label)
    assert list(parts) == ["loss", "bce", "ddcsad", "arcface"]
    torch.testing.assert_close(parts["loss"], parts["bce"] + 2 * parts["ddcsad"] + 0.5 * parts["arcface"])
    posterior = torch.sigmoid(model(waveform()).logit)
    torch.testing.assert_close(parts["bce"], F.binary_cross_entropy(posterior, label))
    assert not torch.equal(model.ddcsad.centroids, before)
    plain = make(ddcsad={"weight": 0.0}, origin="extension")
    assert list(plain.losses(waveform(), label)) == ["loss", "bce"]
    assert not any("arcface" in name for name in plain.state_dict())
    assert plain.ddcsad.centroids.abs().sum() > 0  # the score needs them all the same


def test_parameter_groups_hold_every_parameter_once():
    model = make(arcface={"weight": 0.5})
    groups = model.groups(5e-4, 1e-3)
    held = [id(value) for group in groups for value in group["params"]]
    assert sorted(held) == sorted(id(value) for value in model.parameters())
    assert [group["lr"] for group in groups] == [5e-4, 1e-3]
    assert {id(value) for value in groups[1]["params"]} >= {
        id(model.fully_connected.weight),
        id(model.arcface.directions),
    }


def test_convolutions_are_channels_last():
    weights = [value for value in make().backbone.parameters() if value.ndim == 4 and value.shape[1] > 1]
    assert weights and all(value.is_contiguous(memory_format=torch.channels_last) for value in weights)


def test_load_gives_the_same_network(tmp_path):
    model = make(arcface={"weight": 0.5}).train()
    model.losses(waveform(), torch.tensor([1.0, 0.0, 0.0, 1.0]))
    tensors = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(tensors, tmp_path / "model.safetensors")
    compute = Compute(torch.device("cpu"), "float32", 1)
    loaded = TrainedClassifier.load(tmp_path / "model.safetensors", branch(arcface={"weight": 0.5}), RATE, compute)
    with torch.no_grad():
        assert torch.equal(loaded.network(waveform()).logit, model.eval()(waveform()).logit)
    assert torch.equal(loaded.network.ddcsad.centroids, model.ddcsad.centroids)


def test_pretrained_weights_from_a_local_file(tmp_path):
    torch.manual_seed(1)
    colour = timm.create_model("test_resnet", num_classes=10)  # three channels and another classifier, as on ImageNet
    save_file({name: value.contiguous() for name, value in colour.state_dict().items()}, tmp_path / "w.safetensors")
    grey, given = backbone("test_resnet", str(tmp_path / "w.safetensors")).state_dict(), colour.state_dict()
    first = next(name for name, value in given.items() if value.ndim == 4)
    torch.testing.assert_close(grey[first], given[first].sum(1, keepdim=True))
    assert all(torch.equal(grey[name], given[name]) for name in grey if name != first)


def test_clear_errors(tmp_path, monkeypatch):
    with pytest.raises(ModelError, match=r"timm has no model 'resnet43'; did you mean .*resnet34"):
        backbone("resnet43", False)
    with pytest.raises(ModelError, match=r"nowhere.safetensors does not exist"):
        backbone("test_resnet", str(tmp_path / "nowhere.safetensors"))
    (tmp_path / "w.pth").write_bytes(b"")
    with pytest.raises(ModelError, match=r"w.pth is not a safetensors file"):
        backbone("test_resnet", str(tmp_path / "w.pth"))
    (tmp_path / "w.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelError, match=r"weights of test_resnet could not be loaded .*check the file"):
        backbone("test_resnet", str(tmp_path / "w.safetensors"))
    tokens = make(model={"backbone": "test_vit"}, features={"n_mels": 160, "n_fft": 4096})
    with pytest.raises(ModelError, match=r"expected a convolutional network's"):
        tokens(0.2 * torch.randn(1, 159 * 128))

    def unreachable(*arguments, **options):
        raise OSError("no route to host")

    monkeypatch.setattr(timm, "create_model", unreachable)
    with pytest.raises(ModelError, match=r"could not be loaded \(OSError: no route to host\); download them to a"):
        backbone("test_resnet", True)


def test_number_of_parameters():
    model = make()
    sizes = [np.prod(value.shape) for value in model.parameters()]
    assert training.count_parameters(model) == sum(sizes) > 100_000


@pytest.mark.slow
def test_the_fast_path_trains_like_float32_in_the_usual_layout():
    """Compare bfloat16 and channels last with float32 and the order batch, channels, height, width."""
    fast = make(model={"dropout": 0.0}).train()
    plain = copy.deepcopy(fast).to(memory_format=torch.contiguous_format)
    wave, label = waveform(16), torch.tensor([1.0, 0.0] * 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = fast(wave).embedding
        fast.losses(wave, label)["loss"].backward()
    exact = plain(wave).embedding
    plain.losses(wave, label)["loss"].backward()
    # 8 bits of mantissa through a dozen layers: 3 % of the embeddings' norm, 20 % of the gradient's.
    assert (rough - exact).norm() < 0.03 * exact.norm()
    gradients = [torch.cat([value.grad.flatten() for value in net.backbone.parameters()]) for net in (fast, plain)]
    assert (gradients[0] - gradients[1]).norm() < 0.2 * gradients[1].norm()
