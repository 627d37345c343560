"""Which networks there are: their settings, the presets, and the one function that builds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn

from engine.errors import SwahrError
from engine.hrnet import HigherHRNet
from grouping import COCO17, CROWDPOSE14, Skeleton


@dataclass(frozen=True)
class NetworkConfig:
    """What a network looks like and how it is meant to be used.

    name: what the preset is called.
    trunk: "hrnet" (the paper's) or "mobile" (a slim one for live use on a CPU).
    width: channels of the features at 1/4 of the input.
    input_size: pixels of the input's short side, a multiple of 64.
    detection_threshold: a keypoint's least heatmap value, 0 to 1.
    skeleton: what its keypoints are, and with that their number K.
    scale_branch: whether the network predicts alphas; without it they are all 0.
    mean, std: normalisation of R, G, B on the scale 0 to 1 that its weights were made with.
    dilations: of HRNet's four residual blocks at 1/2 of the input (Table 7).
    """

    name: str
    trunk: Literal["hrnet", "mobile"]
    width: int
    input_size: int
    detection_threshold: float
    skeleton: Skeleton = COCO17
    scale_branch: bool = True
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    dilations: tuple[int, int, int, int] = (1, 1, 1, 1)

    def __post_init__(self) -> None:
        if self.trunk not in ("hrnet", "mobile"):
            raise SwahrError(f"The network {self.name!r} has the trunk {self.trunk!r}; it must be 'hrnet' or 'mobile'.")
        if min(self.dilations) < 1 or (self.trunk != "hrnet" and max(self.dilations) > 1):
            raise SwahrError(
                f"The network {self.name!r} has the dilations {list(self.dilations)}; they must be 1 or more, and are "
                "for HRNet's four blocks at 1/2 only."
            )

    @property
    def num_keypoints(self) -> int:
        """K."""
        return self.skeleton.num_keypoints


PRESETS: dict[str, NetworkConfig] = {
    config.name: config
    for config in (
        # MoveNet maps 0..255 to -1..1.
        NetworkConfig(
            "default",
            "mobile",
            width=32,
            input_size=384,
            detection_threshold=0.33,
            mean=(0.5,) * 3,
            std=(0.5,) * 3,
        ),
        NetworkConfig("w32-512", "hrnet", width=32, input_size=512, detection_threshold=0.12),
        NetworkConfig("w48-640", "hrnet", width=48, input_size=640, detection_threshold=0.1),
        NetworkConfig(
            "w48-640-crowdpose",
            "hrnet",
            width=48,
            input_size=640,
            detection_threshold=0.1,
            skeleton=CROWDPOSE14,
        ),
    )
}


def preset_config(preset: str | NetworkConfig) -> NetworkConfig:
    """The settings of a preset by its name; settings pass through. Raises SwahrError for an unknown name."""
    if isinstance(preset, NetworkConfig):
        return preset
    if preset not in PRESETS:
        raise SwahrError(f"There is no preset {preset!r}; choose one of {', '.join(PRESETS)}.")
    return PRESETS[preset]


def build_network(preset: str | NetworkConfig) -> nn.Module:
    """A freshly initialised network for a preset's name or for settings of your own.

    Its forward takes float32 [N, 3, H, W], normalised, sides multiples of 64, and returns, coarse to fine,
    [N, K alphas | K heatmaps | K tags, H/4, W/4] and [N, K alphas | K heatmaps, H/2, W/2].
    Its attribute `config` holds the settings. Raises SwahrError for an unknown preset.
    """
    config = preset_config(preset)
    if config.trunk == "mobile":
        from engine.slim import SlimNetwork

        return SlimNetwork(config)
    return HigherHRNet(config)
