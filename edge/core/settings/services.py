"""Settings of what the device fetches, serves and says of itself."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from edge.core.settings.address import SecretAddress
from edge.core.settings.base import Fraction, Seconds, Section


def _http_address(value: SecretAddress) -> SecretAddress:
    """``https://host/path``, without a slash at its end that would count twice."""
    address = value.get_secret_value().rstrip("/")
    if address and not re.match(r"https?://[^/]", address, re.IGNORECASE):
        raise ValueError("expected an address that begins with https:// or http://")
    port = re.fullmatch(r"(?:\[[^\]]*\]|[^:/?#\[]*):([^/?#]*)(?:[/?#].*)?", SecretAddress(address).parts.rest)
    if port and not (port[1].isascii() and port[1].isdigit() and 0 < int(port[1]) < 1 << 16):
        raise ValueError("expected a port from 1 to 65535 after the host")
    return SecretAddress(address)


class SyncSettings(Section):
    """[sync]: releases over the air ('edge sync'). edge/hub/README.md tells how: Releases over the air."""

    url: Annotated[SecretAddress, AfterValidator(_http_address)] = Field(
        SecretAddress(""),
        examples=["https://releases.example.org/edge"],
        description="Where the hub's 'public' folder is served; empty: no releases. A user and password in it "
        "(https://user:password@...) are sent as Basic authentication.",
    )
    root: Path | None = Field(
        None,
        examples=["/etc/edge/root.json"],
        description="The hub's first root.json, brought here by hand: the anchor of all trust.",
    )
    ca: Path | None = Field(
        None,
        examples=["/etc/edge/company-ca.pem"],
        description="Certificate authorities for sync.url; SSL_CERT_FILE or the system's when not set.",
    )
    key: SecretStr = Field(
        SecretStr(""),
        description="What 'edge hub sealing key DEVICE' prints: the key to releases that the hub seals for its fleet. "
        "Credential: 'sync-key'.",
    )
    group: str = Field("all", pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="Group of devices this one is in.")
    interval: Seconds = Field(3600.0, description="'edge sync --watch': seconds between two checks, give or take 20 %.")
    spread: float = Field(
        2.0,
        ge=0,
        description="'edge sync --watch': after a hint of the hub it waits a random part of these seconds; 300 "
        "spreads a fleet of thousands.",
    )
    rate: int = Field(0, ge=0, description="Bytes a second that a download may take; 0: as many as there are.")
    reserve_bytes: int = Field(256 << 20, ge=0, description="Bytes that a release leaves free on the disk.")
    max_bytes: int = Field(2 << 30, ge=1 << 20, description="Bytes that one release may have.")
    probation: Seconds = Field(600.0, description="Seconds that a new release is watched before it counts as good.")
    trust_clock: bool = Field(
        False, description="Take the clock for right although systemd-timesyncd does not say so (a board with an RTC)."
    )

    @field_validator("key")
    @classmethod
    def _whole(cls, key: SecretStr) -> SecretStr:
        if key.get_secret_value() and not re.fullmatch(r"[A-Za-z0-9+/]{43}=", key.get_secret_value()):
            raise ValueError("expected 32 bytes in base64")
        return key

    @model_validator(mode="after")
    def _anchored(self) -> SyncSettings:
        if self.url and self.root is None:
            raise ValueError("url needs root: the hub's first root.json")
        return self


def _key_pairs(value: object) -> object:
    """A credential holds ``ID SECRET`` a line; TOML and the environment hold a table."""
    if not isinstance(value, str):
        return value
    lines = [line.split() for line in value.splitlines() if line.strip()]
    if any(len(line) != 2 for line in lines):
        raise ValueError("expected lines of an access key id, a space and its secret")
    return {line[0]: line[1] for line in lines}


SHORTEST_SECRET = 16
SHORTEST_TOKEN = 8


def _long_secrets(value: dict[str, SecretStr]) -> dict[str, SecretStr]:
    short = [key for key, secret in value.items() if len(secret.get_secret_value()) < SHORTEST_SECRET]
    if short:
        raise ValueError(f"the secret of {short[0]!r} has fewer than {SHORTEST_SECRET} characters; use a longer one")
    return value


def _long_token(value: SecretStr) -> SecretStr:
    if 0 < len(value.get_secret_value()) < SHORTEST_TOKEN:
        raise ValueError(f"it has fewer than {SHORTEST_TOKEN} characters; use a longer one, or none")
    return value


def _networks(value: tuple[str, ...]) -> tuple[str, ...]:
    for one in value:
        ipaddress.ip_network(one)
    return value


