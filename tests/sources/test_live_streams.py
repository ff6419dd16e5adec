"""Live streams as cameras send them: each row of the table in edge/sources/README.md that needs no RTSP server."""

from __future__ import annotations

import datetime
import ipaddress
import itertools
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from rigs.live_http import HttpCamera, Stream, http_camera, jpeg, mjpeg, paced, transport_stream

from edge.core.errors import AccessError, SourceError
from edge.core.imaging import image as pictures
from edge.core.settings.vision import CameraSettings
from edge.core.types import Frame
from edge.sources import av as av_sources
from edge.sources.av import _StreamLife
from edge.sources.base import CameraState
from edge.sources.factory import open_source
from edge.sources.reconnect import REFUSED, Backoff, reconnecting, retry_now

MULTIPART = "multipart/x-mixed-replace; boundary=edge"


def camera(address: str, **changes: object) -> CameraSettings:
    return CameraSettings.model_validate({"name": "gate", "source": address, "fps": 100, "stall": 5.0, **changes})


def frames_of(address: str, count: int, **changes: object) -> list[Frame]:
    with closing(open_source(camera(address, **changes))) as source:
        return list(itertools.islice(source.frames(), count))


def shade(frame: Frame) -> float:
    return float(pictures.to_rgb(frame.main).mean())


def serve(kind: str, stream: Stream) -> dict[str, tuple[str, Stream]]:
    return {"/stream": (kind, stream)}


@pytest.mark.parametrize("garbage", [b"", b"\r\n\r\n", b"\x00\x01garbage\xff\xd8\xff between\r\n" * 20])
def test_mjpeg_over_http_is_read_also_with_garbage_between_the_pictures(garbage: bytes) -> None:
    with http_camera(serve(MULTIPART, lambda: mjpeg(60, garbage))) as server:
        frames = frames_of(f"{server.address}/stream", 10)
    assert len(frames) == 10
    assert all(0 <= shade(frame) <= 70 for frame in frames)
    assert [frame.sequence for frame in frames] == list(range(10))


def test_a_single_picture_is_fetched_again_and_again() -> None:
    with http_camera(serve("image/jpeg", lambda: [jpeg(99)])) as server:
        frames = frames_of(f"{server.address}/stream", 4, fps=20)
        assert len(server.requests) >= 4
    assert all(abs(shade(frame) - 99) < 4 for frame in frames)


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(lambda: transport_stream("libx264"), id="H.264"),
        pytest.param(lambda: transport_stream("libx265", **{"x265-params": "log-level=none"}), id="H.265"),
        pytest.param(lambda: transport_stream("mpeg2video", flags="+ildct+ilme"), id="interlaced MPEG-2"),
        pytest.param(lambda: transport_stream("libx264", pts=lambda n: n + (90000 if n > 20 else 0)), id="jumps ahead"),
        pytest.param(lambda: transport_stream("libx264") + transport_stream("libx264"), id="starts again"),
        pytest.param(lambda: transport_stream("libx264", pts=lambda n: n + (1 << 33) // 3600 - 20), id="wraps"),
        pytest.param(lambda: b"\x47garbage" * 99 + transport_stream("libx264"), id="garbage ahead"),
    ],
)
def test_a_stream_is_read_whatever_its_timestamps_say(stream: Callable[[], bytes]) -> None:
    data = stream()
    with http_camera(serve("video/mp2t", lambda: paced(data))) as server:
        frames = frames_of(f"{server.address}/stream", 30)
    assert len(frames) >= 12
    assert all(later.monotonic >= earlier.monotonic for earlier, later in itertools.pairwise(frames))


def test_a_resolution_that_changes_in_the_middle_changes_the_frames() -> None:
    with http_camera(serve(MULTIPART, lambda: mjpeg(40, sizes=((160, 96), (320, 192))))) as server:
        sizes = {(frame.main.width, frame.main.height) for frame in frames_of(f"{server.address}/stream", 38)}
    assert sizes == {(160, 96), (320, 192)}


def test_pictures_that_become_too_large_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.sources.containers.MOST_PIXELS", 20_000)
    with (
        http_camera(serve(MULTIPART, lambda: mjpeg(40, sizes=((160, 96), (320, 192))))) as server,
        pytest.raises(SourceError, match="320 x 192 pixels are too many"),
    ):
        frames_of(f"{server.address}/stream", 38)


