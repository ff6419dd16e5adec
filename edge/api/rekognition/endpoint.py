"""HTTP server of the Rekognition API. ``X-Amz-Target`` alone selects the operation; the path is ignored."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.api.http import bodies, listener, sigv4
from edge.api.http.replays import ReplayCache, Reply
from edge.api.http.server import HttpServer
from edge.api.rekognition import constraints, shapes
from edge.api.rekognition.call import Call
from edge.api.rekognition.errors import COME_BACK, SIGNATURE_ERRORS, ApiError, translated
from edge.api.rekognition.operations.table import NOT_HERE, OPERATIONS, Operation
from edge.api.rekognition.service import Service
from edge.api.s3.scope import is_for_buckets
from edge.core.errors import EdgeError, InputError, TransientError
from edge.core.settings.schema import Settings
from edge.core.system.heartbeat import Heartbeat

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from edge.api.s3.endpoint import ObjectEndpoint

log = logging.getLogger(__name__)

TARGET = "RekognitionService."
CONTENT_TYPE = "application/x-amz-json-1.1"
MAX_BODY = 16 << 20
"""bytes of a body that are kept; the rest is read and discarded"""
BODY_BUDGET = 64 << 20
"""bytes of bodies in transfer at the same time"""
LARGE_AT_ONCE = 4
"""large bodies processed at the same time; only verified requests count"""


class ApiServer:
    """The endpoint in its own thread.

    ``with_cameras``: the models are limited to their share of a core, and stream processors can start because the
    daemon calls ``processors.observe``. The other parameters are those of ``Service``.
    """

    def __init__(self, settings: Settings, state: Path, with_cameras: bool = True, **parts: Any) -> None:
        listener.refuse_open_door(settings.api)
        self.settings = settings
        share = settings.api.share if with_cameras else 1.0
        self.service = Service(settings, state, share=share, feeding=with_cameras, **parts)
        self.processors = self.service.processors
        api = settings.api
        self._http = HttpServer(
            application(self.service), api.host, api.port, api.proxies, name="Rekognition endpoint", setting="api.port"
        )
        self._stopped = False

    @property
    def port(self) -> int:
        """The port it listens on, once it is started."""
        return self._http.port

    @property
    def pulse(self) -> Heartbeat:
        """Beats on the endpoint's event loop."""
        return self._http.pulse

    def start(self) -> None:
        """Start listening. Raises SettingsError where the address cannot be bound."""
        self._http.bind()
        self.service.start()
        try:
            self._http.run()
        except TransientError:
            self.stop()
            raise
        log.info("the Rekognition endpoint listens on http://%s:%d", self._http.host, self.port)

    def stop(self) -> None:
        """Finish running requests, then close; also after a failed start."""
        if self._stopped:
            return
        self._stopped = True
        self._http.stop()
        self.service.stop()


def application(service: Service) -> ASGIApp:
    """The routes: POST and /healthz are served here, the pages' routes are added by their modules.

    Requests signed for S3 go to the buckets, whatever their path.
    """
    from starlette.applications import Starlette
    from starlette.datastructures import Headers
    from starlette.requests import Request
    from starlette.routing import Route

    endpoint = Endpoint(service)
    settings = service.settings
    names = {"localhost", settings.device.name, f"{settings.device.name}.local", *settings.page.hosts}
    buckets = LazyBuckets(service, frozenset(names))
    routes = Starlette(
        routes=[
            Route("/healthz", endpoint.health, methods=["GET"]),
            *service.pages,
            Route("/{path:path}", endpoint.answer, methods=["POST"]),
        ]
    )

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and is_for_buckets(Headers(scope=scope), scope["query_string"].decode("latin-1")):
            response = await (await buckets.endpoint()).answer(Request(scope, receive))
            await response(scope, receive, send)
        else:
            await routes(scope, receive, send)

    return answer


class LazyBuckets:
    """The S3 operations, loaded at the first request for them. Use on the event loop."""

    def __init__(self, service: Service, names: frozenset[str]) -> None:
        self._service, self._names = service, names
        self._endpoint: ObjectEndpoint | None = None
        self._loading = asyncio.Lock()

    async def endpoint(self) -> ObjectEndpoint:
        async with self._loading:
            if self._endpoint is None:
                self._endpoint = await asyncio.to_thread(self._loaded)
            return self._endpoint

    def _loaded(self) -> ObjectEndpoint:
        from edge.api.s3.endpoint import ObjectEndpoint

        service = self._service
        return ObjectEndpoint(service.settings.api, service.state, service.buckets, self._names, service.signatures)


