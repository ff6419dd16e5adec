"""Home Assistant is told what there is, once, and what is no more is taken back, also by a later run."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rigs.events import an_event

from edge.core.settings.schema import Settings
from edge.daemon.integrations import LOOK_SECONDS, FrigateIntegration, HomeAssistantIntegration
from edge.mqtt.messages import MAX_DOCUMENT
from edge.mqtt.subscriptions import Incoming

TOPIC = "homeassistant/device/porch/config"


class Says:
    """A client that remembers what it was told to say."""

    most_bytes = MAX_DOCUMENT

    def __init__(self) -> None:
        self.said: list[tuple[str, bytes]] = []
        self.handlers: dict[str, Callable[[Incoming], None]] = {}

    def retain(self, topic: str, payload: bytes) -> None:
        self.said.append((topic, payload))

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> bool:
        self.said.append((topic, payload))
        return True

    def subscribe(self, topic_filter: str, handler: Callable[[Incoming], None]) -> None:
        self.handlers[topic_filter] = handler


class Holds:
    """Collections with one, ``faces``."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)

    def __contains__(self, name: str) -> bool:
        return name == "faces"

    def get(self, name: str) -> Holds:
        return self

    def subjects(self) -> Sequence[str]:
        return self.names


def at_home(folder: Path, client: Says, holds: Holds, **chosen: Any) -> HomeAssistantIntegration:
    settings = Settings.model_validate(
        {"device": {"name": "porch"}, "cameras": [{"name": "door"}], "homeassistant": {"enabled": True} | chosen}
    )
    one = HomeAssistantIntegration(settings, folder, holds, client)  # type: ignore[arg-type]
    one.start()
    return one


def components(client: Says) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(client.said[-1][1])["cmps"]
    return found


def test_it_is_said_once_and_again_when_somebody_is_new(tmp_path: Path) -> None:
    client, holds = Says(), Holds("alice")
    home = at_home(tmp_path, client, holds)
    for now in (0.0, 1.0, LOOK_SECONDS + 1):
        home.tick(now)
    assert [topic for topic, _ in client.said] == [TOPIC]
    holds.names.append("bob")
    home.tick(3 * LOOK_SECONDS)
    assert len(client.said) == 2
    assert any(one.get("name") == "bob at door" for one in components(client).values())


def test_who_is_forgotten_is_taken_back_also_by_the_next_run(tmp_path: Path) -> None:
    client, holds = Says(), Holds("alice", "bob")
    at_home(tmp_path, client, holds).tick(0.0)
    holds.names.remove("bob")
    later = Says()
    at_home(tmp_path, later, holds).tick(0.0)
    assert [one for one in components(later).values() if len(one) == 1] == [{"p": "binary_sensor"}]


def test_home_assistants_birth_is_answered_after_a_pause_and_an_old_one_is_not(tmp_path: Path) -> None:
    client = Says()
    home = at_home(tmp_path, client, Holds())
    home.tick(0.0)
    status = client.handlers["homeassistant/status"]
    for message in (Incoming("", b"online", retained=True), Incoming("", b"offline"), Incoming("", b"\xff")):
        status(message)
        home.tick(1e9)
    assert len(client.said) == 1
    status(Incoming("", b"online"))
    home.tick(2e9)
    assert len(client.said) == 2


def test_switched_off_it_is_taken_back(tmp_path: Path) -> None:
    at_home(tmp_path, Says(), Holds()).tick(0.0)
    for _ in range(2):
        later = Says()
        at_home(tmp_path, later, Holds(), enabled=False).tick(0.0)
        assert later.said == [(TOPIC, b"")]


def test_a_prefix_that_changes_leaves_nothing_behind(tmp_path: Path) -> None:
    at_home(tmp_path, Says(), Holds()).tick(0.0)
    client = Says()
    at_home(tmp_path, client, Holds(), prefix="ha").tick(0.0)
    assert [(topic, bool(payload)) for topic, payload in client.said] == [
        (TOPIC, False),
        ("ha/device/porch/config", True),
    ]


def test_never_switched_on_it_says_nothing(tmp_path: Path) -> None:
    client = Says()
    at_home(tmp_path, client, Holds(), enabled=False).tick(0.0)
    assert client.said == []


def test_frigates_events_are_said_by_the_main_thread_alone() -> None:
    client = Says()
    settings = Settings.model_validate({"cameras": [{"name": "door"}], "frigate": {"enabled": True}})
    frigate = FrigateIntegration(settings, client, lambda _: b"")  # type: ignore[arg-type]
    frigate.start()
    frigate.listen([an_event("new"), an_event("end")])
    assert client.said == [("frigate/available", b"online")]
    frigate.stop()
    topics = [topic for topic, _ in client.said]
    assert topics.count("frigate/events") == 2
    assert client.said[-1] == ("frigate/available", b"stopped")
