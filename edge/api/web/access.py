"""Access control of the page: a token, or, where none is set, this machine only; never from another site.

With a token no address is exempt: a proxy on this machine connects from loopback for all clients.

A browser on this machine may also run a hostile page. That page can send requests to this server and, once its own name
resolves to this address (DNS rebinding), read the responses. Requests must therefore address this device by an IP
address or a known name, and must not come from another site.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import secrets
import socket
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from edge.api.http import bodies
from edge.core.errors import InputError
from edge.core.settings.services import PageSettings

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

Handler = Callable[["Request"], Awaitable["Response"]]

COOKIE = "edge-session"
MARK = "x-edge-page"
"""a header that the page's script sends with each change; cross-site scripts would need CORS permission for it"""
SESSION_SECONDS = 30 * 86400
SESSIONS = 64
TRIES, TRIES_SECONDS = 5, 60.0
"""wrong tokens per address in this period, after which further logins are refused"""
ADDRESSES = 1024
"""addresses whose wrong tokens are counted"""
WRONG_PAUSE = 0.5
MOST_LOGIN = 4096
"""bytes of a login document"""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "form-action 'self'; manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


Role = Literal["look", "review", "manage"]
RANK: dict[Role, int] = {"look": 0, "review": 1, "manage": 2}
"""a role includes the rights of lower roles"""
OWNER, LOCAL = "owner", "local"
"""names of the visitors with ``page.token``, and without a token"""


@dataclass(frozen=True, slots=True)
class Visitor:
    """The sender of a request: its name and role."""

    name: str
    role: Role


@dataclass(slots=True)
class PageSession:
    """A login session of one browser."""

    visitor: Visitor
    until: float
    """monotonic time in seconds when the session ends at the latest"""
    seen: float
    """monotonic time in seconds of the latest request"""


