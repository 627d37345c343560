"""The kinds of video files that can be written, and what each can hold."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import SwahrError

from .encoding import CODECS, Encoding

if TYPE_CHECKING:
    from av.stream import Stream

_MUXERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
VIDEO_SUFFIXES = frozenset(_MUXERS)
_BEST_FIRST = (".mp4", ".mov", ".mkv")
_LARGEST_TIMESCALE = 2**31 - 1
_MATROSKA_UNIT = Fraction(1, 1000)
# Of the two names that some languages have, QuickTime knows but the second.
_QUICKTIME_LANGUAGES = (
    "bod-tib cze-ces cym-wel deu-ger ell-gre eus-baq fas-per fre-fra hye-arm isl-ice "
    "kat-geo mkd-mac msa-may mya-bur nld-dut rum-ron slo-slk sqi-alb swe-sve zho-chi"
)
LATE = 10  # seconds; MP4 cannot wait longer for a stream's first packet without holding the video back in memory
_NO_SEQUENCE = "1"  # microseconds: packets come in order already, so none is to wait for those of other streams


def muxer(suffix: str) -> str:
    """FFmpeg's name for the kind of file."""
    return _MUXERS[suffix]


def refuse_encoding(path: Path, encoding: Encoding) -> None:
    """Raise SwahrError if a file of this name cannot be written so."""
    import av

    suffix, codec = path.suffix.lower(), encoding.details
    if suffix not in VIDEO_SUFFIXES:
        raise SwahrError(f"{path} does not end like a video that can be written; let it end in .mp4.")
    if suffix not in codec.suffixes:
        others = [name for name, other in CODECS.items() if suffix in other.suffixes]
        raise SwahrError(
            f"{path} cannot hold {codec.title}; let it end in {_listed(codec.suffixes)}, "
            f"or choose the codec {_listed(others)}."
        )
    try:
        av.Codec(codec.encoder, "w")
    except ValueError:
        raise SwahrError(
            f"{codec.title} cannot be written, for the installed PyAV lacks its encoder {codec.encoder}; "
            "choose another codec, or install PyAV from PyPI."
        ) from None


def writing_options(suffix: str, time_base: Fraction, sample_rates: Iterable[int]) -> dict[str, str]:
    """What makes a file keep every time stamp, and keep what is written when the process dies.

    suffix: of the file. time_base: of the video. sample_rates: of the sound.
    """
    options = {"flush_packets": "1", "max_interleave_delta": _NO_SEQUENCE}
    if is_matroska(suffix):
        return options | {"avoid_negative_ts": "disabled"}
    # Tracks count in units of the source's time base, and the offset of a first frame that is not at 0 is
    # counted in units of the whole film's, which must therefore divide all of them.
    ticks = time_base.denominator
    film_ticks = math.lcm(ticks, *(rate for rate in sample_rates if rate > 0))
    return options | {
        "video_track_timescale": str(ticks),
        "movie_timescale": str(film_ticks if film_ticks <= _LARGEST_TIMESCALE else ticks),
        "movflags": "+hybrid_fragmented+frag_keyframe+delay_moov",
    }


def is_matroska(suffix: str) -> bool:
    """Whether a file is of the kind that counts in milliseconds, and takes streams that begin at any time."""
    return _MUXERS[suffix] in ("matroska", "webm")


def language_in(suffix: str, language: str) -> str:
    """The three letters by which a kind of file knows a language."""
    place = _QUICKTIME_LANGUAGES.find(f"{language}-") if suffix == ".mov" else -1
    return language if place < 0 else _QUICKTIME_LANGUAGES[place + 4 : place + 7]


def is_exact(suffix: str, time: Fraction) -> bool:
    """Whether a file can say exactly this time in seconds; MP4 is told the unit."""
    return not is_matroska(suffix) or (time / _MATROSKA_UNIT).denominator == 1


def can_hold(suffix: str, stream: Stream) -> bool:
    """Whether a kind of file can hold the packets of a stream as they are: the file's header tells."""
    import av

    output = av.open(io.BytesIO(), "w", format=_MUXERS[suffix], container_options={"movflags": "+delay_moov"})
    try:
        output.add_stream_from_template(stream)
        output.start_encoding()
    except (ValueError, av.FFmpegError):
        return False
    return True


def suffix_for(source: Path, encoding: Encoding | None = None) -> str:
    """The suffix of the first kind of file that holds the encoded video and all sound and subtitles of the source.

    If none does, or the source cannot be read, that of the first which holds the video.
    """
    import av

    from app.sources.opening import open_container

    suffixes = [suffix for suffix in _BEST_FIRST if suffix in (encoding or Encoding()).details.suffixes]
    try:
        with open_container(source) as container:
            streams = [stream for stream in container.streams if is_copied(stream)]
            if any(_begins_late(stream) for stream in streams):
                suffixes = [suffix for suffix in suffixes if is_matroska(suffix)]
            return suffix_that_holds(streams, suffixes) or suffixes[0]
    except (av.FFmpegError, OSError):
        return suffixes[0]


def suffix_that_holds(streams: Sequence[Stream], suffixes: Sequence[str] = _BEST_FIRST) -> str | None:
    """The first of the suffixes whose files can hold all of the streams; None if there is none."""
    for suffix in suffixes:
        if all(can_hold(suffix, stream) for stream in streams):
            return suffix
    return None


def is_copied(stream: Stream) -> bool:
    """Whether a stream is sound or subtitles of a codec that is known."""
    return stream.type in ("audio", "subtitle") and stream.codec_context is not None


def _begins_late(stream: Stream) -> bool:
    """Whether a stream is known to begin long after the file does, and cannot begin with an empty packet."""
    if stream.start_time is None or stream.codec_context.name == "mov_text":
        return False
    return stream.start_time * stream.time_base - Fraction(stream.container.start_time or 0, 10**6) > LATE


def _listed(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last
