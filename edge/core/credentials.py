"""Credentials in addresses and in text: parsed, percent-encoded, and masked wherever text is printed.

``mask_credentials`` is applied to every log line and to the message of every ``EdgeError``: it masks the addresses that
this process knows exactly, and by pattern everything else that looks like a credential. Settings that may hold an
address with a password have the type ``edge.core.settings.address.SecretAddress``.
"""

from __future__ import annotations

import json
import re
import threading
from collections import OrderedDict
from dataclasses import dataclass
from urllib.parse import quote, unquote

MASK = "***"
REMEMBERED = 512
"""user parts of addresses that are masked exactly; the oldest are forgotten first"""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_PORT = re.compile(r":\d{1,5}$")
_BARE = re.compile(r"[^\s/@:]+:(?P<password>\S*)@(?=[\w\[])")
"""a user with a password before a host, where the scheme was left out: ``cam:secret@192.0.2.3/live``"""
_HOST = re.compile(r"(\[[0-9A-Fa-f:.%\w]+\]|[\w.-]+)(:\d{1,5})?$")

_USER_WITHOUT_SPACE = r"(?:(?!://)\S)*@"
_HOST_AND_PORT = r"(?:[^\s/@:]*\.[^\s/@:]*|localhost):\d{1,5}(?:[/\s,;)]|$)"
_USER_WITH_SPACE = rf"(?!{_HOST_AND_PORT})[^\s/@:]*:(?:(?!://)[^\n])*@(?=[\w\[])"
_USER = re.compile(rf"(?<=://)(?!\*\*\*@)(?:{_USER_WITH_SPACE}|{_USER_WITHOUT_SPACE})")
_NAMES = r"user(?:name)?|login|pass(?:wd|word|phrase)?|pwd|psw|auth|(?:\w+[_-])?(?:token|secret)|(?:api|access)[_-]?key"
_QUOTED = re.compile(rf"\b((?:{_NAMES})\s*=\s*)'(?:[^'\\]|\\.)+'", re.IGNORECASE)
_PAIR = re.compile(rf"\b((?:{_NAMES})=)(?!\*\*\*)[^&\s]+?(?=['\"),;\]}}>]*(?:[&\s]|$))", re.IGNORECASE)
_HEADER = re.compile(r"(\bauthorization['\"]?\s*[:=]\s*['\"]?)[^\r\n'\"]+", re.IGNORECASE)

_known: OrderedDict[str, str] = OrderedDict()
"""pattern of a credential in text -> its replacement"""
_known_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class AddressParts:
    """The parts of an address; a password may hold any character."""

    scheme: str
    """with ``://``; empty where the text is no address"""
    user: str | None
    """what stands before the ``@`` of the host, as written; None: there is none"""
    rest: str
    """host, port, path and query"""

    @property
    def username(self) -> str:
        """Decoded."""
        return unquote((self.user or "").partition(":")[0])

    @property
    def password(self) -> str:
        """Decoded."""
        return unquote((self.user or "").partition(":")[2])


def split_address(address: str) -> AddressParts:
    """Take an address apart. The user ends at the ``@`` that is followed by the most plausible host.

    RFC 3986 allows no ``/``, ``?``, ``#`` or ``@`` in a user, but cameras' passwords hold them and people write them
    unencoded: ``rtsp://cam:p/w#1@host/live``.
    """
    found = _SCHEME.match(address)
    if found is None:
        bare = _BARE.match(address)
        return (
            AddressParts("", address[: bare.end() - 1], address[bare.end() :])
            if bare
            else AddressParts("", None, address)
        )
    body = address[found.end() :]
    authority = re.split(r"[/?#]", body, maxsplit=1)[0]
    places = [place for place, character in enumerate(body) if character == "@"]
    own = _plausible_host(authority) if "@" not in authority and (":" not in authority or _HOST.match(authority)) else 0
    if not places or (own > 1 and not _looks_like_user(authority)) or (own and ":" not in authority):
        return AddressParts(found[0], None, body)  # an @ further on belongs to the path
    last = authority.rfind("@")
    at = max(places, key=lambda place: (_plausible_host(body[place + 1 :]), place == last, -abs(place - last)))
    return AddressParts(found[0], body[:at], body[at + 1 :])


