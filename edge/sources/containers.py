"""Opens video files and streams with FFmpeg: only formats and protocols of a list, and errors without addresses.

A container can name other files and addresses (playlists, ``concat``, ``dash``, subtitles, numbered pictures). None of
those formats is on the list, and a file may use no protocol but ``file``: what a stranger sends reads nothing else.
FFmpeg's own messages quote addresses with their passwords. Only its error codes are passed on, and an error of
ours never carries one of FFmpeg's as its cause.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import av
import av.error

from edge.core.credentials import mask_credentials
from edge.core.errors import AccessError, SourceError
from edge.core.imaging.decoding import MOST_PIXELS
from edge.core.storage.files import expanded

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

FILE_FORMATS = (
    "mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "avi", "mpegts", "mpeg", "mpegvideo", "flv", "ogg",
    "asf", "h264", "hevc", "m4v", "av1", "obu", "ivf", "mjpeg", "mpjpeg", "jpeg_pipe", "gif", "dv", "nut", "mxf",
    "yuv4mpegpipe",
)  # fmt: skip
"""demuxers by FFmpeg's names; none of them opens a second file"""
STREAM_FORMATS = ("mpjpeg", "mjpeg", "jpeg_pipe", "png_pipe", "webp_pipe", "mpegts", "flv", "mov", "mp4", "matroska",
                  "webm", "h264", "hevc", "m4v", "asf", "ogg")  # fmt: skip
RTSP_FORMATS = ("rtsp", "rtp", "sdp", "mpegts")
RTSP_PROTOCOLS = ("rtp", "srtp", "udp", "tcp", "tls", "http", "https", "httpproxy", "crypto")
HTTP_PROTOCOLS = ("http", "https", "tcp", "tls", "httpproxy")
SYSTEM_CA_FILES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
PROBE_SECONDS = 5.0
"""of the handshake that only finds out why a certificate was refused"""

_REASONS: dict[type[Exception], tuple[str, str]] = {
    av.error.HTTPNotFoundError: ("it has no such stream", "check the path of the address"),
    av.error.ConnectionRefusedError: ("nothing listens there", "check host and port of the address"),
    av.error.InvalidDataError: ("it is not a video that can be read", "play it with ffplay to see what it holds"),
    av.error.PermissionError: ("permission denied", "add the user to the group that owns it (video, for cameras)"),
    av.error.ArgumentError: (
        "its format is not one that is read",
        "convert it to MP4 with H.264",
    ),
    av.error.OSError: ("it cannot be reached", "check that it is switched on, and the network"),
}
"""FFmpeg's error -> (what it means, what to try); the first that fits counts"""


def open_file(path: Path, name: str) -> InputContainer:
    """A video file. Raises SourceError, also for a format that is not in ``FILE_FORMATS``."""
    options = {"format_whitelist": ",".join(FILE_FORMATS), "protocol_whitelist": "file"}
    return opened(f"file:{path}", name, options=options)


def opened(
    file: str,
    name: str,
    *,
    format: str | None = None,  # noqa: A002
    options: Mapping[str, str] | None = None,
    timeout: tuple[float, float] | None = None,
) -> InputContainer:
    """``timeout``: seconds to open, and without a packet. Raises SourceError, AccessError."""
    try:
        return av.open(file, format=format, options=dict(options or {}), timeout=timeout)
    except (av.error.FFmpegError, ValueError) as error:
        raise explained(error, name, timeout[0] if timeout else 0.0) from None


def explained(error: Exception, name: str, stall: float) -> SourceError:
    """The SourceError for an error of FFmpeg. ``stall``: seconds of silence that count as an error."""
    if isinstance(error, av.error.ExitError | av.error.TimeoutError):
        return silent(name, stall)
    if isinstance(error, av.error.HTTPUnauthorizedError):
        return AccessError(f"{name}: it wants another user or password", "check user and password of the address")
    if isinstance(error, av.error.HTTPForbiddenError):
        return AccessError(f"{name}: it refuses this user", "give the user access in the camera's settings")
    if isinstance(error, av.error.OSError) and error.errno == errno.EIO and name.lower().startswith("http"):
        return SourceError(f"{name}: it sends nothing that can be read as a video", "open the address in a browser")
    for kind, (reason, hint) in _REASONS.items():
        if isinstance(error, kind):
            detail = f" ({error.strerror})" if isinstance(error, OSError) and error.strerror else ""
            return SourceError(f"{name}: {reason}{mask_credentials(detail)}", hint)
    return SourceError(f"{name}: cannot be read ({type(error).__name__})", "play it with ffplay to see what it holds")


def silent(name: str, stall: float) -> SourceError:
    return SourceError(f"{name}: nothing came for {stall:g} seconds", "check that it is switched on, and the network")


def video_stream(container: InputContainer, name: str) -> VideoStream:
    """The first video stream. Raises SourceError where there is none, or its pictures are too large."""
    if not container.streams.video:
        raise SourceError(f"{name}: it holds no video", "check that it is the right file or stream")
    stream = container.streams.video[0]
    check_size(stream.codec_context.width, stream.codec_context.height, name)
    return stream


def check_size(width: int, height: int, name: str) -> None:
    """Raises SourceError where pictures of this size (pixels) are not decoded."""
    if width * height > MOST_PIXELS:
        raise SourceError(f"{name}: {width} x {height} pixels are too many", "make the video smaller")


# --- TLS --------------------------------------------------------------------------------------------------------


def tls_options(verify: bool, ca: Path | None) -> dict[str, str]:
    """FFmpeg's options of ``rtsps://`` and ``https://``: the certificate and its host name are verified.

    ``ca``: file of the CA certificates to trust; the system's where not given. Raises SourceError where there are none.
    """
    if not verify:
        return {"tls_verify": "0"}
    file = str(expanded(ca)) if ca else system_ca_file()
    if not file or not os.access(file, os.R_OK):
        raise SourceError(
            f"the CA certificates cannot be read: {file or 'the system has none'}",
            "set tls_ca of the camera to a file of CA certificates, or install ca-certificates",
        )
    return {"tls_verify": "1", "ca_file": file}


def system_ca_file() -> str:
    """The system's CA certificates, or those of ``$SSL_CERT_FILE``; empty where there are none."""
    paths = ssl.get_default_verify_paths()
    candidates = (os.environ.get("SSL_CERT_FILE"), paths.cafile, *SYSTEM_CA_FILES)
    return next((path for path in candidates if path and os.path.isfile(path)), "")  # noqa: PTH113


def refused_certificate(address: str, ca: Path | None, default_port: int) -> str:
    """Why the certificate of a TLS address is not trusted; empty where it is. Sends no credentials."""
    parts = urlsplit(address)
    try:
        host, port = parts.hostname or "", parts.port or default_port
        context = ssl.create_default_context(cafile=str(expanded(ca)) if ca else system_ca_file() or None)
        with (
            socket.create_connection((host, port), PROBE_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host),
        ):
            return ""
    except ssl.SSLCertVerificationError as error:
        return error.verify_message or error.reason
    except (OSError, ValueError):
        return ""
