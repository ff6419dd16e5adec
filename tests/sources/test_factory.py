from __future__ import annotations

import pytest

from edge.core.errors import SettingsError
from edge.core.settings.vision import CameraSettings
from edge.sources.base import FrameRate, StoredClock
from edge.sources.factory import check, open_source, split


@pytest.mark.parametrize(
    ("source", "name", "target"),
    [
        ("auto", "auto", ""),
        ("picamera2", "picamera2", ""),
        ("picamera2:1", "picamera2", "1"),
        ("v4l2:/dev/video2", "v4l2", "/dev/video2"),
        ("video:/srv/a:b.mp4", "video", "/srv/a:b.mp4"),
        ("rtsp://u:p@10.0.0.1:554/s?x=1", "rtsp", "rtsp://u:p@10.0.0.1:554/s?x=1"),
        ("RTSPS://host/s", "rtsp", "RTSPS://host/s"),
        ("synthetic", "synthetic", ""),
        ("synthetic:people", "synthetic", "people"),
        ("your.module:Source", "your.module:Source", ""),
        ("your.module:Source:a:b", "your.module:Source", "a:b"),
    ],
)
def test_a_source_is_split_into_name_and_target(source: str, name: str, target: str) -> None:
    assert split(source) == (name, target)


@pytest.mark.parametrize(
    "source", ["video:film.mp4", "images:.", "rtsp://host/s", "v4l2:/dev/video0", "auto", "synthetic"]
)
def test_nothing_is_opened_before_frames_are_wanted(source: str) -> None:
    opened = open_source(CameraSettings(source=source))
    opened.close()
    assert opened.live == (source.split(":")[0] in {"rtsp", "v4l2", "auto"})


def test_an_unknown_source_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"picamera2.*video"):
        open_source(CameraSettings(name="door", source="webcam"))


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("192.0.2.3:554/live", "before the host"),
        ("cam:hunter2@192.0.2.3:554/live", "before the host"),
        ("camera.local/live", "before the host"),
        ("192.0.2.3", "before the host"),
        ("rtsp:/192.0.2.3/live", "'://'"),
        ("rtsp//192.0.2.3/live", "'://'"),
        ("rtsp:192.0.2.3/live", "'://'"),
        ('"rtsp://192.0.2.3/live"', "without quotes"),
        ("<rtsp://192.0.2.3/live>", "without quotes"),
        ("rtspt://192.0.2.3/live", "transport"),
        ("rtmp://192.0.2.3/live", "go2rtc"),
        ("srt://192.0.2.3:9000", "go2rtc"),
        ("onvif://192.0.2.3", "go2rtc"),
        ("ffmpeg:rtsp://192.0.2.3/live", "go2rtc"),
        ("/dev/video0", "v4l2:/dev/video0"),
        ("video0", "v4l2:/dev/video0"),
        ("0", "v4l2:/dev/video0"),
        ("usb:0", "v4l2:/dev/video0"),
        ("file:///srv/a.mp4", "video:PATH"),
        ("C:\\Videos\\a.mp4", "video:PATH"),
        ("\\\\nas\\a.mp4", "video:PATH"),
        ("~/a.mp4", "video:PATH"),
        ("smb://nas/a.mp4", "mount the share"),
        ("rtsp://", "rtsp://192.0.2.3:554/live"),
        ("rtsp:///live", "rtsp://192.0.2.3:554/live"),
        ("rtsp://192.0.2.3:99999/live", "%40"),
        ("rtsp://192.0.2.3:port/live", "%40"),
    ],
)
def test_an_address_as_people_write_it_is_told_how_to_be_written(source: str, hint: str) -> None:
    with pytest.raises(SettingsError) as refused:
        check(CameraSettings(name="door", source=source))
    assert hint in refused.value.hint
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "source",
    [
        "rtsp://cam:p@ss@192.0.2.3/live",
        "rtsp://cam:p:a@ss#w/o?rd@192.0.2.3:554/live?x=1",
        "rtsp://[2001:db8::1]:554/live",
        "rtsp://u:p@[fe80::1%eth0]/live",
        " RTSP://CAM:pw@192.0.2.3/Live ",
        "rtsp://me@example.org:pw@192.0.2.3/live",
        "rtsp://domain\\user:pw@192.0.2.3/live",
        "rtsp://host_with_underscore/user=admin&password=x&channel=1.sdp?",
        "rtsp://münchen-kamera.example:8554/live",
        "http://192.0.2.3/cgi-bin/snap?user=a&password=b#c",
    ],
)
def test_an_address_that_is_one_is_taken_as_it_is_written(source: str) -> None:
    check(CameraSettings(name="door", source=source))


def test_an_address_of_an_unknown_kind_is_refused_without_its_password() -> None:
    with pytest.raises(SettingsError, match="rtsp") as caught:
        open_source(CameraSettings(source="gopher://admin:hunter2@host/s"))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "wanted", "expected"), [(30, 5, 5), (25, 5, 5), (30, 25, 25), (10, 30, 10), (29.97, 10, 10)]
)
def test_a_rate_lets_through_what_is_wanted(given: float, wanted: float, expected: float) -> None:
    rate = FrameRate(wanted)
    passed = sum(rate.wants(100 + number / given) for number in range(int(given * 20)))
    assert abs(passed / 20 - expected) <= 0.06 * expected


def test_a_rate_survives_a_clock_that_goes_back() -> None:
    rate = FrameRate(5)
    assert rate.wants(100.0)
    assert rate.wants(3.0)
    assert not rate.wants(3.1)


class FakeTime:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_stored_time_goes_on_by_itself_where_it_is_not_played_at_its_pace() -> None:
    time = FakeTime()
    clock = StoredClock(False, time.monotonic, time.sleep)
    moments = [clock.moment(at)[0] for at in (0.0, 1.0, 60.0)]
    assert moments == [1000.0, 1001.0, 1060.0]
    assert time.now == 1000.0


def test_stored_time_is_waited_for_at_its_own_pace() -> None:
    time = FakeTime()
    clock = StoredClock(True, time.monotonic, time.sleep)
    clock.moment(0.0)
    clock.moment(2.5)
    assert time.now == 1002.5


def test_a_slow_reader_shifts_the_rest_instead_of_getting_a_burst() -> None:
    time = FakeTime()
    clock = StoredClock(True, time.monotonic, time.sleep)
    clock.moment(0.0)
    time.now += 30
    assert clock.moment(1.0)[0] == 1030.0
    assert clock.moment(1.5)[0] == 1030.5
