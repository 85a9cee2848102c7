"""Create the feature extraction module, a network of PyTorch Image Models such as ResNet34 (Sec. 2.2)."""

import difflib

import timm
from torch import nn

from asdlib import paths
from asdlib.errors import ModelError


def backbone(name: str, pretrained: bool | str) -> nn.Module:
    """Create a timm network with one input channel and without its classification layer.

    Args:
        name: Name of a timm model.
        pretrained: False for random weights, true for weights that timm downloads, or a local safetensors file.

    Raises:
        ModelError: The model is unknown, or the weights do not exist, cannot be downloaded or do not fit.
    """
    if not timm.is_model(name):
        close = difflib.get_close_matches(name, timm.list_models(), n=3)
        hint = f"did you mean {', '.join(close)}?" if close else "timm.list_models() lists all"
        raise ModelError(f"classifier.model.backbone: timm has no model {name!r}; {hint}")
    options: dict = {"pretrained": bool(pretrained)}
    if isinstance(pretrained, str):
        file = paths.project_root() / pretrained
        if file.suffix != ".safetensors" or not file.is_file():
            found = "is not a safetensors file" if file.is_file() else "does not exist"
            raise ModelError(
                f"classifier.model.pretrained: {file} {found}; expected false, true or the path of a safetensors file"
            )
        options["pretrained_cfg_overlay"] = {"file": str(file)}
    try:
        return timm.create_model(name, in_chans=1, num_classes=0, **options)
    except Exception as error:
        if not pretrained:
            raise
        reason = " ".join(str(error).split())[:300]
        remedy = (
            "download them to a safetensors file and give its path here" if pretrained is True else "check the file"
        )
        raise ModelError(
            f"classifier.model.pretrained: the weights of {name} could not be loaded ({type(error).__name__}: "
            f"{reason}); {remedy}, or set it to false"
        ) from None
