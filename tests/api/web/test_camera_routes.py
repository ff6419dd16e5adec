"""Cameras over a real connection: searched, asked for their streams, tried before they are saved."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from rigs.onvif_camera import OnvifCamera, onvif_camera
from rigs.page import Served, served

from edge.sources import discovery


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path, cameras=[{"name": "door", "source": "synthetic"}]) as made:
        yield made


@pytest.fixture
def camera() -> Iterator[OnvifCamera]:
    with onvif_camera(user="admin", password="s3cret") as running:
        yield running


def test_a_camera_of_the_network_is_found_with_its_streams(page: Served, camera: OnvifCamera) -> None:
    page.page.cameras.search = partial(discovery.search, 0.4, Path("/nowhere"), camera.udp)
    status, said = page.post("/page/cameras/search")
    assert status == 200
    (found,) = said["cameras"]
    assert (found["kind"], found["name"], found["used"]) == ("onvif", "Front Door IPC-42", "")
    login = {"service": found["service"], "user": "admin", "password": "s3cret"}
    status, said = page.post("/page/cameras/streams", login)
    assert [one["source"] for one in said["streams"]] == [
        "rtsp://admin:s3cret@127.0.0.1:554/sub?a=1&b=2",
        "rtsp://admin:s3cret@127.0.0.1:554/main?a=1&b=2",
    ]
    status, said = page.post("/page/cameras/streams", {**login, "password": "wrong"})
    assert status >= 400
    assert "refuses the login" in said["error"]


@pytest.mark.parametrize("service", ["", "file:///etc/passwd", 7, "http://" + "x" * 3000])
def test_a_service_that_is_none_is_refused(page: Served, service: object) -> None:
    assert page.post("/page/cameras/streams", {"service": service})[0] == 400


def test_a_camera_that_exists_is_tried_by_its_name(page: Served) -> None:
    status, headers, body = page.ask("POST", "/page/cameras/test", b'{"name": "door"}', X_Edge_Page="1")
    assert (status, headers["content-type"], body[:2]) == (200, "image/jpeg", b"\xff\xd8")


def test_only_who_manages_may_look_for_cameras(tmp_path: Path) -> None:
    users = {"kim": {"token": "kims-token", "role": "review"}}
    with served(tmp_path, page={"users": users}) as page:
        for action in ("search", "streams", "test"):
            status, said = page.post(f"/page/cameras/{action}", {}, Authorization="Bearer kims-token")
            assert status == 403, said
