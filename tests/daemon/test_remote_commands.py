"""Operations behind ``down/cmd``: what they answer, and what they load."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import pytest
from rigs.waiting import eventually

from edge.core.errors import InputError
from edge.core.settings.schema import Settings
from edge.daemon import remote_commands
from edge.daemon.remote_commands import CommandContext, RemoteCommands, operations
from edge.inference.pool import ModelPool
from edge.mqtt.subscriptions import Incoming
from edge.recognition.store.collections import Collections

PICTURE = next((Path(__file__).parents[2] / "edge/data/portraits/grace-hopper").glob("*.jpg"))
IMAGE = base64.b64encode(PICTURE.read_bytes()).decode()


@pytest.fixture
def context(tmp_path: Path) -> Iterator[CommandContext]:
    settings: Any = Settings()
    collections = Collections(tmp_path, settings.collection)
    unused: Any = None
    yield CommandContext(
        settings, tmp_path, collections, cameras=unused, stats=unused, picture=unused, forget=unused, reload=unused,
        restart=unused, models=ModelPool(settings.models, tmp_path, threads=1),
    )  # fmt: skip
    collections.close()


def test_enroll_commands_share_their_models(context: CommandContext) -> None:
    enroll = operations(context)["enroll"]
    first = enroll({"subject": "grace", "image": IMAGE})
    loaded = context.models.embedder("edge-face-embedder-1"), context.models.detector("edge-face-detector-2")
    again = enroll({"subject": "grace", "image": IMAGE})

    assert (first.data["new"], again.data["new"]) == (True, False)
    assert again.data["face_id"] == first.data["face_id"]
    assert loaded == (
        context.models.embedder("edge-face-embedder-1"), context.models.detector("edge-face-detector-2"),
    )  # fmt: skip
    assert len(context.models) == 2


@pytest.mark.parametrize(("given", "code"), [
    ({"subject": "grace"}, "image"), ({"subject": "grace", "image": "no base64!"}, "image"), ({"image": ""}, "subject"),
])  # fmt: skip
def test_an_enroll_command_without_its_arguments_loads_nothing(
    context: CommandContext, given: dict[str, Any], code: str
) -> None:
    with pytest.raises(InputError) as refused:
        operations(context)["enroll"](given)

    assert refused.value.code == code
    assert len(context.models) == 0


def test_models_of_commands_are_unloaded_while_none_comes(
    context: CommandContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_commands, "IDLE_SECONDS", 0.05)
    commands = RemoteCommands.__new__(RemoteCommands)
    commands._waiting = Queue()
    context.models.detector("edge-face-detector-2")
    following: list[tuple[str, Incoming] | None] = []
    thread = Thread(target=lambda: following.append(commands._next(context.models)))
    thread.start()

    assert eventually(lambda: len(context.models) == 0)
    commands._waiting.put(None)
    thread.join(10)

    assert following == [None]