class AccessControl:
    """Decides on each request. Use on the endpoint's loop only."""

    def __init__(self, settings: PageSettings, device: str) -> None:
        owner = {settings.token.get_secret_value().encode(): Visitor(OWNER, "manage")}
        others = {
            one.token.get_secret_value().encode(): Visitor(name, one.role) for name, one in settings.users.items()
        }
        self._tokens: dict[bytes, Visitor] = {token: one for token, one in {**others, **owner}.items() if token}
        self._idle = settings.idle_days * 86400
        names = {"localhost", device, f"{device}.local", socket.gethostname(), *settings.hosts}
        self._names = {name.lower() for name in names}
        self._sessions: OrderedDict[str, PageSession] = OrderedDict()
        self._wrong: OrderedDict[str, list[float]] = OrderedDict()

    def open(self, handler: Handler) -> Handler:
        """For resources without secrets: the page itself, its script and style sheet."""
        return self._guarded(handler, None, changing=False)

    def private(self, handler: Handler, role: Role = "look") -> Handler:
        """For resources that require a role."""
        return self._guarded(handler, role, changing=False)

    def changing(self, handler: Handler, role: Role = "manage") -> Handler:
        """For requests that change something."""
        return self._guarded(handler, role, changing=True)

    async def asked(self, request: Request) -> Response:
        """Whether this browser must log in first; a successful response, so that browsers log no error."""
        from starlette.responses import JSONResponse

        visitor = self._visitor(request, request.headers.get("host", ""))
        found = {"who": visitor.name, "role": visitor.role} if visitor else {}
        return JSONResponse({"login": bool(self._tokens) and visitor is None, **found})

    async def logout(self, request: Request) -> Response:
        """End the session of this browser."""
        from starlette.responses import JSONResponse

        if refusal := self._refusal(request, None, changing=True):
            return refusal
        self._sessions.pop(request.cookies.get(COOKIE, ""), None)
        answer = JSONResponse({"ok": True}, headers=HEADERS)
        answer.delete_cookie(COOKIE, path="/")
        return answer

    async def login(self, request: Request) -> Response:
        """Create a session for a token, as an HttpOnly cookie."""
        from starlette.responses import JSONResponse

        address = request.client.host if request.client else ""
        if refusal := self._refusal(request, None, changing=True):
            return refusal
        if not self._tokens:
            return said(403, "there is no token to log in with", "set page.token, or look from this machine")
        if self._tried_too_often(address):
            return said(429, "too many wrong tokens", "wait a minute")
        visitor = self._holder(await _token_of(request))
        if visitor is None:
            self._wrong.setdefault(address, []).append(time.monotonic())
            await asyncio.sleep(WRONG_PAUSE)
            return said(401, "that is not the token", "look at page.token, or the credential page-token")
        self._wrong.pop(address, None)
        session = secrets.token_urlsafe(32)
        now = time.monotonic()
        self._sessions[session] = PageSession(visitor, now + SESSION_SECONDS, now)
        while len(self._sessions) > SESSIONS:
            self._sessions.popitem(last=False)
        answer = JSONResponse({"ok": True, "who": visitor.name, "role": visitor.role}, headers=HEADERS)
        answer.set_cookie(COOKIE, session, max_age=SESSION_SECONDS, httponly=True, samesite="strict", path="/")
        return answer

    def _guarded(self, handler: Handler, role: Role | None, *, changing: bool) -> Handler:
        async def answer(request: Request) -> Response:
            response = self._refusal(request, role, changing) or await handler(request)
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
            return response

        return answer

    def _refusal(self, request: Request, role: Role | None, changing: bool) -> Response | None:
        """The error response for a refused request, or None. ``role``: the required role; None: public."""
        host = request.headers.get("host", "")
        if not self._is_ours(host):
            return said(
                421, f"this device does not go by {host[:80]!r}", "use its address, or add the name to page.hosts"
            )
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return said(403, "the request comes from another site", "open this device's own page")
        site = request.headers.get("sec-fetch-site", "none")
        navigates = request.headers.get("sec-fetch-mode") == "navigate" and role is None and not changing
        if site not in ("same-origin", "none") and not navigates:
            return said(403, "the request comes from another site", "open this device's own page")
        if changing and request.headers.get(MARK) != "1":
            return said(403, f"the header {MARK}: 1 is missing", "use the page")
        return None if role is None else self._role_refusal(request, host, role)

    def _role_refusal(self, request: Request, host: str, role: Role) -> Response | None:
        visitor = self._visitor(request, host)
        if visitor is None and not self._tokens:
            return said(403, "only this machine may look: no token is set", "set page.token")
        if visitor is None:
            return said(401, "log in first", "POST the token to /page/login, or send it as a bearer token")
        if RANK[visitor.role] < RANK[role]:
            return said(403, f"the role {visitor.role!r} may not do this", f"log in with the role {role!r} or higher")
        named = visitor.name if visitor.name in (OWNER, LOCAL) else f"{visitor.name} ({visitor.role})"
        request.scope["edge.who"] = named
        return None

    def _is_ours(self, host: str) -> bool:
        """Whether the Host header names this device. Names must be known; an IP address cannot be rebound by DNS."""
        name = _hostname(host)
        return name in self._names or _address(name) is not None

    def _visitor(self, request: Request, host: str) -> Visitor | None:
        if not self._tokens:
            return Visitor(LOCAL, "manage") if _is_local(request, host) else None
        session, now = self._sessions.get(request.cookies.get(COOKIE, "")), time.monotonic()
        if session is not None and now < session.until and now - session.seen < self._idle:
            session.seen = now
            return session.visitor
        address = request.client.host if request.client else ""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or self._tried_too_often(address):
            return None
        visitor = self._holder(token.strip().encode("utf-8", "surrogatepass"))
        if visitor is None:
            self._wrong.setdefault(address, []).append(time.monotonic())
        return visitor

    def _holder(self, given: bytes) -> Visitor | None:
        """The visitor with this token. All tokens are compared, so that timing reveals nothing."""
        found = [one for token, one in self._tokens.items() if hmac.compare_digest(given, token)]
        return found[0] if found else None

    def _tried_too_often(self, address: str) -> bool:
        now = time.monotonic()
        recent = [moment for moment in self._wrong.get(address, []) if now - moment < TRIES_SECONDS]
        if recent:
            self._wrong[address] = recent
        else:
            self._wrong.pop(address, None)
        while len(self._wrong) > ADDRESSES:
            self._wrong.popitem(last=False)
        return len(recent) >= TRIES


def _is_local(request: Request, host: str) -> bool:
    """Whether the request comes from a program on this machine, and not through a proxy."""
    client = _address(request.client.host if request.client else "")
    forwarded = "forwarded" in request.headers or "x-forwarded-for" in request.headers
    name = _hostname(host)
    to_itself = name == "localhost" or bool((address := _address(name)) and address.is_loopback)
    return client is not None and client.is_loopback and to_itself and not forwarded


def visitor_of(request: Request) -> str:
    """The visitor's name for the record of changes: the token's name, with the role where that may differ."""
    name: str = request.scope.get("edge.who", "")
    return name


def said(status: int, error: str, hint: str = "") -> Response:
    """An error response in the page's JSON format."""
    from starlette.responses import JSONResponse

    return JSONResponse({"error": error, "try": hint}, status, headers=HEADERS)


async def _token_of(request: Request) -> bytes:
    try:
        token = (await bodies.document(request, MOST_LOGIN)).get("token")
    except InputError:
        return b""
    return token.encode("utf-8", "surrogatepass") if isinstance(token, str) else b""


def _hostname(host: str) -> str:
    """The name in a Host header, without its port and brackets."""
    name = host.rsplit(":", 1)[0] if ":" in host and not host.endswith("]") else host
    return name.strip("[]").lower().rstrip(".")


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