class Endpoint:
    """Turns an HTTP request into an HTTP response: verify, validate, run the operation."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._secrets = {key: secret.get_secret_value() for key, secret in service.settings.api.keys.items()}
        self._bodies = bodies.BodyBudget(BODY_BUDGET)
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)
        self._replays = ReplayCache(service.signatures)

    async def health(self, request: Request) -> Response:  # noqa: ARG002
        from starlette.responses import JSONResponse

        return JSONResponse(self._service.health())

    async def answer(self, request: Request) -> Response:
        """The response to a Rekognition request, errors included."""
        reply = await _replied("", lambda: self._replied(request))
        return _response(reply)

    async def _replied(self, request: Request) -> Reply:
        """Verify before anything else is read; unverified parts of a request are not used."""
        head = _head(request)
        signature = self._signature(head)
        held = await self._bodies.read(request, MAX_BODY)
        try:
            if signature is None:
                return await self._operated(head.headers, sigv4.parsed(head.headers.get("authorization")), held)
            verified = signature.check(held.digest)
            operation = OPERATIONS.get(_operation(verified.headers))
            if operation is None or not operation.changes:
                return await self._operated(verified.headers, verified, held)
            reply = await self._replays.once(
                f"{verified.key} {verified.signature}",
                time.time(),
                verified.signed_at,
                self._service.settings.api.clock_skew,
                lambda: self._operated(verified.headers, verified, held),
            )
            if reply is None:
                raise ApiError(
                    "InvalidSignatureException", "This request was processed before; its response is not available."
                )
            return reply
        finally:
            held.release()

    def _signature(self, head: sigv4.RequestHead) -> sigv4.Signature | None:
        """None where no access keys are configured: requests are unsigned. Raises SignatureError, ApiError."""
        if not self._secrets:
            _refuse_strangers(head.headers)
            return None
        skew = self._service.settings.api.clock_skew
        return sigv4.opened(head, self._secrets, time.time(), skew, ("rekognition",))

    async def _operated(
        self, headers: Mapping[str, str], signed: sigv4.Verified | sigv4.Scope | None, held: bodies.HeldBody
    ) -> Reply:
        name = _operation(headers)
        return await _replied(name, lambda: self._run(name, signed.region if signed else "", held))

    async def _run(self, name: str, region: str, held: bodies.HeldBody) -> Reply:
        operation = OPERATIONS.get(name)
        if operation is None:
            raise _not_operated(name)
        if held.size <= bodies.SMALL:
            members = _members(name, held)
            return await self._submitted(operation, Call(self._service, name, members, region or self._region))
        async with self._large:
            members = await asyncio.to_thread(_members, name, held)
            held.release()
            return await self._submitted(operation, Call(self._service, name, members, region or self._region))

    async def _submitted(self, operation: Operation, call: Call) -> Reply:
        queue = self._service.queues[operation.queue]
        result: dict[str, Any] = await asyncio.wrap_future(queue.submit(lambda: operation.run(call)))
        return Reply(200, _encoded(result), str(uuid.uuid4()))

    @property
    def _region(self) -> str:
        return self._service.settings.api.region


async def _replied(name: str, run: Callable[[], Awaitable[Reply]]) -> Reply:
    """The reply of ``run``, or its error as a reply."""
    request_id = str(uuid.uuid4())
    try:
        return await run()
    except EdgeError as error:
        failure = translated(error)
        if failure.status == 500:
            log.error("%s %s: %s", request_id, name, error)
    except sigv4.SignatureError as error:
        failure = ApiError(SIGNATURE_ERRORS[error.reason], error.message)
    except ApiError as error:
        failure = error
    except MemoryError as error:
        log.error("%s %s: out of memory: %s", request_id, name, error)
        failure = ApiError("ThrottlingException", "There is not enough memory for this request at the moment.")
    except OSError as error:
        log.error("%s %s: %s", request_id, name, error)
        failure = ApiError("InternalServerError", "Internal server error")
    except Exception:
        log.exception("%s %s failed", request_id, name)
        failure = ApiError("InternalServerError", "Internal server error")
    final = failure.status < 500 and failure.name not in COME_BACK
    return Reply(failure.status, _encoded(_error_body(failure, request_id)), request_id, final)


def _head(request: Request) -> sigv4.RequestHead:
    """Raises SignatureError where a header is repeated."""
    path = request.scope.get("raw_path", request.url.path.encode()).decode("latin-1").split("?")[0]
    return sigv4.RequestHead(request.method, path, request.url.query, sigv4.single(request.scope["headers"]))


def _refuse_strangers(headers: Mapping[str, str]) -> None:
    """Refuse browsers and proxies without keys: a foreign page could use a local browser, a remote client a proxy."""
    if "origin" in headers or "sec-fetch-site" in headers:
        raise ApiError("AccessDeniedException", "Requests from browsers require api.keys.")
    if "forwarded" in headers or "x-forwarded-for" in headers:
        raise ApiError("AccessDeniedException", "Requests through a proxy require api.keys.")


def _operation(headers: Mapping[str, str]) -> str:
    return headers.get("x-amz-target", "").removeprefix(TARGET)


def _not_operated(name: str) -> ApiError:
    if name in NOT_HERE:
        return ApiError("NotImplementedException", f"{name} is not supported: {NOT_HERE[name]}.")
    return ApiError("UnknownOperationException", "X-Amz-Target is not an operation of Amazon Rekognition.")


def _members(name: str, held: bodies.HeldBody) -> dict[str, Any]:
    """The validated request. Raises ApiError."""
    try:
        document = bodies.parsed(held.data or b"{}")
    except InputError as error:
        raise ApiError("SerializationException", f"The request cannot be read: {error.message}.") from error
    return constraints.checked(name, document)


def _error_body(error: ApiError, request_id: str) -> dict[str, Any]:
    return {"__type": error.name, "Code": error.name, "Logref": request_id, "Message": error.message}


def _encoded(content: dict[str, Any]) -> bytes:
    return json.dumps(shapes.float32(content), allow_nan=False, separators=(",", ":")).encode()


def _response(reply: Reply) -> Response:
    from starlette.responses import Response

    return Response(reply.body, reply.status, {"x-amzn-RequestId": reply.request_id}, media_type=CONTENT_TYPE)
