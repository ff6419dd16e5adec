"""An ONVIF camera on loopback: answers WS-Discovery by UDP and its media service by HTTP, as real ones were seen to."""

from __future__ import annotations

import base64
import hashlib
import http.server
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?><SOAP-ENV:Envelope xmlns:SOAP-ENV="http://www.w3.org/2003/05/soap-envelope" '
    'xmlns:tt="http://www.onvif.org/ver10/schema" xmlns:trt="http://www.onvif.org/ver10/media/wsdl" '
    'xmlns:tds="http://www.onvif.org/ver10/device/wsdl" xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery">'
    "<SOAP-ENV:Body>{body}</SOAP-ENV:Body></SOAP-ENV:Envelope>"
)
MATCH = (
    "<d:ProbeMatches><d:ProbeMatch><d:Types>dn:NetworkVideoTransmitter</d:Types><d:Scopes>"
    "onvif://www.onvif.org/type/ptz onvif://www.onvif.org/name/Front%20Door onvif://www.onvif.org/hardware/IPC-42"
    "</d:Scopes>"
    "<d:XAddrs>http://[fe80::1]/onvif/device_service http://127.0.0.1:{port}/onvif/device_service</d:XAddrs>"
    "</d:ProbeMatch></d:ProbeMatches>"
)
PROFILES = "".join(
    f'<trt:Profiles token="{token}" fixed="true"><tt:Name>{token}</tt:Name><tt:VideoEncoderConfiguration>'
    f"<tt:Resolution><tt:Width>{width}</tt:Width><tt:Height>{height}</tt:Height></tt:Resolution></tt:VideoEncoderConfiguration>"
    "</trt:Profiles>"
    for token, width, height in (("main", 2560, 1440), ("sub&1", 640, 360))
)


@dataclass
class OnvifCamera:
    """``udp``: where it hears probes; ``port``: of its services. ``user``, ``password``: what it asks for."""

    user: str = ""
    password: str = ""
    udp: tuple[str, int] = ("127.0.0.1", 0)
    port: int = 0
    answers: list[bytes] = field(default_factory=list)
    """more datagrams that it answers a probe with, before the right one"""

    @property
    def service(self) -> str:
        return f"http://127.0.0.1:{self.port}/onvif/device_service"

    def accepts(self, text: str) -> bool:
        if not self.user:
            return True
        found = [
            re.search(rf"<\w:{name}(?: [^>]*)?>([^<]*)", text) for name in ("Username", "Password", "Nonce", "Created")
        ]
        if not all(found):
            return False
        user, digest, nonce, created = (one[1] for one in found if one)
        wanted = hashlib.sha1(base64.b64decode(nonce) + created.encode() + self.password.encode()).digest()
        return user == self.user and base64.b64decode(digest) == wanted

    def answer(self, text: str) -> str:
        if "GetCapabilities" in text:
            media = self.service.replace("device_service", "media")
            return f"<tds:Capabilities><tt:Media><tt:XAddr>{media}</tt:XAddr></tt:Media></tds:Capabilities>"
        if "GetProfiles" in text:
            return f"<trt:GetProfilesResponse>{PROFILES.replace('&', '&amp;')}</trt:GetProfilesResponse>"
        token = re.search("<ProfileToken>(.*)</ProfileToken>", text)
        path = {"main": "main", "sub&amp;1": "sub"}[token[1] if token else ""]
        return f"<trt:MediaUri><tt:Uri>rtsp://127.0.0.1:554/{path}?a=1&amp;b=2</tt:Uri></trt:MediaUri>"


@contextmanager
def onvif_camera(**wanted: str) -> Iterator[OnvifCamera]:
    """A camera that answers while the block runs."""
    camera = OnvifCamera(**wanted)  # type: ignore[arg-type]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            good = camera.accepts(text)
            body = camera.answer(text) if good else "<SOAP-ENV:Fault>ter:NotAuthorized</SOAP-ENV:Fault>"
            data = ENVELOPE.format(body=body).encode()
            self.send_response(200 if good else 400)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    link.bind(("127.0.0.1", 0))

    def hear() -> None:
        while True:
            data, asker = link.recvfrom(65535)
            if not data:
                return
            if b"NetworkVideoTransmitter" in data:
                for one in (*camera.answers, ENVELOPE.format(body=MATCH.format(port=camera.port)).encode()):
                    link.sendto(one, asker)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        camera.udp, camera.port = link.getsockname(), server.server_port
        threads = [threading.Thread(target=work, daemon=True) for work in (server.serve_forever, hear)]
        for thread in threads:
            thread.start()
        try:
            yield camera
        finally:
            server.shutdown()
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"", camera.udp)
            for thread in threads:
                thread.join(10)
            link.close()