def _looks_like_user(authority: str) -> bool:
    """``cam:1234`` may be a user with a password of digits; ``192.0.2.3:554`` and ``localhost:554`` are hosts."""
    name = authority.partition(":")[0]
    return ":" in authority and "." not in name and name != "localhost" and not authority.startswith("[")


def _plausible_host(text: str) -> int:
    host = re.split(r"[/?#@]", text, maxsplit=1)[0]
    if not _HOST.match(host):
        return 0
    return 2 if "." in host or host.startswith("[") or _PORT.search(host) or host == "localhost" else 1


def encoded_address(address: str) -> str:
    """The address with its user percent-encoded where it has to be; what is encoded already stays as it is."""
    parts = split_address(address)
    if parts.user is None:
        return address
    user, colon, password = parts.user.partition(":")
    return f"{parts.scheme}{_encoded(user)}{colon}{_encoded(password)}@{parts.rest}"


def _encoded(text: str) -> str:
    stray = re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", text)
    return quote(stray, safe="%!$&'()*+,;=~")


def masked_address(address: str) -> str:
    """The address without its user, and without the values of a query that are secret: ``rtsp://***@host/live``."""
    parts = split_address(address)
    rest = _mask_pairs(parts.rest, within_address=True) if parts.scheme else _mask_pairs(parts.rest)
    return f"{parts.scheme}{MASK}@{rest}" if parts.user is not None else f"{parts.scheme}{rest}"


def mask_credentials(text: str) -> str:
    """``text`` without the credentials in it: ``rtsp://***@host/path``, ``?password=***``, ``Authorization: ***``.

    Where a line leaves open how far a password reaches, too much is masked rather than too little.
    """
    if _known:
        with _known_lock:
            known = list(_known.items())
        for secret, instead in known:
            if secret in text:
                text = text.replace(secret, instead)
    if "://" in text:
        text = _USER.sub(f"{MASK}@", text)
    return _mask_pairs(text)


def _mask_pairs(text: str, within_address: bool = False) -> str:
    if "=" not in text and ":" not in text:
        return text
    if within_address and "?" in text:
        head, _, query = text.partition("?")
        pairs = (re.sub(rf"^((?:{_NAMES}|key|sig(?:nature)?)=).+", rf"\1{MASK}", pair, flags=re.I | re.S)
                 for pair in query.split("&"))  # fmt: skip
        text = f"{head}?{'&'.join(pairs)}"
    return _PAIR.sub(rf"\1{MASK}", _QUOTED.sub(rf"\1{MASK}", _HEADER.sub(rf"\1{MASK}", text)))


def remember_address(address: str) -> None:
    """Have ``mask_credentials`` cover this address exactly, in the forms in which it is quoted by others."""
    parts = split_address(address)
    covers = {}
    if parts.user:
        covers[f"{parts.scheme}{parts.user}@"] = f"{parts.scheme}{MASK}@"
        encoded = encoded_address(address)
        covers[encoded[: len(encoded) - len(parts.rest)]] = f"{parts.scheme}{MASK}@"
    if (masked := masked_address(address)) != address:
        covers[address] = masked
    with _known_lock:
        for secret, instead in covers.items():
            for form in {
                secret,
                repr(secret)[1:-1],
                json.dumps(secret)[1:-1],
                json.dumps(secret, ensure_ascii=False)[1:-1],
            }:
                _known[form] = instead
                _known.move_to_end(form)
        while len(_known) > REMEMBERED:
            _known.popitem(last=False)
        ordered = sorted(_known.items(), key=lambda one: -len(one[0]))
        _known.clear()
        _known.update(ordered)
