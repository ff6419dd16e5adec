"""ONVIF cameras answer a probe within a bounded time, and tell the addresses of their streams."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from rigs.onvif_camera import OnvifCamera, onvif_camera

from edge.core.errors import AccessError, SourceError
from edge.sources import onvif

JUNK = (
    b"",
    b"\xff\xfe\x00",
    b"<a>",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
    b"<a><ProbeMatch><XAddrs>ftp://x file:///etc/passwd http://</XAddrs></ProbeMatch></a>",
    b"<a><ProbeMatch/></a>",
)


@pytest.fixture
def camera() -> Iterator[OnvifCamera]:
    with onvif_camera(user="admin", password="s3cret & <more>") as running:
        yield running


def test_a_camera_that_answers_is_found_by_its_name(camera: OnvifCamera) -> None:
    camera.answers = [*JUNK[1:], JUNK[0]]
    found = onvif.discover(0.6, camera.udp)
    assert found == [onvif.OnvifDevice("Front Door IPC-42", "127.0.0.1", camera.service)]


def test_where_nothing_answers_the_search_ends() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        assert onvif.discover(0.1, silent.getsockname()) == []


def test_a_network_that_takes_no_datagram_is_told() -> None:
    with pytest.raises(SourceError, match="takes no datagram"):
        onvif.discover(0.1, ("127.0.0.1", 0))


def test_streams_come_with_their_size_the_smallest_first(camera: OnvifCamera) -> None:
    assert onvif.streams(camera.service, "admin", "s3cret & <more>") == [
        onvif.OnvifStream("rtsp://127.0.0.1:554/sub?a=1&b=2", 640, 360),
        onvif.OnvifStream("rtsp://127.0.0.1:554/main?a=1&b=2", 2560, 1440),
    ]


@pytest.mark.parametrize(("user", "password"), [("", ""), ("admin", "wrong"), ("root", "s3cret & <more>")])
def test_a_login_that_is_refused_is_told(camera: OnvifCamera, user: str, password: str) -> None:
    with pytest.raises(AccessError, match="refuses the login") as refused:
        onvif.streams(camera.service, user, password)
    assert "s3cret" not in str(refused.value)


def test_a_camera_that_is_off_is_told() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(SourceError, match="refused"):
            onvif.streams(f"http://127.0.0.1:{closed.getsockname()[1]}/onvif/device_service")


def test_a_login_is_encoded_into_the_address() -> None:
    assert onvif.with_login("rtsp://h/x", "me", "p@s/s:1") == "rtsp://me:p%40s%2Fs%3A1@h/x"
    assert onvif.with_login("rtsp://h/x", "", "") == "rtsp://h/x"
