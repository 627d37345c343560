"""Images in, people out: resize, network, aggregation, grouping, and back to the source image's pixels.

Letters: N images, P people, K keypoints, H W pixels of a source image, h w pixels of the network's input.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from engine.aggregate import Maps, Outputs, aggregate
from engine.backends import Frames
from engine.calibration import synthetic_frames
from engine.checkpoint import ModelMetadata, load_model, load_weights, read_metadata
from engine.devices import choose_device
from engine.errors import SwahrError
from engine.geometry import Resize
from engine.gpu_grouping import GpuGrouping
from engine.inputs import IMAGES_PER_RUN, check_image, checked_scales, checked_size
from engine.models import model_file
from engine.network import NetworkConfig
from engine.runner import NetworkRunner
from engine.stopwatch import Stopwatch
from engine.upload import upload
from grouping import GroupingOptions, People, group, group_outputs, start_warm_up
from grouping.sigmas import sigmas_of

PUBLISHED_OFFSET = 0.5  # see ModelMetadata.pixel_offset


class PoseEstimator:
    """Finds the people in images with one network.

    Made by `load`. Its attributes are for reading:
    model: the bundled model's name, or the weights file. metadata: what the weights say about themselves.
    backend, device, precision: what the network runs on at the moment, such as "openvino", "cpu", "bfloat16".
    messages: a sentence for each backend that could not be used.
    size: pixels of the input's short side. skeleton: what the K keypoints are. flip, scales: the test-time
    passes.
    options: the GroupingOptions in use; may be replaced at any time. own_options: those that suit the model.
    measuring: whether a GPU is waited for after each stage, which is slow but makes `stage_seconds` exact there.
    sigmas: whether people come with sigmas, which costs the scale branch; may be replaced at any time, without a pause
    if `prepare` has made ready for it.
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
        precision: str = "auto",
        sigmas: bool = True,
        calibration: Callable[[], Frames] | None = None,
    ):
        self.model = model
        self.metadata = metadata
        self.size = checked_size(metadata.input_size if size is None else size)
        self.flip = flip
        self.scales = checked_scales(scales)
        self.skeleton = metadata.skeleton
        paper = GroupingOptions(detection_threshold=metadata.detection_threshold, tag_threshold=metadata.tag_threshold)
        self.own_options = replace(paper, person_threshold=metadata.person_threshold)
        self.options = options or self.own_options
        self.sigmas = sigmas
        self.measuring = False
        self._device = choose_device(device)
        self._images_per_run = IMAGES_PER_RUN if self._device.type == "cuda" else 1
        self._gpu_grouping = GpuGrouping()
        self._ready_to_group = start_warm_up()
        self._streams = threading.local()
        self._stopwatch = Stopwatch()
        self._runner = NetworkRunner(
            network,
            metadata.mean,
            metadata.std,
            self._device,
            paper,
            self.skeleton,
            backend=backend,
            precision=precision,
            calibration=calibration or synthetic_frames,
        )

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
        precision: str = "auto",
        sigmas: bool = True,
        calibration: Callable[[], Frames] | None = None,
    ) -> PoseEstimator:
        """An estimator with its weights loaded.

        model: a bundled model's name, or the path of a .safetensors or .pth file.
        preset: the network a file's weights belong to; not needed for this program's own files.
        device: "auto" (CUDA, else Apple's, else the CPU), "cpu", "cuda", "cuda:1", "mps".
        backend: "auto", or "eager", "openvino", "inductor", "tensorrt". One that cannot run here or is not right
        gives way to the next, with a message.
        size: pixels of the input's short side, 64 to 4096, rounded up to a multiple of 64; the model's own if
        None.
        flip: run each image and its mirror image. scales: run each image at these sizes, 1 among them.
        options: how to group; by default with the model's own thresholds.
        precision: "auto", or "float32", "bfloat16", "float16", "int8".
        sigmas: whether people come with sigmas.
        calibration: gives the images that int8 is calibrated with where it was not before; synthetic ones if None.
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
            precision=precision,
            sigmas=sigmas,
            calibration=calibration,
        )

    @property
    def device(self) -> str:
        return str(self._device)

    @property
    def backend(self) -> str:
        return self._runner.choice.backend

    @property
    def precision(self) -> str:
        return self._runner.choice.precision

    @property
    def messages(self) -> list[str]:
        return list(self._runner.messages)

    @property
    def stage_seconds(self) -> dict[str, float]:
        """How long this thread's last call took: "resize", "network" and "grouping". See `measuring`."""
        return dict(self._stopwatch.seconds)

    def prepare(self, width: int, height: int, sigmas: bool | None = None) -> None:
        """Compile what images of this size need, with or without sigmas (None: as it is set), and run it once.

        Another thread may use the estimator meanwhile. Raises SwahrError as `load` does.
        """
        wanted = self.sigmas if sigmas is None else sigmas
        for scale in self.scales:
            size = self._resize((width, height), scale).size
            self._runner.prepare((1 + self.flip, size[1], size[0]), wanted)
        self._ready_to_group.result()

    @property
    def images_per_run(self) -> int:
        """How many images share a run of the network, where `batch` is given so many of one size."""
        return self._images_per_run

    def discard_compiled(self) -> None:
        """Forget what is kept of this network for the backend and precision in use, so that it is made anew."""
        self._runner.discard()

    def __call__(self, image: NDArray[np.uint8]) -> People:
        """The people in an RGB uint8 image [H, W, 3], in its pixels; empty if there is nobody.

        `people.sigmas` are σ₀·√s at each found keypoint, 0 at the others, where s = 1/(1 + α) is read from
        the 1/2 map and kept within 1/4 and 4, and σ₀ is 2 pixels of that map, which is 4 of the network's
        input: α scales the exponent of the Gaussian (eqs. 6, 8), hence the root. None if the network has no
        scale branch, or `sigmas` is off.
        Raises SwahrError for an image of another type or shape.
        """
        (people,) = self.batch([image])
        return people

    def detailed(self, image: NDArray[np.uint8]) -> tuple[People, Maps]:
        """The people in an image, always with sigmas, and the maps they were read from."""
        check_image(image)
        resize = self._resize(_size_of(image), 1.0)
        self._stopwatch.start()
        with self._working():
            (outputs,) = self._outputs([image], alphas=True)
            return self._people(outputs, resize), self._maps(outputs, resize)

    def batch(self, images: Sequence[NDArray[np.uint8]]) -> list[People]:
        """The people in each of a list of images of any sizes, as `__call__` gives them.

        On CUDA images of one input size share a run of the network.
        """
        by_size: dict[tuple[int, int], list[int]] = defaultdict(list)
        for index, image in enumerate(images):
            check_image(image)
            by_size[self._resize(_size_of(image), 1.0).size].append(index)
        people: dict[int, People] = {}
        self._stopwatch.start()
        for indices in by_size.values():
            for start in range(0, len(indices), self._images_per_run):
                run = indices[start : start + self._images_per_run]
                with self._working():
                    outputs = self._outputs([images[index] for index in run], self.sigmas)
                    for index, one in zip(run, outputs, strict=True):
                        people[index] = self._people(one, self._resize(_size_of(images[index]), 1.0))
        return [people[index] for index in range(len(images))]

    @contextmanager
    def _working(self) -> Iterator[None]:
        """On CUDA, work on a stream of the calling thread's own, which waits for nothing else on the GPU."""
        if self._device.type == "cuda" and not hasattr(self._streams, "own"):
            self._streams.own = torch.cuda.Stream(self._device)
        try:
            with torch.cuda.stream(getattr(self._streams, "own", None)):
                yield
        except torch.OutOfMemoryError as error:
            raise SwahrError(
                f"{self._device} has too little memory for such images; choose a smaller --size or another --device."
            ) from error

    def _resize(self, size: tuple[int, int], scale: float) -> Resize:
        return Resize.fit(size, self.size, scale, min(self.scales))

    def _outputs(self, images: Sequence[NDArray[np.uint8]], alphas: bool) -> Iterator[dict[float, Outputs]]:
        """By scale, what the network says of each of some images that share one input size."""
        outputs = {scale: self._run(images, scale, alphas) for scale in self.scales}
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
            None if alphas is None else alphas.cpu().numpy(),
            self._to_source(resize),
        )

    def _run(self, images: Sequence[NDArray[np.uint8]], scale: float, alphas: bool) -> Outputs:
        """The outputs at one scale: [F * N, 2K, h/4, w/4] and [F * N, K or 2K, h/2, w/2], F = 2 with flip."""
        pixels = upload(images, [self._resize(_size_of(image), scale) for image in images], self._device)
        if self.flip:
            pixels = torch.cat([pixels, pixels.flip(2)])
        self._lap("resize")
        answers = self._runner(pixels, alphas)
        self._lap("network")
        return answers

    def _lap(self, stage: str) -> None:
        self._stopwatch.lap(stage, self._device if self.measuring else None)

    def _people(self, outputs: Mapping[float, Outputs], resize: Resize) -> People:
        self._ready_to_group.result()
        people = self._grouped(outputs, resize)
        self._lap("grouping")
        return people

    def _grouped(self, outputs: Mapping[float, Outputs], resize: Resize) -> People:
        try:
            if len(outputs) == 1:
                arguments = (self._to_source(resize), self.options, self.skeleton)
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
    path = model_file(model)
    if preset is None or read_metadata(path) is not None:
        if path.is_file() and path.suffix != ".safetensors":
            raise SwahrError(f"{path} does not say which network it belongs to; name its preset, such as w32-512.")
        return load_model(path)
    network = load_weights(preset, path)
    return network, replace(ModelMetadata.of(network.config), pixel_offset=PUBLISHED_OFFSET)


def _size_of(image: NDArray[np.uint8]) -> tuple[int, int]:
    return image.shape[1], image.shape[0]