AttributeName = Literal[
    "AGE_RANGE", "BEARD", "EMOTIONS", "EYE_DIRECTION", "EYEGLASSES", "EYES_OPEN", "FACE_OCCLUDED", "GENDER",
    "LANDMARKS", "MOUTH_OPEN", "MUSTACHE", "SMILE", "SUNGLASSES",
]  # fmt: skip
FACE_ATTRIBUTES: tuple[AttributeName, ...] = get_args(AttributeName)


class ApiSettings(Section):
    """[api]: the Rekognition endpoint."""

    enabled: bool = Field(False, description="Serve Amazon Rekognition's protocol from inside the daemon.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8480, ge=0, le=65535, description="0: any free one.")
    keys: Annotated[dict[str, SecretStr], BeforeValidator(_key_pairs), AfterValidator(_long_secrets)] = Field(
        {},
        examples=[{"AKIDEXAMPLE": "a secret of sixteen characters or more"}],
        description="Access key id -> secret. With keys, only signed requests are answered. Credential: 'api-keys'.",
    )
    unsigned_anywhere: bool = Field(
        False, description="Without keys, listen on other addresses than loopback anyway: anybody there may ask."
    )
    clock_skew: Seconds = Field(
        300.0, description="Seconds a signature's time may be off; more for boards without RTC."
    )
    proxies: Annotated[tuple[str, ...], AfterValidator(_networks)] = Field(
        (),
        examples=[("127.0.0.1", "10.0.0.0/8")],
        description="Addresses of reverse proxies: of requests from there, X-Forwarded-For says who asks.",
    )
    region: str = Field("local", pattern=r"^[a-z][a-z\d-]{0,31}$", description="Region in ARNs of unsigned requests.")
    account: str = Field("000000000000", pattern=r"^\d{12}$", description="Account in ARNs.")
    label: str = Field("face", description="The label that face operations look for; it has a [labels] section.")
    detectors: tuple[str, ...] = Field((), description="Detectors to use. All that the cameras use when not set.")
    embedder: str = Field("", description="Embedder of the face operations. The label's when not set.")
    tiles: int = Field(
        9, ge=0, le=64, description="Parts of a large still to look at closer, at most, for faces small in it; 0: none."
    )
    attributes: tuple[AttributeName, ...] = Field(
        FACE_ATTRIBUTES,
        description="What ALL tells of a face beside box, pose and quality; what is not here is told to nobody.",
    )
    attribute_model: str = Field("edge-face-attributes-1", description="Model that tells them, loaded when asked for.")
    text_detector: str = Field("edge-text-detector-1", description="Detector of DetectText, loaded when requested.")
    text_recognizer: str = Field("edge-text-recognizer-1", description="Model that recognizes its words.")
    taxonomy: Path | None = Field(
        None,
        examples=["/etc/edge/taxonomy.json"],
        description="Names, parents and categories of labels. Our own when not set.",
    )
    buckets: dict[str, Path] = Field(
        {},
        examples=[{"photos": "/srv/photos", "*": "/srv/s3"}],
        description="S3 bucket -> the folder that stands for it; '*': the folder that holds all others.",
    )
    celebrities: str = Field(
        "", examples=["family"], description="Collection whose subjects RecognizeCelebrities knows; empty: none."
    )
    celebrity_urls: dict[str, tuple[str, ...]] = Field(
        {}, examples=[{"grace": ("https://example.org/grace",)}], description="Subject -> urls told with its name."
    )
    moderation: dict[str, str] = Field(
        {},
        examples=[{"knife": "Violence/Weapons"}],
        description="Label of a detector, or custom label that runs -> label of DetectModerationLabels, by its path.",
    )
    protective_equipment: dict[str, Literal["FACE_COVER", "HAND_COVER", "HEAD_COVER"]] = Field(
        {},
        examples=[{"helmet": "HEAD_COVER"}],
        description="Label of a detector, or custom label that runs -> what DetectProtectiveEquipment calls it.",
    )
    streams: dict[str, str] = Field(
        {}, examples=[{"KVS1": "door"}], description="Video stream -> the camera that stands for it; else its namesake."
    )
    queue: int = Field(8, ge=1, le=1000, description="Requests with pictures that wait; more are told to come back.")
    share: float = Field(0.5, gt=0, le=1, description="Share of one core that its models may take beside cameras.")
    max_faces: int = Field(1_000_000, ge=1, description="Faces of one collection, at most.")
    records: Literal["all", "faces", "change"] = Field(
        "faces", description="Face search records to publish: each frame's, those with faces, those that differ."
    )


class PageUser(BaseModel):
    """A user of ``page.users``: an inline table, not a section of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token: Annotated[SecretStr, AfterValidator(_long_token)] = Field(
        examples=["a long secret"], description="What this user logs in with."
    )
    role: Literal["look", "review", "manage"] = Field(
        "look", description="look: see everything; review: answer questions as well; manage: change everything."
    )


class PageSettings(Section):
    """[page]: the status page and /metrics, served by the endpoint of [api] inside the daemon."""

    enabled: bool = Field(True, description="Serve them, where api.enabled is true.")
    token: Annotated[SecretStr, AfterValidator(_long_token)] = Field(
        SecretStr(""),
        description="Token for browsers; empty: only browsers on this machine are accepted. Credential: 'page-token'.",
    )
    users: dict[str, PageUser] = Field(
        {},
        examples=[{"kim": {"token": "a long secret", "role": "review"}}],
        description="Further tokens, each with a role: 'look', 'review' (answer questions as well) or 'manage' "
        "(everything, as page.token may).",
    )
    idle_days: float = Field(7.0, gt=0, le=365, description="Days without a visit after which a login ends.")
    hosts: tuple[str, ...] = Field(
        (),
        examples=[("porch.example.org",)],
        description="More names that the page is asked for by. Addresses, the device's name and NAME.local are known.",
    )
    fps: float = Field(5.0, gt=0, le=30, description="Pictures a second of a live view, at most.")
    width: int = Field(640, ge=160, le=3840, description="Pixels of a live picture's width, at most.")


class ReviewSettings(Section):
    """[review]: doubtful matches, kept on the device until a person answers ('edge review')."""

    enabled: bool = Field(False, description="Keep the embedding of doubtful tracks. Off: nothing is kept.")
    crops: bool = Field(False, description="Keep their pictures as well. Off: no picture is kept.")
    most: int = Field(500, ge=1, le=100_000, description="Doubts kept at most; the oldest go.")
    days: float = Field(30.0, gt=0, le=3650, description="Doubts and answers older than this are deleted.")
    quality: Fraction = Field(0.5, description="Quality of a crop from which an unknown face is worth a question.")
    audit: int = Field(0, ge=0, description="Every n-th known track is asked about as well, as a sample; 0: none.")
    faint: float = Field(
        0.7,
        gt=0.05,
        le=1,
        description="Share of the score that starts a track, from which what started none is asked about; 1: nothing.",
    )
    refit: int = Field(
        10,
        ge=0,
        description="Answers about custom labels after which the daemon learns from them, and uses what it learned "
        "unless it is worse; 0: 'edge labels refit' does.",
    )


class HistorySettings(Section):
    """[history]: who and what was seen, kept on the device for the owner's page."""

    enabled: bool = Field(True, description="Keep names, times, cameras and zones of tracks. Off: nothing is kept.")
    pictures: bool = Field(False, description="Keep a small picture of each recognized track as well.")
    days: float = Field(30.0, gt=0, le=3650, description="Days after which an appearance is deleted.")
    max_bytes: int = Field(256 << 20, ge=1 << 20, description="Bytes of the history, at most; the oldest go first.")


class StrangerSettings(Section):
    """[strangers]: names for unknown faces that come again: unknown-7, until a person says who it is."""

    enabled: bool = Field(False, description="Keep embeddings of unknown faces, to know them again. Off: none is kept.")
    most: int = Field(100, ge=1, le=5000, description="Strangers kept at most; those not seen for longest go.")
    days: float = Field(30.0, gt=0, le=3650, description="A stranger not seen for this long is deleted.")
    quality: Fraction = Field(0.4, description="Quality of a crop from which an unknown face is kept.")
    again: float = Field(
        60.0, ge=0, description="Seconds that a stranger must have been away before coming again gives a pseudonym."
    )


def _keys(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"([A-Za-z0-9+/]{43}=\s*)*", value.get_secret_value()):
        raise ValueError("expected keys as 'edge encryption key' makes them, one a line")
    return value


class EncryptionSettings(Section):
    """[encryption]: of names, embeddings and pictures in the state folder ('edge encryption on')."""

    key: Annotated[SecretStr, AfterValidator(_keys)] = Field(
        SecretStr(""),
        description="What 'edge encryption key' made; during 'edge encryption rotate' the new one on a line before it. "
        "Credential: 'storage-key'.",
    )


class LogSettings(Section):
    """[log]: what the daemon says."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is written.")
    repeat_seconds: float = Field(
        60.0, ge=0, description="The same line is written once in this long, then with a count; 0: every time."
    )
