"""How an annotated video is encoded: the codecs, one scale of quality for all of them, and the size of the picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from engine.errors import SwahrError

DEFAULT_QUALITY = 70
SMALLEST_SIDE, LARGEST_SIDE = 16, 16384  # pixels
_MP4, _MOV, _MATROSKA = (".mp4", ".m4v"), (".mov",), (".mkv",)


@dataclass(frozen=True)
class Codec:
    """One way to encode a video, such that packet number k is frame number k.

    encoder: its name in FFmpeg. title: what people call it. pixels: FFmpeg's name of the pixel format.
    suffixes: of the files that can hold it. worst, best: what the encoder calls quality 0 and 100; None: lossless.
    options: the encoder's own, given that number. tag: how MP4 and QuickTime are to name it; None: as FFmpeg does.
    smallest_side: in pixels. tells_pixel_aspect: whether its packets say how wide a pixel is.
    """

    encoder: str
    title: str
    pixels: str
    suffixes: tuple[str, ...]
    worst: int
    best: int
    options: Callable[[int], Mapping[str, str]]
    tag: str | None = None
    lossless: bool = False
    smallest_side: int = SMALLEST_SIDE
    tells_pixel_aspect: bool = False


@dataclass(frozen=True)
class Encoding:
    """How a video is to be encoded.

    codec: one of CODECS. quality: 0 to 100, the best; None: good to the eye. Lossless codecs have none.
    size: width and height of the written picture in pixels, both even; None: as large as what is given.
    Raises SwahrError for anything else.
    """

    codec: str = "h264"
    quality: int | None = None
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.codec not in CODECS:
            raise SwahrError(f"There is no codec {self.codec!r}; choose one of {', '.join(CODECS)}.")
        if self.quality is not None and self.details.lossless:
            raise SwahrError(f"The codec {self.codec} loses nothing and has no quality; leave the quality out.")
        if self.quality is not None and not 0 <= self.quality <= 100:
            raise SwahrError(f"A quality of {self.quality} is not possible; choose one from 0 to 100, the best.")
        if self.size is not None and not all(side % 2 == 0 and side <= LARGEST_SIDE for side in self.size):
            raise SwahrError(
                f"A video of {self.size[0]}×{self.size[1]} pixels cannot be written; both sides are to be even, "
                f"from {SMALLEST_SIDE} to {LARGEST_SIDE}."
            )
        if self.size is not None:
            self.refuse_too_small(*self.size)

    def refuse_too_small(self, width: int, height: int) -> None:
        """Raise SwahrError if the codec has no pictures of this size."""
        smallest = self.details.smallest_side
        if min(width, height) < smallest:
            raise SwahrError(
                f"{self.details.title} cannot be {width}×{height} pixels, only {smallest}×{smallest} or more; "
                "choose another codec or size."
            )

    @property
    def details(self) -> Codec:
        return CODECS[self.codec]

    @property
    def options(self) -> dict[str, str]:
        """The encoder's options."""
        quality = DEFAULT_QUALITY if self.quality is None else self.quality
        worst, best = self.details.worst, self.details.best
        return dict(self.details.options(round(worst + (best - worst) * quality / 100)))


# No B-frames, no frames out of order, none that are not shown: each frame is one packet, stored in the order and at the
# time at which it is shown. At quality 70, x264 has its crf 20; the other codecs look about the same there. Nothing
# is printed by the encoders themselves.
CODECS: Mapping[str, Codec] = MappingProxyType(
    {
        "h264": Codec(
            encoder="libx264",
            title="H.264",
            pixels="yuv420p",
            suffixes=(*_MP4, *_MOV, *_MATROSKA),
            worst=41,
            best=11,
            options=lambda crf: {"preset": "veryfast", "crf": str(crf), "bf": "0"},
            tells_pixel_aspect=True,
        ),
        "hevc": Codec(
            encoder="libx265",
            title="HEVC",
            pixels="yuv420p",
            suffixes=(*_MP4, *_MOV, *_MATROSKA),
            worst=44,
            best=14,
            options=lambda crf: {
                "preset": "veryfast",
                "crf": str(crf),
                "x265-params": "bframes=0:open-gop=0:frame-threads=2:info=0:log-level=none",
            },
            tag="hvc1",
            smallest_side=96,  # it writes where it must not at a width of 48, and not always the same at 64
            tells_pixel_aspect=True,
        ),
        "av1": Codec(
            encoder="libsvtav1",
            title="AV1",
            pixels="yuv420p",
            suffixes=(*_MP4, *_MATROSKA, ".webm"),
            worst=58,
            best=18,
            options=lambda crf: {"preset": "9", "crf": str(crf), "svtav1-params": "pred-struct=1"},
            smallest_side=32,  # it stands still at 18 by 66
        ),
        "vp9": Codec(
            encoder="libvpx-vp9",
            title="VP9",
            pixels="yuv420p",
            suffixes=(*_MP4, *_MATROSKA, ".webm"),
            worst=56,
            best=16,
            options=lambda crf: {
                "deadline": "good",
                "cpu-used": "5",
                "row-mt": "1",
                "crf": str(crf),
                "b": "0",
                "lag-in-frames": "0",
                "auto-alt-ref": "0",
            },
        ),
        "prores": Codec(
            encoder="prores_ks",
            title="ProRes",
            pixels="yuv422p10le",
            suffixes=(*_MOV, *_MATROSKA),
            worst=22,
            best=2,
            options=lambda scale: {
                "profile": "hq",
                "vendor": "apl0",
                "flags": "+qscale",
                "global_quality": str(scale * _LAMBDA),
            },
        ),
        "ffv1": Codec(
            encoder="ffv1",
            title="FFV1",
            pixels="bgr0",
            suffixes=_MATROSKA,
            worst=0,
            best=0,
            options=lambda _: {"level": "3", "g": "1", "slicecrc": "1"},
            lossless=True,
        ),
    }
)
_LAMBDA = 118  # FFmpeg counts in 118ths of a quantiser's step