@pytest.mark.parametrize("kind", ["application/vnd.apple.mpegurl", "text/plain"])
def test_a_playlist_is_no_stream_and_opens_nothing(kind: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.ts"
    secret.write_bytes(transport_stream("libx264"))
    text = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile://{secret}\n#EXTINF:2,\n/inside\n#EXT-X-ENDLIST\n"
    with http_camera(serve(kind, lambda: [text.encode()])) as server:
        with pytest.raises(SourceError, match=r"not one that is read|not a video|as a video"):
            frames_of(f"{server.address}/stream", 1)
        assert set(server.requests) == {"/stream"}


def test_a_password_of_any_characters_is_sent_as_it_is() -> None:
    with http_camera(serve(MULTIPART, lambda: mjpeg(20)), user="cam:p/w#1 @?%") as server:
        address = server.address.replace("://", "://cam:p/w#1 @?%@")
        assert len(frames_of(f"{address}/stream", 3)) == 3


def test_a_refused_password_is_tried_once_and_then_not_for_many_minutes() -> None:
    states: list[CameraState] = []
    stop = threading.Event()
    with http_camera(serve(MULTIPART, lambda: mjpeg(20)), user="cam:right") as server:
        address = server.address.replace("://", "://cam:wrong@") + "/stream"
        thread = threading.Thread(
            target=lambda: list(reconnecting(camera(address), stop, states.append, Backoff(first=0.05, most=0.1)))
        )
        thread.start()
        while not any(state.state == "lost" for state in states):
            assert thread.is_alive()
            thread.join(0.05)
        thread.join(1.5)
        asked = len(server.requests)
        stop.set()
        thread.join(5)
    assert asked <= 2  # FFmpeg asks without the user first
    assert "another user or password" in states[-1].reason
    assert "after a reload" in states[-1].reason
    assert "wrong" not in states[-1].reason


def test_pauses_after_refused_logins_are_long_and_grow() -> None:
    backoff = Backoff(chance=lambda: 1.0)
    pauses = [backoff.refused() for _ in range(5)]
    assert pauses[0] == REFUSED / 2 >= 600
    assert pauses == sorted(pauses)
    assert backoff.next() < 1.0  # other failures have pauses of their own


def test_a_stream_that_ends_is_opened_again() -> None:
    states: list[CameraState] = []
    with http_camera(serve(MULTIPART, lambda: mjpeg(5))) as server:
        frames = reconnecting(
            camera(f"{server.address}/stream"), threading.Event(), states.append, Backoff(first=0.05, most=0.1)
        )
        got = list(itertools.islice(frames, 12))
    assert [frame.sequence for frame in got] == list(range(12))
    assert [state.state for state in states].count("live") >= 2


# packets without pictures


class FakePacket:
    size = 100

    def __init__(self, keyframe: bool = False) -> None:
        self.is_keyframe = keyframe


def test_packets_without_a_key_frame_are_waited_for_and_told_now_and_then() -> None:
    life, told = _StreamLife("gate", 10.0, 0.0), []
    for second in range(1, 61):
        life.packet(FakePacket(), float(second))
        told.append(life.look(float(second)))
    assert 5 <= sum(bool(one) for one in told) <= 12
    assert "waiting for a key frame" in "".join(told)
    life.packet(FakePacket(keyframe=True), 60.5)
    life.picture(60.6)
    assert life.look(61.0) == ""


def test_no_packet_for_the_stall_time_is_an_error() -> None:
    life = _StreamLife("gate", 10.0, 0.0)
    life.packet(FakePacket(), 5.0)
    assert life.look(14.0)
    with pytest.raises(SourceError, match="nothing came for 10 seconds"):
        life.look(15.1)


def test_a_key_frame_that_gives_no_picture_is_an_error_after_the_stall_time() -> None:
    life = _StreamLife("gate", 10.0, 0.0)
    for second in range(12):
        life.packet(FakePacket(keyframe=second == 1), float(second))
    with pytest.raises(SourceError, match="none could be decoded"):
        life.look(11.5)


def test_no_key_frame_for_longer_than_any_interval_is_an_error() -> None:
    life = _StreamLife("gate", 10.0, 0.0)
    for second in range(301):
        life.packet(FakePacket(), float(second))
        life.look(float(second))
    life.packet(FakePacket(), 300.5)
    with pytest.raises(SourceError, match="no key frame"):
        life.look(300.5)


class LateKeyFrame:
    """A live source whose key frame comes late."""

    live = True
    name = "late"

    def __init__(self, camera: CameraSettings, target: str) -> None:
        self.on_waiting = lambda _: None

    def frames(self):
        for _ in range(3):
            self.on_waiting("late: packets come; waiting for a key frame")
        yield Frame("gate", 0, 0.0, 0.0, pictures.read(PORTRAIT))

    def close(self) -> None:
        """Nothing."""


PORTRAIT = next((Path(av_sources.__file__).parents[1] / "data" / "portraits").rglob("*.jpg"))


def test_waiting_is_the_state_of_the_camera_and_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("edge.core.plugins.load", lambda *_: LateKeyFrame)
    states: list[CameraState] = []
    frames = reconnecting(camera("synthetic"), threading.Event(), states.append)
    next(frames)
    assert [state.state for state in states] == ["connecting"] * 4 + ["live"]
    assert states[1].reason == "late: packets come; waiting for a key frame"
    assert caplog.text.count("waiting for a key frame") == 1


# certificates


DAY = datetime.timedelta(days=1)


def certificate(folder: Path, name: str, address: str = "127.0.0.1") -> Path:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - DAY).not_valid_after(now + DAY)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / f"{name}.pem"
    path.write_bytes(pem)
    return path


