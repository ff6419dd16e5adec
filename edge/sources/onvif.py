"""ONVIF cameras on the local network: found by WS-Discovery, and asked for the addresses of their streams.

WS-Discovery (OASIS, April 2005) is one datagram to 239.255.255.250:3702 that every camera answers by itself. Streams
come from the camera's media service (ONVIF Media, version 1): GetCapabilities, GetProfiles, GetStreamUri, with the user
name token of WS-Security where the camera wants a login.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import re
import secrets
import socket
import time
import urllib.error
import urllib.request
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timezone
from urllib.parse import quote, unquote, urlsplit
from xml.sax.saxutils import escape

from edge.core.errors import AccessError, SourceError

GROUP = ("239.255.255.250", 3702)
"""address of WS-Discovery on every network"""
WAIT_SECONDS = 3.0
"""that cameras have to answer; they answer within half a second"""
MAX_DEVICES = 64
MAX_DATAGRAM = 65535
MAX_BYTES = 256 << 10
"""of an answer of a camera"""
ANSWER_SECONDS = 5.0
MAX_STREAMS = 16
SOAP = "http://www.w3.org/2003/05/soap-envelope"
MEDIA = "http://www.onvif.org/ver10/media/wsdl"
DEVICE = "http://www.onvif.org/ver10/device/wsdl"
SECURITY = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
UTILITY = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
DIGEST = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest"
PROBE = """<?xml version="1.0" encoding="utf-8"?>
<e:Envelope xmlns:e="{soap}" xmlns:w="http://schemas.xmlsoap.org/ws/2004/08/addressing"
 xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" xmlns:n="http://www.onvif.org/ver10/network/wsdl">
<e:Header><w:MessageID>urn:uuid:{id}</w:MessageID><w:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To>
<w:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</w:Action></e:Header>
<e:Body><d:Probe><d:Types>n:NetworkVideoTransmitter</d:Types></d:Probe></e:Body></e:Envelope>"""
REFUSED = "check the user and the password; many cameras have a user of their own for ONVIF, and need their clock set"


@dataclass(frozen=True, slots=True)
class OnvifDevice:
    """A camera that answered."""

    name: str
    """as it calls itself; its host where it has no name"""
    host: str
    service: str
    """address of its device service"""


@dataclass(frozen=True, slots=True)
class OnvifStream:
    """One of the streams of a camera."""

    address: str
    """rtsp://..., without a login"""
    width: int
    """pixels; 0: not told"""
    height: int


def discover(wait: float = WAIT_SECONDS, target: tuple[str, int] = GROUP) -> list[OnvifDevice]:
    """The cameras that answer within ``wait`` seconds, by name. Raises SourceError where nothing can be sent."""
    probe = PROBE.format(soap=SOAP, id=uuid.uuid4()).encode()
    found: dict[str, OnvifDevice] = {}
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as link:
        try:
            link.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
            link.sendto(probe, target)
        except OSError as error:
            raise SourceError(f"ONVIF: the network takes no datagram: {error}", "check the network") from error
        for answer in _answers(link, wait):
            for device in _devices(answer):
                found.setdefault(device.service, device)
            if len(found) >= MAX_DEVICES:
                break
    return sorted(found.values(), key=lambda one: (one.name.casefold(), one.service))


def streams(service: str, user: str = "", password: str = "") -> list[OnvifStream]:
    """The streams of a camera, the smallest picture first. Raises SourceError, AccessError for a refused login."""
    capabilities = _ask(service, f'<GetCapabilities xmlns="{DEVICE}"><Category>Media</Category></GetCapabilities>',
                        user, password)  # fmt: skip
    media = _text(capabilities, "XAddr") or service
    found = []
    for profile in _all(_ask(media, f'<GetProfiles xmlns="{MEDIA}"/>', user, password), "Profiles")[:MAX_STREAMS]:
        token = escape(profile.get("token", ""), {'"': "&quot;"})
        body = (
            f'<GetStreamUri xmlns="{MEDIA}"><StreamSetup><Stream xmlns="http://www.onvif.org/ver10/schema">RTP-Unicast'
            '</Stream><Transport xmlns="http://www.onvif.org/ver10/schema"><Protocol>RTSP</Protocol></Transport>'
            f"</StreamSetup><ProfileToken>{token}</ProfileToken></GetStreamUri>"
        )
        address = _text(_ask(media, body, user, password), "Uri")
        if re.match(r"rtsps?://[^/]", address):
            resolution = next(iter(_all(profile, "Resolution")), profile)
            found.append(OnvifStream(address, _number(resolution, "Width"), _number(resolution, "Height")))
    if not found:
        raise SourceError(f"{service}: the camera names no RTSP stream", "write its address by hand")
    return sorted(found, key=lambda one: one.width * one.height)


