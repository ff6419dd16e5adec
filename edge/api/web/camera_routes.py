"""Cameras in the browser: discovery, the streams of an ONVIF camera, a test picture before a camera is saved."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from edge.api.http import bodies
from edge.api.web.access import said
from edge.api.web.responses import in_thread
from edge.core.errors import EdgeError, InputError, SourceError
from edge.core.imaging import image as pictures
from edge.core.settings.schema import Settings
from edge.core.settings.vision import CameraSettings

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from edge.sources.discovery import CameraSearch, DiscoveredCamera

TEST_SECONDS = 15.0
"""time limit for the first picture of a camera"""
TEST_WIDTH = 960
MAX_ADDRESS = 2048
"""characters"""


class CameraRoutes:
    """At most one search and one test picture at a time."""

    def __init__(self, settings: Settings) -> None:
        self.search: Callable[[], CameraSearch] = _search
        self._settings = settings
        self._busy = asyncio.Lock()

    async def searched(self, request: Request) -> Response:  # noqa: ARG002
        """``POST /page/cameras/search``: cameras of this device and on its network."""
        async with self._busy:
            return await in_thread(self._searched)

    async def streams(self, request: Request) -> Response:
        """``POST /page/cameras/streams``: ``{"service", "user", "password"}`` of an ONVIF camera -> its streams."""
        try:
            document = await bodies.document(request)
            service, user, password = (_text(document, name) for name in ("service", "user", "password"))
            if not service.startswith(("http://", "https://")):
                raise InputError("service: expected an http address", "search for the camera again", code="service")
        except InputError as error:
            return said(400, error.message, error.hint)
        return await in_thread(lambda: _streams(service, user, password))

    async def tested(self, request: Request) -> Response:
        """``POST /page/cameras/test``: settings of a camera; returns a picture, or an error.

        Without ``source``, the source of the configured camera with this name is used.
        """
        from starlette.responses import Response

        try:
            camera = CameraSettings.model_validate({**self._known(await bodies.document(request)), "enabled": True})
        except InputError as error:
            return said(400, error.message, error.hint)
        except ValidationError as error:
            first = error.errors()[0]
            return said(400, f"{'.'.join(map(str, first['loc']))}: {first['msg']}", "correct it")
        async with self._busy:
            try:
                data = await asyncio.to_thread(_picture_of, camera)
            except EdgeError as error:
                return said(422, error.message, error.hint)
        return Response(data, media_type="image/jpeg")

    def _known(self, document: dict[str, Any]) -> dict[str, Any]:
        known = next((one for one in self._settings.cameras if one.name == document.get("name")), None)
        source = {"source": known.source.get_secret_value()} if known is not None else {}
        return {**source, **document}

    def _searched(self) -> dict[str, Any]:
        found = self.search()
        used = {one.source.get_secret_value(): one.name for one in self._settings.cameras}
        hosts = {one.source.parts.rest.partition("/")[0].partition(":")[0]: one.name for one in self._settings.cameras}

        def named(one: DiscoveredCamera) -> str:
            host = one.source.removeprefix("rtsp://").rstrip("/")
            return used.get(one.source) or (hosts.get(host, "") if one.kind == "onvif" else "")

        return {
            "cameras": [{**asdict(one), "used": named(one)} for one in found.cameras],
            "problems": list(found.problems),
        }


def _search() -> CameraSearch:
    from edge.sources import discovery

    return discovery.search()


def _streams(service: str, user: str, password: str) -> dict[str, Any]:
    from edge.sources import onvif

    found = onvif.streams(service, user, password)
    return {
        "streams": [
            {"source": onvif.with_login(one.address, user, password), "width": one.width, "height": one.height}
            for one in found
        ]
    }


def _text(document: dict[str, Any], name: str) -> str:
    value = document.get(name, "")
    if not isinstance(value, str) or len(value) > MAX_ADDRESS:
        raise InputError(f"{name}: expected a text of at most {MAX_ADDRESS} characters", "use the page", code=name)
    return value


def _picture_of(camera: CameraSettings) -> bytes:
    """The first frame of a camera as a JPEG. Raises EdgeError."""
    from edge.sources.factory import open_source

    source = open_source(camera.model_copy(update={"stall": min(camera.stall, TEST_SECONDS)}))
    try:
        for frame in source.frames():
            main = frame.main
            width = min(TEST_WIDTH, main.width)
            height = max(1, round(main.height * width / main.width))
            return pictures.encode_jpeg(pictures.resized_rgb(main, width, height), 80)
    finally:
        with suppress(EdgeError):
            source.close()
    raise SourceError(f"{source.name}: gave no picture", "check the address, and that nothing else uses the camera")
