"""Frames of a webcam or a network stream as they come, without an end.

A name may hold a password (``rtsp://user:password@host/path?token=…``). It goes to FFmpeg and nowhere else: whatever
is shown or written down is made from `shown_name`, and an error's own text, which quotes the address, is never used.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, Literal, Protocol

from engine.errors import SwahrError

from . import Frame, Source, SourceInfo, check_size
from .live_names import Camera, cameras, is_camera, parse_camera, shown_name, stream_address

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PATIENCE = 10.0  # seconds; what neither answers nor fails for so long counts as gone
PAUSES = (0.5, 1.0, 2.0, 4.0, 5.0)  # seconds before each attempt to open again; the last one from then on
MICROSECOND = Fraction(1, 1_000_000)
_RELEASE_SECONDS = 0.4  # how long `close` waits for the device; a call that hangs releases it when it returns
_MOST_HANGING = 3  # so many calls may hang before no further attempt is made

State = Literal["running", "lost"]


class UnreadableError(Exception):
    """Why a reader cannot be opened, in a few words that quote no address."""


class Reader(Protocol):
    """An open camera or stream. It is opened, read and released on one and the same thread."""

    def read(self) -> NDArray[np.uint8] | None:
        """The next picture, RGB uint8 [H, W, 3], upright; None, or any exception, where there are no more."""

    def release(self) -> None:
        """Let go of it."""


class LiveSource(Source):
    """The pictures of a camera (``camera:0?size=1280x720&fps=30``) or stream (see PROTOCOLS), until it is closed.

    Time stamps are microseconds since the first picture was read, on a clock that never runs backwards. What vanishes
    is opened again, after growing pauses, for as long as it takes; the size of the pictures may then be another.

    state: "running", or "lost" while there is nothing to read. state_message: one sentence while it is lost, else "".
    on_state: called with both when they change, on the thread that iterates.
    opener: opens the camera or stream and gives its Reader; by default it follows from the name.
    clock: seconds. wait: waits for so many seconds; by default `close` interrupts it.
    Raises SwahrError where the name makes no sense, or what it names cannot be opened or gives no picture in PATIENCE.
    """

    def __init__(
        self,
        name: str,
        opener: Callable[[], Reader] | None = None,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        super().__init__()
        camera = parse_camera(name) if is_camera(name) else None
        address = None if camera else stream_address(name)
        shown = shown_name(name)
        self._called = f"The camera {camera.index}" if camera else f"The stream {shown}"
        self.state: State = "running"
        self.state_message = ""
        self.on_state: Callable[[str, str], None] | None = None
        self._opener = opener or (partial(CameraReader, camera) if camera else partial(StreamReader, address))
        self._clock = clock
        self._closed = Event()
        self._wait = wait or self._closed.wait
        self._changing = Lock()  # of _device and _closed
        self._device = _Device(self._opener)
        try:
            self._first = self._read_first(camera)
            height, width = self._first[0].shape[:2]
            check_size(shown, width, height)
        except BaseException:
            self.close()
            raise
        self.info = SourceInfo(shown, "camera" if camera else "stream", size=(width, height))
        if camera and camera.size not in (None, (width, height)):
            asked = "{}×{}".format(*camera.size)
            self.notes.append(f"{self._called} was asked for {asked} pixels and gives {width}×{height}.")

    def _read_first(self, camera: Camera | None) -> tuple[NDArray[np.uint8], float]:
        """The first picture, and when it was read."""
        image = self._device.read()
        if image is not None:
            return image, self._clock()
        reason = _reason(self._device.error)
        if camera is None:
            raise SwahrError(f"{self._called} {reason}; check the address, the password and that it is on.")
        found = ", ".join(f"{index} {name}" for index, name in cameras())
        here = f" (found: {found})" if found else ""
        raise SwahrError(
            f"{self._called} {reason}; check that it is plugged in and that no other program uses it{here}."
        )

    def __iter__(self) -> Iterator[Frame]:
        began, last = self._first[1], -1
        for index, (image, read) in enumerate(self._pictures()):
            last = max(last + 1, round((read - began) / MICROSECOND))
            yield Frame(image, index, last, MICROSECOND)

    def _pictures(self) -> Iterator[tuple[NDArray[np.uint8], float]]:
        """Every picture and when it was read, past all interruptions."""
        if not self._closed.is_set():
            yield self._first
        while not self._closed.is_set():
            image = self._device.read()
            if image is None:
                image = self._found_again()
            if image is not None and not self._closed.is_set():
                yield image, self._clock()

    def _found_again(self) -> NDArray[np.uint8] | None:
        """Open it again and again, until there is a picture or, with None, the source is closed."""
        attempt, hanging = 0, []
        begins_again = self._device.over
        while not self._closed.is_set():
            self._device.end()
            hanging = [device for device in {*hanging, self._device} if not device.released.is_set()]
            if not begins_again:
                self._tell("lost", f"{self._called} is gone; trying again.")
                self._wait(PAUSES[min(attempt, len(PAUSES) - 1)])
                attempt += 1
            begins_again = False
            if len(hanging) >= _MOST_HANGING:
                continue
            with self._changing:
                if self._closed.is_set():
                    return None
                self._device = _Device(self._opener)
            image = self._device.read()
            if image is not None:
                self._tell("running", "")
                return image
        return None

    def _tell(self, state: State, message: str) -> None:
        changed = state != self.state
        self.state, self.state_message = state, message
        if changed and self.on_state is not None and not self._closed.is_set():
            self.on_state(state, message)

    def close(self) -> None:
        """End the iteration and release the device; may be called again, and from any thread."""
        with self._changing:
            self._closed.set()
            device = self._device
        device.end()
        device.released.wait(_RELEASE_SECONDS)


class _Device:
    """A reader with a thread of its own, so that a call that hangs keeps nobody waiting.

    released: set once the reader was released, or could not be opened. error: why there was no picture, if known.
    over: whether what was read has come to an end of its own.
    """

    def __init__(self, opener: Callable[[], Reader]) -> None:
        self.released = Event()
        self.error: Exception | None = None
        self.over = False
        self._orders: SimpleQueue[bool] = SimpleQueue()  # True: read; False: release
        self._answers: SimpleQueue[NDArray[np.uint8] | None] = SimpleQueue()
        Thread(target=self._serve, args=(opener,), name="live source", daemon=True).start()

    def read(self) -> NDArray[np.uint8] | None:
        """The next picture; None where there is none within PATIENCE, or `end` was called meanwhile."""
        self._orders.put(True)
        try:
            return self._answers.get(timeout=PATIENCE)
        except Empty:
            self.error = TimeoutError()
            return None

    def end(self) -> None:
        """Have the reader released as soon as it can be, and wake who waits in `read`."""
        self._orders.put(False)
        self._answers.put(None)

    def _serve(self, opener: Callable[[], Reader]) -> None:
        reader = None
        try:
            reader = opener()
            while self._orders.get() and (image := reader.read()) is not None:
                self._answers.put(image)
            self.over = getattr(reader, "ends", False)
        except Exception as error:  # told by whoever reads
            self.error = error
        finally:
            if reader is not None:
                with suppress(Exception):
                    reader.release()
            self.released.set()
            self._answers.put(None)  # after the release: what is gone can be opened again


class CameraReader:
    """A webcam, through OpenCV."""

    def __init__(self, camera: Camera) -> None:
        import cv2

        self._convert = partial(cv2.cvtColor, code=cv2.COLOR_BGR2RGB)
        with _quiet_opencv():
            self._capture = cv2.VideoCapture(camera.index)
            if not self._capture.isOpened():
                raise UnreadableError
            self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
            if camera.size or camera.fps:
                # Uncompressed, most cameras give large pictures at a few frames a second only.
                self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
            if camera.size:
                self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, camera.size[0])
                self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, camera.size[1])
            if camera.fps:
                self._capture.set(cv2.CAP_PROP_FPS, camera.fps)

    def read(self) -> NDArray[np.uint8] | None:
        """The next picture, or None where the camera is gone."""
        there, picture = self._capture.read()
        return self._convert(picture) if there else None

    def release(self) -> None:
        """Let other programs use the camera."""
        self._capture.release()


class StreamReader:
    """A network stream's best video, through FFmpeg, with as little delay as it can do.

    ends: whether it is a file after all, which says how long it is; it is then read no faster than it is to be shown.
    """

    def __init__(self, address: str) -> None:
        import av

        from .orientation import Orientation

        # Not "nobuffer", which throws away the first key frame: what piled up while connecting is soon decoded.
        options = {"rtsp_transport": "tcp"} if address.startswith("rtsp") else {}
        try:
            self._container = av.open(address, timeout=(PATIENCE, PATIENCE), options=options)
        except av.error.ExitError:  # FFmpeg's word for it
            raise TimeoutError from None
        except (av.FFmpegError, OSError) as error:
            raise UnreadableError((error.strerror or "").rstrip(".").lower()) from None
        self._stream = self._container.streams.best("video")
        if self._stream is None or self._stream.codec_context is None:
            self._container.close()
            raise UnreadableError("it has no video that can be decoded")
        self.ends = bool(self._container.duration)
        self._began: float | None = None  # when the moment 0 of a file was shown, or would have been
        self._stream.thread_type = "SLICE"  # threads that decode whole frames each hold one back
        self._orientation = Orientation()
        self._frames = self._decoded()

    def _decoded(self) -> Iterator[Any]:
        import av

        for packet in self._container.demux(self._stream):
            # Packets get lost, and before the first key frame none can be decoded.
            with suppress(av.error.InvalidDataError):
                yield from packet.decode()

    def read(self) -> NDArray[np.uint8] | None:
        """The next picture; None at the stream's end."""
        frame = next(self._frames, None)
        if frame is not None and self.ends and frame.time is not None:
            now = time.monotonic()
            self._began = now - frame.time if self._began is None else self._began
            time.sleep(min(1.0, max(0.0, self._began + frame.time - now)))
        return None if frame is None else self._orientation.upright(frame)

    def release(self) -> None:
        """Disconnect."""
        self._container.close()


def _reason(error: Exception | None) -> str:
    """Why there is no picture, to follow "The camera 0 …"; an error's text only where it cannot quote the address."""
    if error is None:
        return "gives no picture"
    if isinstance(error, TimeoutError):
        return f"does not answer within {PATIENCE:g} s"
    why = str(error) if isinstance(error, UnreadableError) else ""
    return f"cannot be opened ({why})" if why else "cannot be opened"


@contextmanager
def _quiet_opencv() -> Iterator[None]:
    """Keep OpenCV from printing lines of its own beside the one sentence."""
    from cv2.utils import logging

    before = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(before)
