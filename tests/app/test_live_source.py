"""Cameras and streams: what they are called, that they come back, that they end at once, and that passwords stay in."""

from __future__ import annotations

import http.server
import threading
import time
import traceback
from fractions import Fraction
from functools import partial
from itertools import islice, pairwise

import numpy as np
import pytest

from app.processing.run import ProcessOptions, process
from app.sources import live, open_source
from app.sources.live import LiveSource
from app.sources.live_names import Camera, cameras, is_live, parse_camera, shown_name
from engine.errors import SwahrError

AT_ONCE = 0.5  # seconds
PATIENCE = 20
SECRET = "hunter2"
SECRET_URL = f"rtsp://admin:{SECRET}@host.invalid:554/live?channel=2&token={SECRET}"


pytestmark = pytest.mark.usefixtures("no_thread_is_left")


def picture(value=0, width=64, height=48):
    return np.full((height, width, 3), value, np.uint8)


class FakeReader:
    """Gives the pictures, raises the errors and waits for the events that it was made of; then it is at its end."""

    def __init__(self, *script):
        self.script, self.released = list(script), threading.Event()

    def read(self):
        step = self.script.pop(0) if self.script else None
        if isinstance(step, Exception):
            raise step
        if isinstance(step, threading.Event):
            assert step.wait(PATIENCE)
            return None
        return step

    def release(self):
        assert not self.released.is_set()
        self.released.set()


class Fakes:
    """An opener that gives one reader after the other; an error in place of a reader is raised."""

    def __init__(self, *readers):
        self.readers, self.opened, self.waited, self.told = list(readers), 0, [], []

    def __call__(self):
        self.opened += 1
        reader = self.readers.pop(0)
        if isinstance(reader, threading.Event):
            assert reader.wait(PATIENCE)
            raise OSError
        if isinstance(reader, Exception):
            raise reader
        return reader

    def source(self, name="camera:0", **settings):
        source = LiveSource(name, self, **{"wait": self.waited.append, **settings})
        source.on_state = lambda state, message: self.told.append((state, message))
        return source


def closed_after(source, seconds):
    """Close it from another thread; the thread."""
    timer = threading.Timer(seconds, source.close)
    timer.start()
    return timer


@pytest.mark.parametrize(
    "name", ["camera:0", "camera:", "rtsp://h", "RTSPS://h/x", "http://h", "https://h", "rtmp://h", "udp://@:1234"]
)
def test_is_live(name):
    assert is_live(name)


@pytest.mark.parametrize(
    "name", ["demo:", "clip.mp4", "camera.mp4", "file:///x", "ftp://h/x", "C:\\clip.mp4", "http:/x"]
)
def test_is_not_live(name):
    assert not is_live(name)


def test_camera_names_are_parsed():
    assert parse_camera("camera:0") == Camera(0)
    assert parse_camera("camera:1?size=1280x720&fps=30") == Camera(1, (1280, 720), 30.0)
    assert parse_camera("camera:2?fps=29.97") == Camera(2, fps=29.97)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("camera:", "as camera:0"),
        ("camera:front", "as camera:0"),
        ("camera:-1", "as camera:0"),
        ("camera:0?size=1280", "1280x720"),
        ("camera:0?size=1x1", "1280x720"),
        ("camera:0?fps=0", "from 1 to 240"),
        ("camera:0?fps=", "from 1 to 240"),
        ("camera:0?zoom=2", "no option 'zoom'"),
        ("rtsp://", "names no host"),
        ("http:///x", "names no host"),
        (f"rtsp://u:{SECRET}@/x", "names no host"),
        (f"ftp://u:{SECRET}@host/x", "begins with one of rtsp"),
    ],
)
def test_wrong_names_are_refused_before_anything_is_opened(name, told):
    opener = Fakes()
    with pytest.raises(SwahrError) as error:
        opener.source(name)
    assert told in str(error.value)
    assert SECRET not in str(error.value)
    assert opener.opened == 0


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("camera:1?size=640x480", "camera:1?size=640x480"),
        ("clip.mp4", "clip.mp4"),
        ("rtsp://host:554/a/b?channel=2&subtype=0", "rtsp://host:554/a/b?channel=2&subtype=0"),
        ("rtsp://user:hunter2@host/x", "rtsp://host/x"),
        ("rtsp://us@er:hunt@hunter2@[::1]:554/x", "rtsp://[::1]:554/x"),
        ("http://host/x?token=hunter2&channel=2", "http://host/x?token=***&channel=2"),
        ("http://host/x?PassWord=hunter2", "http://host/x?PassWord=***"),
        ("http://host/x?api_key=hunter2&access-token=hunter2", "http://host/x?api_key=***&access-token=***"),
        ("http://host/x?pass%77ord=hunter2", "http://host/x?pass%77ord=***"),
        ("http://host/x?password%3Dhunter2", "http://host/x?***"),
        ("http://host/x?token=a/hunter2?hunter2==&a=1", "http://host/x?token=***&a=1"),
        ("http://host/x?a=1;token=hunter2", "http://host/x?a=***"),
        ("http://host/x?u=hunter2&p=hunter2", "http://host/x?u=***&p=***"),
        ("http://host/x?hunter2", "http://host/x?***"),
        ("rtsp://host/user=admin&password=hunter2&channel=1/a", "rtsp://host/user=***&password=***&channel=1/a"),
        ("rtsp://host/user=admin_password=hunter2_channel=1.sdp", "rtsp://host/user=***"),
        ("http://host/x#token=hunter2", "http://host/x"),
        ("rtsp://user:1/hunter2@host/x", "rtsp://***"),
        ("rtsp://user:hunter2?@host/x", "rtsp://***"),
        ("rtsp://user:hunter2#@host/x", "rtsp://***"),
        ("rtsp://user:hunter2\n@host/x", "rtsp://host/x"),
    ],
)
def test_what_is_shown_holds_no_secret(name, shown):
    assert shown_name(name) == shown
    assert SECRET not in shown