@pytest.fixture
def secure(tmp_path: Path):
    own = certificate(tmp_path, "camera")
    with http_camera(serve(MULTIPART, lambda: mjpeg(60)), certificate=own) as server:
        yield server, own


def test_a_certificate_is_verified_against_the_ca_of_the_camera(secure: tuple[HttpCamera, Path]) -> None:
    server, own = secure
    assert len(frames_of(f"{server.address}/stream", 3, tls_ca=str(own))) == 3


def test_an_unknown_certificate_gets_no_password(secure: tuple[HttpCamera, Path], tmp_path: Path) -> None:
    server, _ = secure
    other = certificate(tmp_path, "other")
    for changes in ({}, {"tls_ca": str(other)}):
        with pytest.raises(SourceError, match="certificate is not trusted") as caught:
            frames_of(f"{server.address.replace('://', '://cam:secret@')}/stream", 1, **changes)
        assert "tls_ca" in caught.value.hint
        assert "secret" not in str(caught.value)
    assert server.requests == []


@contextmanager
def rtsps_camera(own: Path) -> Iterator[tuple[str, list[bytes]]]:
    """Its address, and the first bytes of each client that took its certificate; it answers none of them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own)
    said: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        with suppress(OSError):
            while True:
                client = listener.accept()[0]
                client.settimeout(5)
                with suppress(OSError), context.wrap_socket(client, server_side=True) as secured:
                    if data := secured.recv(4096):
                        said.append(data)

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield f"rtsps://cam:secret@127.0.0.1:{listener.getsockname()[1]}/live", said
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@pytest.mark.parametrize(
    ("changes", "trusted"),
    [({}, False), ({"tls_ca": "other"}, False), ({"tls_ca": "camera"}, True), ({"tls_verify": False}, True)],
    ids=["system", "other", "own", "not-verified"],
)
def test_an_rtsps_camera_hears_nothing_before_its_certificate_is_trusted(
    tmp_path: Path, changes: dict[str, object], trusted: bool
) -> None:
    files = {name: str(certificate(tmp_path, name)) for name in ("camera", "other")}
    wanted = changes | ({"tls_ca": files[str(changes["tls_ca"])]} if "tls_ca" in changes else {})
    with rtsps_camera(Path(files["camera"])) as (address, said):
        with pytest.raises(SourceError) as caught:
            frames_of(address, 1, stall=3.0, **wanted)
        assert [data.split()[0] for data in said[:1]] == ([b"OPTIONS"] if trusted else [])
    assert ("certificate is not trusted" in caught.value.message) is not trusted
    assert "secret" not in str(caught.value)


def test_a_certificate_of_another_host_is_refused(tmp_path: Path) -> None:
    own = certificate(tmp_path, "somebody", address="192.0.2.1")
    with http_camera(serve(MULTIPART, lambda: mjpeg(60)), certificate=own) as server:
        with pytest.raises(SourceError, match="certificate is not trusted"):
            frames_of(f"{server.address}/stream", 1, tls_ca=str(own))
        assert server.requests == []


def test_verification_is_left_out_by_word_alone(secure: tuple[HttpCamera, Path]) -> None:
    assert len(frames_of(f"{secure[0].address}/stream", 3, tls_verify=False)) == 3


def test_a_ca_file_that_is_not_there_is_an_error(secure: tuple[HttpCamera, Path], tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="CA certificates cannot be read"):
        frames_of(f"{secure[0].address}/stream", 1, tls_ca=str(tmp_path / "none.pem"))


def test_a_refusal_is_its_own_kind_of_error() -> None:
    with (
        http_camera(serve(MULTIPART, lambda: mjpeg(20)), user="cam:right") as server,
        pytest.raises(AccessError, match="another user or password"),
    ):
        frames_of(f"{server.address}/stream", 1)


def test_a_reload_ends_the_pause_after_a_refused_login() -> None:
    states: list[CameraState] = []
    stop = threading.Event()
    with http_camera(serve(MULTIPART, lambda: mjpeg(20)), user="cam:right") as server:
        address = server.address.replace("://", "://cam:wrong@") + "/stream"
        thread = threading.Thread(target=lambda: list(reconnecting(camera(address), stop, states.append)))
        thread.start()
        while [state.state for state in states].count("lost") < 2:
            assert thread.is_alive()
            if states and states[-1].state == "lost":
                retry_now()
            thread.join(0.05)
        stop.set()
        thread.join(5)
    assert not thread.is_alive()
