"""Images in, people out: resize, network, aggregation, grouping, and back to the source image's pixels.

Letters: N images, P people, K keypoints, H W pixels of a source image, h w pixels of the network's input.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from engine import backends
from engine.aggregate import Maps, Outputs, aggregate
from engine.checkpoint import ModelMetadata, describes_itself, load_model, load_weights
from engine.errors import SwahrError
from engine.geometry import SIZE_STEP, Resize
from engine.gpu_grouping import GpuGrouping
from engine.models import find_model
from engine.network import NetworkConfig
from grouping import SKELETONS, GroupingOptions, People, group, group_outputs, start_warm_up
from grouping.sigmas import sigmas_of

PUBLISHED_OFFSET = 0.5  # see ModelMetadata.pixel_offset
LEAST_SIDE = 8
GREATEST_ASPECT = 20
INPUT_SIZES = range(64, 4097)
IMAGES_PER_RUN = 8  # on CUDA; a CPU gains little from more than one, and so answers exactly alike


class PoseEstimator:
    """Finds the people in images with one network.

    Made by `load`. Its attributes are for reading:
    model: the bundled model's name, or the weights file. metadata: what the weights say about themselves.
    backend, device, precision: what the network runs on, such as "eager", "cpu", "bfloat16".
    size: pixels of the input's short side. skeleton: what the K keypoints are. flip, scales: the test-time
    passes.
    options: the GroupingOptions in use; may be replaced at any time.
    """

    def __init__(
        self,
        network: nn.Module,
        metadata: ModelMetadata,
        *,
        model: str,
        device: str = "auto",
        backend: str = "auto",
        size: int | None = None,
        flip: bool = False,
        scales: Sequence[float] = (1.0,),
        options: GroupingOptions | None = None,
    ):
        self.model = model
        self.metadata = metadata
        self.size = _checked_size(metadata.input_size if size is None else size)
        self.flip = flip
        self.scales = _checked_scales(scales)
        self.skeleton = SKELETONS[metadata.skeleton]
        self.options = options or GroupingOptions(
            detection_threshold=metadata.detection_threshold, tag_threshold=metadata.tag_threshold
        )
        self.backend = backends.choose_backend(backend)
        self._device = choose_device(device)
        self._images_per_run = IMAGES_PER_RUN if self._device.type == "cuda" else 1
        self._network = network
        self._has_scale_branch = network.config.scale_branch
        self._gpu_grouping = GpuGrouping()
        self._ready_to_group = start_warm_up()
        self._compiled: dict[tuple[int, int, int, int], backends.CompiledNetwork] = {}
        # The mean and the spread of the pixel values 0 to 255.
        self._mean = torch.tensor(metadata.mean, device=self._device).view(1, 3, 1, 1) * 255
        self._spread = torch.tensor(metadata.std, device=self._device).view(1, 3, 1, 1) * 255
        self.precision = self._compiled_for((1, 3, self.size, self.size)).precision

    @classmethod
    def load(
        cls,
        model: str | Path = "default",
        *,
        preset: str | NetworkConfig | None = None,
        device: str = "auto",
        backend: str = "auto",
        size: int | None = None,
        flip: bool = False,
        scales: Sequence[float] = (1.0,),
        options: GroupingOptions | None = None,
    ) -> PoseEstimator:
        """An estimator with its weights loaded.

        model: a bundled model's name, or the path of a .safetensors or .pth file.
        preset: the network a file's weights belong to; not needed for this program's own files.
        device: "auto" (CUDA, else Apple's, else the CPU), "cpu", "cuda", "cuda:1", "mps".
        backend: "auto" or a backend's name.
        size: pixels of the input's short side, 64 to 4096, rounded up to a multiple of 64; the model's own if
        None.
        flip: run each image and its mirror image. scales: run each image at these sizes, 1 among them.
        options: how to group; by default with the model's own thresholds.
        Raises SwahrError in one sentence for whatever of this cannot be had.
        """
        network, metadata = _open_model(model, preset)
        return cls(
            network,
            metadata,
            model=str(model),
            device=device,
            backend=backend,
            size=size,
            flip=flip,
            scales=scales,
            options=options,
        )

    @property
    def device(self) -> str:
        return str(self._device)

    def __call__(self, image: NDArray[np.uint8]) -> People:
        """The people in an RGB uint8 image [H, W, 3], in its pixels; empty if there is nobody.

        `people.sigmas` are σ₀·√s at each found keypoint, 0 at the others, where s = 1/(1 + α) is read from
        the 1/2 map and kept within 1/4 and 4, and σ₀ is 2 pixels of that map, which is 4 of the network's
        input: α scales the exponent of the Gaussian (eqs. 6, 8), hence the root. None if the network has no
        scale branch.
        Raises SwahrError for an image of another type or shape.
        """
        _check_image(image)
        (outputs,) = self._outputs([image])
        return self._people(outputs, self._resize(image, 1.0))

    def detailed(self, image: NDArray[np.uint8]) -> tuple[People, Maps]:
        """The people in an image, as `__call__` gives them, and the maps they were read from."""
        _check_image(image)
        (outputs,) = self._outputs([image])
        resize = self._resize(image, 1.0)
        return self._people(outputs, resize), self._maps(outputs, resize)

    def batch(self, images: Sequence[NDArray[np.uint8]]) -> list[People]:
        """The people in each of a list of images of any sizes, as `__call__` gives them.

        On CUDA images of one input size share a run of the network.
        """
        by_size: dict[tuple[int, int], list[int]] = defaultdict(list)
        for index, image in enumerate(images):
            _check_image(image)
            by_size[self._resize(image, 1.0).size].append(index)
        people: dict[int, People] = {}
        for indices in by_size.values():
            for start in range(0, len(indices), self._images_per_run):
                run = indices[start : start + self._images_per_run]
                for index, outputs in zip(run, self._outputs([images[index] for index in run]), strict=True):
                    people[index] = self._people(outputs, self._resize(images[index], 1.0))
        return [people[index] for index in range(len(images))]

    def _resize(self, image: NDArray[np.uint8], scale: float) -> Resize:
        height, width = image.shape[:2]
        return Resize.fit((width, height), self.size, scale, min(self.scales))

    def _outputs(self, images: Sequence[NDArray[np.uint8]]) -> Iterator[dict[float, Outputs]]:
        """By scale, what the network says of each of some images that share one input size."""
        outputs = {scale: self._run(images, scale) for scale in self.scales}
        for index in range(len(images)):
            # The mirror images follow the images, so the passes of one image lie a batch apart.
            yield {
                scale: (coarse[index :: len(images)], fine[index :: len(images)])
                for scale, (coarse, fine) in outputs.items()
            }

    def _maps(self, outputs: Mapping[float, Outputs], resize: Resize) -> Maps:
        with torch.inference_mode():
            heatmaps, tags, alphas = aggregate(outputs, resize.size, self.skeleton.flip_indices)
        return Maps(
            heatmaps.cpu().numpy(),
            tags.cpu().numpy(),
            alphas.cpu().numpy() if self._has_scale_branch else None,
            self._to_source(resize),
        )

    def _run(self, images: Sequence[NDArray[np.uint8]], scale: float) -> Outputs:
        """The outputs at one scale: [F * N, 3K, h/4, w/4] and [F * N, 2K, h/2, w/2], F = 2 with flip."""
        pixels = np.stack([self._resize(image, scale).image(image) for image in images])
        inputs = torch.from_numpy(pixels).to(self._device).permute(0, 3, 1, 2).float()  # [N, 3, h, w]
        inputs = (inputs - self._mean) / self._spread
        if self.flip:
            inputs = torch.cat([inputs, inputs.flip(-1)])
        return self._compiled_for(tuple(inputs.shape))(inputs)

    def _compiled_for(self, shape: tuple[int, int, int, int]) -> backends.CompiledNetwork:
        if shape not in self._compiled:
            self._compiled[shape] = backends.compile(self._network, shape, self._device, self.backend)
        return self._compiled[shape]

    def _people(self, outputs: Mapping[float, Outputs], resize: Resize) -> People:
        self._ready_to_group.result()
        try:
            if len(outputs) == 1:
                arguments = (self._to_source(resize), self.options, self.skeleton, self._has_scale_branch)
                people = self._gpu_grouping(*outputs[1.0], *arguments)
                if people is None:
                    people = group_outputs(*(maps.cpu().numpy() for maps in outputs[1.0]), *arguments)
                return people
            maps = self._maps(outputs, resize)  # several scales are averaged where they all fit: at the input's size
            people = group(maps.heatmaps, maps.tags, self.options, self.skeleton)
        except ValueError as error:  # the shapes are right by construction
            raise SwahrError(
                f"The network {self.model} gave numbers that are not finite on {self.device} in "
                f"{self.precision}; its weights are damaged or do not suit this precision."
            ) from error
        if maps.alphas is not None:
            people = replace(people, sigmas=sigmas_of(people.values_at(maps.alphas), people.found))
        return people.transformed(maps.to_source)

    def _to_source(self, resize: Resize) -> NDArray[np.float64]:
        """The map from the network's answers to the source image, [2, 3]."""
        offset = self.metadata.pixel_offset
        # Beside its mirror image an offset in x cancels, for there it points the other way.
        shift = np.array([[1, 0, 0 if self.flip else offset], [0, 1, offset], [0, 0, 1]])
        return resize.inverse @ shift


def _open_model(model: str | Path, preset: str | NetworkConfig | None) -> tuple[nn.Module, ModelMetadata]:
    path = Path(model)
    is_name = not path.suffix and len(path.parts) == 1 and not path.is_file()
    if is_name:
        path = find_model(str(model))
    if preset is None or describes_itself(path):
        if path.is_file() and path.suffix != ".safetensors":
            raise SwahrError(f"{path} does not say which network it belongs to; name its preset, such as w32-512.")
        return load_model(path)
    network = load_weights(preset, path)
    return network, replace(ModelMetadata.of(network.config), pixel_offset=PUBLISHED_OFFSET)


def choose_device(device: str) -> torch.device:
    """The device that "auto" or a name stands for. Raises SwahrError for one that is not here."""
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise SwahrError(f"There is no device {device!r}; choose auto, cpu, cuda or mps.") from error
    at_hand = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (chosen.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not at_hand.get(chosen.type, False):
        raise SwahrError(f"The device {device!r} is not at hand on this computer; choose auto or cpu.")
    return chosen


def _check_image(image: NDArray[np.uint8]) -> None:
    wanted = "give RGB as a numpy array uint8 [H, W, 3]"
    if not isinstance(image, np.ndarray):
        raise SwahrError(f"The image is a {type(image).__name__}; {wanted}.")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise SwahrError(f"The image is {image.dtype} {list(image.shape)}; {wanted}.")
    height, width = image.shape[:2]
    if min(height, width) < LEAST_SIDE:
        raise SwahrError(f"The image is {width}x{height} pixels; each side must have at least {LEAST_SIDE}.")
    if max(height, width) > GREATEST_ASPECT * min(height, width):
        raise SwahrError(
            f"The image is {width}x{height} pixels, too long and narrow; crop it to at most {GREATEST_ASPECT}:1."
        )


def _checked_size(size: int) -> int:
    if not isinstance(size, int) or isinstance(size, bool) or size not in INPUT_SIZES:
        raise SwahrError(f"The input size is {size!r}; give pixels from {INPUT_SIZES[0]} to {INPUT_SIZES[-1]}.")
    return -(-size // SIZE_STEP) * SIZE_STEP


def _checked_scales(scales: Sequence[float]) -> tuple[float, ...]:
    scales = tuple(scales)
    if 1.0 not in scales or min(scales) <= 0 or len(set(scales)) < len(scales):
        raise SwahrError(
            f"The scales are {scales}; give different positive numbers, 1 among them, such as 0.5, 1, 1.5."
        )
    for scale in scales:
        Resize.fit((1, 1), INPUT_SIZES[0], scale, min(scales))
    return scales