def test_frames_come_with_strictly_growing_microseconds():
    clock = iter([100.0, 100.04, 100.04, 100.04, 100.1])
    with Fakes(FakeReader(*map(picture, range(5)))).source(clock=lambda: next(clock)) as source:
        assert source.info.name == "camera:0"
        assert source.info.kind == "camera"
        assert source.info.size == (64, 48)
        assert source.info.frames is None
        assert source.info.video is None
        frames = list(islice(source, 5))
    assert [frame.index for frame in frames] == list(range(5))
    assert [frame.image[0, 0, 0] for frame in frames] == list(range(5))
    assert [frame.pts for frame in frames] == [0, 40000, 40001, 40002, 100000]
    assert {frame.time_base for frame in frames} == {Fraction(1, 1_000_000)}


def test_the_size_may_change():
    fakes = Fakes(FakeReader(picture(), picture(width=80)), FakeReader(picture(height=96)))
    with fakes.source() as source:
        shapes = [frame.image.shape[:2] for frame in islice(source, 3)]
    assert shapes == [(48, 64), (48, 80), (96, 64)]


def test_a_camera_that_gives_another_size_is_noted():
    with Fakes(FakeReader(picture())).source("camera:1?size=1280x720") as source:
        assert source.info.size == (64, 48)
        assert source.notes == ["The camera 1 was asked for 1280×720 pixels and gives 64×48."]


def test_it_is_opened_again_after_growing_pauses():
    first, second, third = FakeReader(picture(0), OSError()), FakeReader(picture(1)), FakeReader(picture(2))
    no_picture = FakeReader()
    fakes = Fakes(first, OSError(), no_picture, *[RuntimeError()] * 4, second, third)
    with fakes.source() as source:
        frames = iter(source)
        assert next(frames).image[0, 0, 0] == 0
        assert (source.state, source.state_message) == ("running", "")
        assert next(frames).image[0, 0, 0] == 1
        assert fakes.waited == [0.5, 1, 2, 4, 5, 5, 5]
        assert (source.state, source.state_message) == ("running", "")
        assert first.released.is_set()
        assert no_picture.released.is_set()
        assert next(frames).image[0, 0, 0] == 2
        assert fakes.waited[7:] == [0.5]  # it begins anew
    gone = ("lost", "The camera 0 is gone; trying again.")
    assert fakes.told == [gone, ("running", ""), gone, ("running", "")]
    assert second.released.is_set()
    assert third.released.is_set()


def test_state_while_it_is_lost():
    states = []
    fakes = Fakes(FakeReader(picture()), FakeReader(picture()))
    source = fakes.source(SECRET_URL, wait=lambda seconds: states.append((source.state, source.state_message)))
    with source:
        list(islice(source, 2))
    assert states == [("lost", "The stream rtsp://host.invalid:554/live?channel=2&token=*** is gone; trying again.")]


def test_what_hangs_is_lost_and_left_alone(monkeypatch):
    monkeypatch.setattr(live, "PATIENCE", 0.02)
    hang = threading.Event()
    hanging = FakeReader(picture(0), hang)
    fakes = Fakes(hanging, FakeReader(picture(1)))
    with fakes.source() as source:
        assert [frame.image[0, 0, 0] for frame in islice(source, 2)] == [0, 1]
        assert fakes.told[0][0] == "lost"
        assert not hanging.released.is_set()
        hang.set()
        assert hanging.released.wait(PATIENCE)


