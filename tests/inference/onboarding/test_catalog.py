"""Models by name from a catalog, over a real local server, to the installed model."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rigs.file_server import FileServer, serving

from edge.cli.main import edge
from edge.core.errors import EdgeError, InputError, NotFoundError, TransientError
from edge.inference.onboarding import catalog


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving() as server:
        yield server


@pytest.fixture
def shop(tmp_path: Path, server: FileServer) -> Any:
    """Writes a catalog with one entry, ``thing``."""

    def written(**keys: Any) -> Path:
        entry = {"url": f"{server.url}/thing", "licence": "MIT", "about": "a thing"} | keys
        path = tmp_path / "catalog.toml"
        path.write_text("[thing]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in entry.items()))
        return path

    return written


def get(*arguments: str) -> Any:
    command = ["models", "get", *arguments]
    return CliRunner().invoke(edge, command, catch_exceptions=False, standalone_mode=False)


def state(tmp_path: Path) -> list[str]:
    folder = tmp_path / "state"
    return sorted(str(path.relative_to(folder / "edge")) for path in folder.rglob("*") if path.is_file())


def test_the_shipped_catalog_is_whole_and_its_ready_cards_speak_of_the_same_bytes() -> None:
    from edge.inference.card import read_card

    offers = catalog.offers()
    cards = Path(__file__).resolve().parents[3] / "models"

    assert {"ssd-mobilenet-v1-coco", "ssd-mobilenet-v2-face", "efficientdet-lite0"} <= offers.keys()
    for offer in offers.values():
        assert offer.url.startswith("https://")
        assert offer.licence
        if offer.card:
            card = read_card(cards / offer.card / "card.toml")
            assert (card.sha256, card.size) == (offer.sha256, offer.size)


def test_the_catalog_is_shown_with_what_needs_a_digest() -> None:
    shown = {line["name"]: line for line in json.loads(get("--json").stdout)}

    assert shown["ssd-mobilenet-v2-face"]["needs_sha256"] is True
    assert shown["mobilenet-v1-025-128"]["needs_sha256"] is False
    assert "needs --sha256" in get().stdout


def test_an_unknown_name_lists_the_known_ones(shop: Any) -> None:
    with pytest.raises(NotFoundError, match="it has thing"):
        get("other", "--catalog", str(shop()))


def test_bytes_that_nobody_vouches_for_are_not_fetched(shop: Any, server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the catalog has no digest") as caught:
        get("thing", "--catalog", str(shop()))

    assert "--sha256" in caught.value.hint
    assert server.asked == []


@pytest.mark.parametrize("content", ["[thing]\nurl = 1\ncolor = 2", "[thing", "[thing]\nurl = 'x'"])
def test_a_broken_catalog_is_an_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "catalog.toml"
    path.write_text(content)

    with pytest.raises(InputError, match=r"catalog\.toml"):
        catalog.offers(path)


@pytest.fixture
def classifier(shared_models: Path) -> bytes:
    return (shared_models / "cls_mobilenet_v1_0.25_128_uint8.tflite").read_bytes()


def test_a_model_is_fetched_verified_tried_and_installed_also_after_a_stop(
    shop: Any, server: FileServer, tmp_path: Path, classifier: bytes
) -> None:
    server.files["/thing"] = classifier
    path = str(shop(sha256=hashlib.sha256(classifier).hexdigest(), card="mobilenet-v1-025-128"))
    server.stop_after = 200_000
    with pytest.raises(TransientError, match="stopped after 200,000"):
        get("thing", "--catalog", path)
    assert state(tmp_path) == ["downloads/thing.tflite.part"]
    server.stop_after = None

    answer = json.loads(get("thing", "--catalog", path, "--json").stdout)

    assert server.asked == ["", "bytes=200000-"]
    assert Path(answer["installed"]).read_bytes() == classifier
    assert state(tmp_path) == [
        "models/mobilenet-v1-025-128/card.toml",
        "models/mobilenet-v1-025-128/cls_mobilenet_v1_0.25_128_uint8.tflite",
    ]


def test_a_model_inside_an_archive_is_unpacked_and_its_own_digest_counts(
    server: FileServer, tmp_path: Path, shop: Any
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("labels.txt", "cat")
        archive.writestr("detect.tflite", b"the model")
    server.files["/thing"] = packed.getvalue()
    found = catalog.offer("thing", shop(member="detect.tflite", sha256=hashlib.sha256(b"the model").hexdigest()))

    file = catalog.fetch(found, "", tmp_path / "downloads", lambda *_: None)

    assert file.read_bytes() == b"the model"
    assert [path.name for path in file.parent.iterdir()] == ["thing.tflite"]


@pytest.mark.parametrize("member", ["absent.tflite", "detect.tflite"])
def test_an_archive_with_another_model_is_refused(server: FileServer, tmp_path: Path, shop: Any, member: str) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("detect.tflite", b"another model")
    server.files["/thing"] = packed.getvalue()
    found = catalog.offer("thing", shop(member=member, sha256="0" * 64))

    with pytest.raises(InputError, match=member):
        catalog.fetch(found, "", tmp_path / "downloads", lambda *_: None)

    assert list((tmp_path / "downloads").iterdir()) == []


@pytest.mark.parametrize(
    ("served", "vouched"),
    [(b"not a model", b"not a model"), (b"other bytes", b"what was promised"), (None, b"x")],
    ids=["not a model", "wrong digest", "not found"],
)
def test_whatever_goes_wrong_nothing_is_half_installed(
    shop: Any, server: FileServer, tmp_path: Path, served: bytes | None, vouched: bytes
) -> None:
    if served is not None:
        server.files["/thing"] = served
    path = str(shop(sha256=hashlib.sha256(vouched).hexdigest()))

    with pytest.raises(EdgeError) as caught:
        get("thing", "--catalog", path)

    assert caught.value.hint
    assert state(tmp_path) == []
