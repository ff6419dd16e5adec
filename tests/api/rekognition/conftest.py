"""A real endpoint on a free loopback port, real models, real pictures, an unmodified client."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.api.rekognition.endpoint import ApiServer
from edge.core.settings.schema import Settings
from edge.core.settings.services import ApiSettings
from edge.core.settings.vision import CameraSettings, LabelSettings, ModelSettings

# under importlib mode the folder of a test is not on the path; these two are helpers of several files
sys.path.insert(0, str(Path(__file__).parent))

import service_model

OWN_LABELS: dict[str, Any] = {
    "celebrities": "family",
    "celebrity_urls": {"grace": ("https://example.org/grace",)},
    "moderation": {"cat": "Animals/Cats", "person": "People"},
    "protective_equipment": {"face": "FACE_COVER", "cat": "HEAD_COVER"},
}
"""settings of the operations that answer by labels of this device"""
Told = list[tuple[str, dict[str, Any]]]
"""what was published: name, document"""


def settings_for(models: Path, **api: Any) -> Settings:
    """Settings with the models of a folder, one camera and a free port."""
    return Settings(
        models=ModelSettings(path=(models,), check=False),
        cameras=(
            CameraSettings(name="door", source="synthetic:none", detectors=("ulffd-landmark-320", "yolov8n-416")),
        ),
        labels={
            "face": LabelSettings(embedder="mobilefacenet-112-int8", collection="faces"),
            "person": LabelSettings(),
            "cat": LabelSettings(),
        },
        api=ApiSettings(port=0, **{**OWN_LABELS, **api}),
    )


@pytest.fixture(scope="session")
def people(shared: Path) -> Callable[..., list[bytes]]:
    """``people(n)``: the pictures of the n-th person, JPEG files, most of one face."""
    folder = shared / "data" / "lfw_dev"
    names = json.loads((folder / "split.json").read_text())["gallery_ids"]

    def pictures(number: int) -> list[bytes]:
        return [path.read_bytes() for path in sorted((folder / names[number]).glob("*.jpg"))]

    return pictures


@pytest.fixture(scope="module")
def buckets(shared: Path) -> dict[str, Path]:
    """The buckets of ``server``."""
    return {"pictures": shared / "data"}


@pytest.fixture(scope="module")
def told() -> Told:
    """By ``server``."""
    return []


@pytest.fixture(scope="module")
def server(
    shared: Path, buckets: dict[str, Path], told: Told, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApiServer]:
    """One endpoint for the tests of a module."""
    made = ApiServer(
        settings_for(shared / "models", buckets=buckets),
        tmp_path_factory.mktemp("state"),
        publish=lambda name, payload: told.append((name, json.loads(payload))),
    )
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def rekognition(server: ApiServer) -> Any:
    """An unmodified boto3 client."""
    return service_model.client(server.port)


@pytest.fixture
def collection(rekognition: Any, request: pytest.FixtureRequest) -> Iterator[str]:
    """The id of an empty collection."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", request.node.name)[:200]
    rekognition.create_collection(CollectionId=name)
    yield name
    if name in rekognition.list_collections()["CollectionIds"]:
        rekognition.delete_collection(CollectionId=name)