def test_calls_that_hang_do_not_pile_up(monkeypatch):
    monkeypatch.setattr(live, "PATIENCE", 0.01)
    hang = threading.Event()
    fakes = Fakes(FakeReader(picture()), *[hang] * 20)

    def wait(seconds):
        fakes.waited.append(seconds)
        if len(fakes.waited) == 10:
            source.close()

    source = fakes.source(wait=wait)
    assert len(list(source)) == 1
    assert fakes.opened == 1 + live._MOST_HANGING
    hang.set()


def test_close_while_reading():
    hang = threading.Event()
    reader = FakeReader(picture(), hang)
    source = Fakes(reader).source()
    timer = closed_after(source, 0.1)
    start = time.monotonic()
    assert len(list(source)) == 1
    assert time.monotonic() - start < 0.1 + AT_ONCE
    assert source.state == "running"
    hang.set()
    timer.join()
    assert reader.released.wait(PATIENCE)


def test_close_waits_no_longer_than_it_must():
    hang = threading.Event()
    source = Fakes(FakeReader(picture(), hang)).source()
    iterating = threading.Thread(target=list, args=(source,))
    iterating.start()
    time.sleep(0.05)
    start = time.monotonic()
    source.close()
    iterating.join()
    assert time.monotonic() - start < AT_ONCE + 0.1
    hang.set()


def test_close_while_waiting_for_the_next_attempt():
    fakes = Fakes(FakeReader(picture()), *[OSError()] * 3)
    source = LiveSource("camera:0", fakes)  # with the wait that it has by itself: 0.5 s, then 1 s
    timer = closed_after(source, 0.7)
    start = time.monotonic()
    assert len(list(source)) == 1
    assert 0.6 < time.monotonic() - start < 0.7 + AT_ONCE
    assert fakes.opened == 2
    timer.join()


def test_close_while_opening_again():
    hang = threading.Event()
    fakes = Fakes(FakeReader(picture()), hang)
    source = fakes.source()
    timer = closed_after(source, 0.1)
    start = time.monotonic()
    assert len(list(source)) == 1
    assert time.monotonic() - start < 0.1 + AT_ONCE
    hang.set()
    timer.join()


def test_close_twice_and_before_the_first_frame():
    reader = FakeReader(*map(picture, range(3)))
    source = Fakes(reader).source()
    source.close()
    source.close()
    assert reader.released.is_set()
    assert list(source) == []


@pytest.mark.parametrize("failure", [OSError(f"{SECRET_URL}"), OSError(5, "Input/output error", SECRET_URL)])
@pytest.mark.parametrize("name", ["camera:7", SECRET_URL])
def test_a_first_failure_is_one_sentence_without_a_secret(name, failure):
    with pytest.raises(SwahrError) as error:
        Fakes(failure).source(name)
    told = str(error.value)
    assert told.startswith(("The camera 7 cannot be opened; ", "The stream rtsp://host.invalid:554/live"))
    assert "check" in told
    assert told.count("\n") == 0
    assert SECRET not in "".join(traceback.format_exception(error.value))
    assert error.value.__context__ is None


def test_what_opens_without_a_picture_or_with_a_tiny_one_is_refused_and_released():
    empty, tiny = FakeReader(), FakeReader(picture(width=8))
    with pytest.raises(SwahrError, match="The camera 0 gives no picture; check"):
        Fakes(empty).source()
    with pytest.raises(SwahrError, match="8×48"):
        Fakes(tiny).source(SECRET_URL)
    assert empty.released.is_set()
    assert tiny.released.is_set()


def test_what_does_not_answer_is_refused_in_time(monkeypatch):
    monkeypatch.setattr(live, "PATIENCE", 0.05)
    hang = threading.Event()
    with pytest.raises(SwahrError, match=r"does not answer within 0\.05 s; check the address"):
        Fakes(hang).source(SECRET_URL)
    hang.set()


def test_nothing_told_or_kept_in_sight_holds_a_secret():
    fakes = Fakes(FakeReader(picture(), OSError(SECRET_URL)), OSError(SECRET_URL), FakeReader(picture()))
    with fakes.source(SECRET_URL) as source:
        list(islice(source, 2))
        seen = [source.info, source.notes, source.state_message, fakes.told, source]
    assert SECRET not in repr(seen)
    assert source.info.kind == "stream"


def test_cameras_are_the_capture_nodes(tmp_path):
    for number, (index, name) in {10: ("0", "Desk"), 2: ("0", "Front: \xe9"), 3: ("1", "Front")}.items():
        node = tmp_path / f"video{number}"
        node.mkdir()
        (node / "index").write_text(f"{index}\n")
        (node / "name").write_text(f"{name}\n")
    (tmp_path / "video4").mkdir()
    (tmp_path / "v4l-subdev0").mkdir()
    assert cameras(tmp_path) == [(2, "Front: \xe9"), (10, "Desk")]
    assert cameras(tmp_path / "absent") == []


