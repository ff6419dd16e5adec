"""A camera that speaks HTTP: streams and pictures made in memory, with Basic authentication where wanted."""

from __future__ import annotations

import base64
import io
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np

from edge.core.imaging import image as pictures

Stream = Callable[[], Iterable[bytes]]


def jpeg(shade: int, width: int = 160, height: int = 96) -> bytes:
    return pictures.encode_jpeg(np.full((height, width, 3), shade, np.uint8))


def mjpeg(count: int, garbage: bytes = b"", sizes: tuple[tuple[int, int], ...] = ((160, 96),)) -> Iterator[bytes]:
    """Parts of multipart/x-mixed-replace, 50 a second; ``garbage`` stands between them."""
    for number in range(count):
        data = jpeg(number % 256, *sizes[number * len(sizes) // count])
        head = f"--edge\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n".encode()
        yield head + data + b"\r\n" + garbage
        time.sleep(0.02)


def transport_stream(codec: str, frames: int = 50, pts: Callable[[int], int] = int, **more: str) -> bytes:
    """An MPEG-TS of ``frames`` pictures, 25 a second; ``pts`` gives the timestamp of each in frames."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mpegts") as container:
        stream = container.add_stream(codec, rate=25, options={"g": "10", "bf": "0", **more})
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        shades = [np.full((96, 160, 3), number % 256, np.uint8) for number in range(frames)]
        packets = []
        for number, rgb in enumerate(shades):
            frame = av.VideoFrame.from_ndarray(rgb, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            packets += stream.encode(frame)
        for packet in [*packets, *stream.encode(None)]:
            number = round(packet.pts * packet.time_base * 25)
            shift = int(Fraction(pts(number) - number, 25) / packet.time_base)
            packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
            container.mux(packet)
    return buffer.getvalue()


def paced(data: bytes, pieces: int = 50) -> Iterator[bytes]:
    """``data`` in a second or so, as a camera sends it."""
    size = len(data) // pieces + 1
    for start in range(0, len(data), size):
        yield data[start : start + size]
        time.sleep(0.02)


class HttpCamera:
    """Serves what ``paths`` holds: path -> (content type, stream)."""

    def __init__(self, paths: dict[str, tuple[str, Stream]], user: str = "", certificate: Path | None = None) -> None:
        self.requests: list[str] = []
        self.refused = 0
        camera, wanted = self, "Basic " + base64.b64encode(user.encode()).decode()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                camera.requests.append(self.path)
                if user and self.headers.get("Authorization") != wanted:
                    camera.refused += 1
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="camera"')
                    self.end_headers()
                    return
                if self.path not in paths:
                    self.send_error(404)
                    return
                kind, stream = paths[self.path]
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.end_headers()
                try:
                    for piece in stream():
                        self.wfile.write(piece)
                except OSError:
                    return

            def log_message(self, *_: object) -> None:
                """Silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.address = f"{'https' if certificate else 'http'}://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def http_camera(
    paths: dict[str, tuple[str, Stream]], user: str = "", certificate: Path | None = None
) -> Iterator[HttpCamera]:
    camera = HttpCamera(paths, user, certificate)
    try:
        yield camera
    finally:
        camera.close()