def with_login(address: str, user: str, password: str) -> str:
    """``rtsp://user:password@host/path``."""
    scheme, _, rest = address.partition("://")
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
    return f"{scheme}://{login}{rest}"


def _answers(link: socket.socket, wait: float) -> Iterator[bytes]:
    until = time.monotonic() + wait
    while (left := until - time.monotonic()) > 0:
        link.settimeout(left)
        try:
            yield link.recvfrom(MAX_DATAGRAM)[0]
        except TimeoutError:
            return
        except OSError:
            continue  # a refusal by another machine says nothing about cameras


def _devices(answer: bytes) -> Iterator[OnvifDevice]:
    root = _parsed(answer)
    for match in _all(root, "ProbeMatch") if root is not None else []:
        addresses = [one for one in _text(match, "XAddrs").split() if re.match(r"https?://[^/]", one)]
        services = [one for one in addresses if urlsplit(one).hostname]
        if services:
            # a camera may list IPv6 addresses of its link first, which need a zone
            service = next((one for one in services if not one.startswith(("http://[", "https://["))), services[0])
            host = urlsplit(service).hostname or ""
            yield OnvifDevice(_name(_text(match, "Scopes")) or host, host, service)


def _name(scopes: str) -> str:
    found = {
        kind: unquote(value) for kind, value in re.findall(r"onvif://www\.onvif\.org/(name|hardware)/(\S+)", scopes)
    }
    words = " ".join(dict.fromkeys(value for value in (found.get("name", ""), found.get("hardware", "")) if value))
    return "".join(character for character in words if character.isprintable())[:80]


def _ask(url: str, body: str, user: str, password: str) -> ET.Element:
    """One SOAP request. Raises SourceError, AccessError."""
    header = f"<e:Header>{_login(user, password)}</e:Header>" if user else ""
    text = f'<e:Envelope xmlns:e="{SOAP}">{header}<e:Body>{body}</e:Body></e:Envelope>'
    headers = {"Content-Type": "application/soap+xml; charset=utf-8", "User-Agent": "edge"}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # cameras are on this network
    try:
        request = urllib.request.Request(url, text.encode(), headers, method="POST")  # noqa: S310 - checked: http
        with opener.open(request, timeout=ANSWER_SECONDS) as answer:
            data = answer.read(MAX_BYTES + 1)
    except urllib.error.HTTPError as error:
        told = error.read(MAX_BYTES)
        if error.code in (401, 403) or b"NotAuthorized" in told:
            raise AccessError(f"{url}: the camera refuses the login", REFUSED) from error
        raise SourceError(f"{url}: the camera answered {error.code}", "write its address by hand") from error
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise SourceError(f"{url}: {reason}", "check that the camera is on, or write its address by hand") from error
    root = _parsed(data) if len(data) <= MAX_BYTES else None
    if root is None:
        raise SourceError(f"{url}: the answer is no SOAP document", "write its address by hand")
    return root


def _login(user: str, password: str) -> str:
    """The user name token of WS-Security: a digest of nonce, time and password (SHA-1 by its standard)."""
    nonce, created = secrets.token_bytes(16), datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    digest = hashlib.sha1(nonce + created.encode() + password.encode(), usedforsecurity=False).digest()
    return (
        f'<s:Security xmlns:s="{SECURITY}" xmlns:u="{UTILITY}"><s:UsernameToken><s:Username>{escape(user)}</s:Username>'
        f'<s:Password Type="{DIGEST}">{base64.b64encode(digest).decode()}</s:Password>'
        f"<s:Nonce>{base64.b64encode(nonce).decode()}</s:Nonce><u:Created>{created}</u:Created>"
        "</s:UsernameToken></s:Security>"
    )


def _parsed(data: bytes) -> ET.Element | None:
    """None for what is no XML, or declares entities: no camera needs any."""
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        return None
    try:
        return ET.fromstring(data)  # noqa: S314 - without a DOCTYPE nothing expands
    except (ET.ParseError, ValueError, LookupError):
        return None


def _all(root: ET.Element, name: str) -> list[ET.Element]:
    """Every element of a name, whatever its namespace: cameras differ in those."""
    return [one for one in root.iter() if one.tag.rpartition("}")[2] == name]


def _text(root: ET.Element, name: str) -> str:
    return next(((one.text or "").strip() for one in _all(root, name)), "")


def _number(root: ET.Element, name: str) -> int:
    text = _text(root, name)
    return int(text) if text.isdecimal() and len(text) < 6 else 0