def test_a_camera_that_is_not_there_is_refused_without_noise(capfd):
    from cv2.utils import logging

    before = logging.getLogLevel()
    with pytest.raises(SwahrError, match="The camera 97 cannot be opened; check that it is plugged in"):
        open_source("camera:97")
    assert logging.getLogLevel() == before
    assert capfd.readouterr() == ("", "")


class FakeCapture:
    """cv2.VideoCapture, with a picture that is blue, and then none."""

    def __init__(self, index):
        self.settings, self.pictures, self.open = {}, [np.full((48, 64, 3), (250, 5, 5), np.uint8)], index == 1

    def isOpened(self):  # noqa: N802
        return self.open

    def set(self, setting, value):
        self.settings[setting] = value

    def read(self):
        return (True, self.pictures.pop()) if self.pictures else (False, None)

    def release(self):
        self.open = False


def test_opencv_is_asked_for_size_and_rate_and_its_colours_are_swapped(monkeypatch):
    import cv2

    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    reader = live.CameraReader(Camera(1, (1280, 720), 30.0))
    settings = reader._capture.settings
    assert settings[cv2.CAP_PROP_FRAME_WIDTH] == 1280
    assert settings[cv2.CAP_PROP_FRAME_HEIGHT] == 720
    assert settings[cv2.CAP_PROP_FPS] == 30
    assert tuple(reader.read()[0, 0]) == (5, 5, 250)
    assert reader.read() is None
    reader.release()
    assert not reader._capture.open


@pytest.fixture
def served(tools, tmp_path):
    """The address of a folder that is served and holds a video of five frames; what was asked for."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    tools.write_video(tmp_path / "clip.mp4", tools.VideoSpec(frames=5, options=(("movflags", "faststart"),)))
    (tmp_path / "page.html").write_text("<p>no video</p>")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://admin:{SECRET}@127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_file_on_a_server_is_read_by_ffmpeg_at_its_own_pace_and_begins_again(tools, served):
    address, asked = served
    with open_source(f"{address}/clip.mp4?token={SECRET}") as source:
        told = []
        source.on_state = lambda state, message: told.append((state, message))
        assert source.info.kind == "stream"
        assert source.info.size == (160, 120)
        assert source.info.name == f"http://{address.partition('@')[2]}/clip.mp4?token=***"
        frames = list(islice(source, 8))
    assert [frame.index for frame in frames] == list(range(8))
    assert all(after.pts > before.pts for before, after in pairwise(frames))
    for frame in (frames[2], frames[7]):
        assert np.abs(frame.image.astype(int) - tools.picture(2, 160, 120)).mean() < 5
    assert told == [] and len(asked) == 2
    shown = [float(frame.time) for frame in frames[:5]]
    assert shown[4] - shown[0] >= 0.9 * 4 / 30


@pytest.mark.parametrize(("path", "why"), [("absent.mp4", "404"), ("page.html", "invalid data"), ("", "invalid data")])
def test_a_stream_that_cannot_be_opened_says_why(served, capfd, path, why):
    address, _ = served
    with pytest.raises(SwahrError) as error:
        open_source(f"{address}/{path}")
    told = str(error.value)
    assert told.startswith(f"The stream http://127.0.0.1:{address.rpartition(':')[2]}/{path} cannot be opened (")
    assert why in told
    assert SECRET not in "".join(traceback.format_exception(error.value))
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("protocol", ["rtsp", "RTSPS", "https", "rtmp"])
def test_nobody_listens(protocol, capfd):
    with pytest.raises(SwahrError, match="cannot be opened") as error:
        open_source(f"{protocol}://u:{SECRET}@127.0.0.1:9/x")
    assert SECRET not in "".join(traceback.format_exception(error.value))
    assert capfd.readouterr() == ("", "")


def test_silence_is_refused_in_time(monkeypatch):
    monkeypatch.setattr(live, "PATIENCE", 0.2)
    start = time.monotonic()
    with pytest.raises(SwahrError, match=r"does not answer within 0\.2 s"):
        open_source("udp://127.0.0.1:45991")
    assert time.monotonic() - start < 0.2 + 2 * AT_ONCE


def test_what_is_recorded_must_end(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(live, "LiveSource", None)  # it is not even opened
    with pytest.raises(SwahrError, match=r"^rtsp://host\.invalid:554/live.* never ends; ") as error:
        process(ProcessOptions(source=SECRET_URL))
    assert SECRET not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_mistyped_address_is_not_shown_in_full():
    with pytest.raises(SwahrError, match="no file or folder named rtps://host") as error:
        open_source(f"rtps://u:{SECRET}@host/x")
    assert SECRET not in str(error.value)
