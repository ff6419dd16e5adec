"""HTTP: a body in, an answer out. ``X-Amz-Target`` alone says which operation; the path does not matter."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.api.http import bodies, listener
from edge.api.rekognition import constraints, sigv4
from edge.api.rekognition.call import Call
from edge.api.rekognition.errors import ApiError, translated
from edge.api.rekognition.operations.table import NOT_HERE, OPERATIONS
from edge.api.rekognition.service import Service
from edge.core.errors import EdgeError, TransientError
from edge.core.settings.schema import Settings
from edge.core.system.heartbeat import Heartbeat

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

log = logging.getLogger(__name__)

TARGET = "RekognitionService."
CONTENT_TYPE = "application/x-amz-json-1.1"
MAX_BODY = 16 << 20
"""bytes of a body that is kept; what comes past it is read and thrown away"""
LARGE_BODY = 64 << 10
LARGE_AT_ONCE = 4
"""bodies above LARGE_BODY in memory at a time: the others wait unread, so memory stays bounded"""
MAX_CONNECTIONS = 256
START_SECONDS = 30.0


class ApiServer:
    """The endpoint in a thread of its own.

    ``with_cameras``: its models keep to their share of a core, and stream processors start because somebody calls
    ``processors.observe``. The other parts are those of ``Service``.
    """

    def __init__(self, settings: Settings, state: Path, with_cameras: bool = True, **parts: Any) -> None:
        listener.refuse_open_door(settings.api)
        self.settings = settings
        share = settings.api.share if with_cameras else 1.0
        self.service = Service(settings, state, share=share, feeding=with_cameras, **parts)
        self.processors = self.service.processors
        self.port = settings.api.port
        self.pulse = Heartbeat()
        """of the loop that answers"""
        self._server: Any = None
        self._thread: threading.Thread | None = None
        self._stopped = False

    def start(self) -> None:
        """Listen. Raises SettingsError where the address cannot be had."""
        import uvicorn

        api = self.settings.api
        config = uvicorn.Config(
            application(self.service),
            host=api.host,
            port=api.port,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=5,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
        )
        pulse = self.pulse

        class Server(uvicorn.Server):
            async def on_tick(self, counter: int) -> bool:
                pulse.beat()
                return await super().on_tick(counter)

        self._server = Server(config)
        opened = listener.listening(api, config.backlog)
        self.port = opened.getsockname()[1]
        self.service.start()
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [opened]}, name="api", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._server.started and self._thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        if not self._server.started:
            self.stop()
            raise TransientError("the Rekognition endpoint did not come up", "look at the log above, and start again")
        log.info("the Rekognition endpoint listens on http://%s:%d", api.host, self.port)

    def stop(self) -> None:
        """Answer what is being answered, then close; also after a start that failed."""
        if self._stopped:
            return
        self._stopped = True
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
            self.pulse.rest()
        self.service.stop()


def application(service: Service) -> Starlette:
    """The routes: POST and /healthz are served here, other pages are added by their owners."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    endpoint = Endpoint(service)
    return Starlette(
        routes=[
            Route("/healthz", endpoint.health, methods=["GET"]),
            *service.pages,
            Route("/{path:path}", endpoint.answer, methods=["POST"]),
        ]
    )


class Endpoint:
    """From an HTTP request to an HTTP response."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)

    async def health(self, request: Request) -> Response:  # noqa: ARG002
        from starlette.responses import JSONResponse

        return JSONResponse(self._service.health())

    async def answer(self, request: Request) -> Response:
        """Rekognition's answer, errors included."""
        request_id = str(uuid.uuid4())
        try:
            content = await self._answered(request)
            return _response(200, content, request_id)
        except EdgeError as error:
            failure = translated(error)
            if failure.status >= 500:
                log.error("%s %s: %s", request_id, _operation(request), error)
        except ApiError as error:
            failure = error
        except Exception:
            log.exception("%s %s failed", request_id, _operation(request))
            failure = ApiError("InternalServerError", "Internal server error")
        return _response(failure.status, _error_body(failure, request_id), request_id)

    async def _answered(self, request: Request) -> dict[str, Any]:
        if _length(request) <= LARGE_BODY:
            return await self._operate(request)
        async with self._large:
            return await self._operate(request)

    async def _operate(self, request: Request) -> dict[str, Any]:
        body = await bodies.body(request, MAX_BODY, "request")
        signed = self._verified(request, body)
        name = _operation(request)
        operation = OPERATIONS.get(name)
        if operation is None:
            raise _not_operated(name)
        members = constraints.checked(name, _json(body))
        del body
        call = Call(self._service, name, members, signed.region if signed else self._service.settings.api.region)
        lane = self._service.lanes[operation.lane]
        result: dict[str, Any] = await asyncio.wrap_future(lane.submit(lambda: operation.run(call)))
        return result

    def _verified(self, request: Request, body: bytes) -> sigv4.Signed | None:
        api = self._service.settings.api
        headers = {name.lower(): value for name, value in request.headers.items()}
        if not api.keys:
            _refuse_browsers(headers)
            return sigv4.parsed(headers.get("authorization"))
        path = request.scope.get("raw_path", request.url.path.encode()).decode("latin-1").split("?")[0]
        message = sigv4.RequestParts(request.method, path, request.url.query, headers, body)
        secrets = {key: secret.get_secret_value() for key, secret in api.keys.items()}
        return sigv4.verify(message, secrets, time.time(), api.clock_skew)


def _refuse_browsers(headers: Mapping[str, str]) -> None:
    """A page of another site could ask through the browser of this machine; programs send neither header."""
    if "origin" in headers or "sec-fetch-site" in headers:
        raise ApiError("AccessDeniedException", "Requests from browsers are not answered without api.keys.")


def _operation(request: Request) -> str:
    return request.headers.get("x-amz-target", "").removeprefix(TARGET)


def _not_operated(name: str) -> ApiError:
    if name in NOT_HERE:
        return ApiError("NotImplementedException", f"{name} is not here: {NOT_HERE[name]}.")
    return ApiError("UnknownOperationException", "X-Amz-Target names no operation of Amazon Rekognition.")


def _length(request: Request) -> int:
    """Bytes that the body says it has; a body that does not say counts as large."""
    text = request.headers.get("content-length", "")
    return int(text) if text.isdecimal() and len(text) < 16 else MAX_BODY


def _json(body: bytes) -> object:
    try:
        return json.loads(body or b"{}", parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ApiError("SerializationException", "The request's body is not JSON.") from error


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _error_body(error: ApiError, request_id: str) -> dict[str, Any]:
    return {"__type": error.name, "Code": error.name, "Logref": request_id, "Message": error.message}


def _response(status: int, content: dict[str, Any], request_id: str) -> Response:
    from starlette.responses import Response

    body = json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
    return Response(body, status, {"x-amzn-RequestId": request_id}, media_type=CONTENT_TYPE)
