"""The contract as files is the contract of the code."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from rigs.events import ALICE, an_event

from edge import __version__
from edge.core.types import Queued
from edge.mqtt import asyncapi as contract
from edge.mqtt import topics
from edge.mqtt.messages import DeliveryMark, DeviceStatus, Reported, event_json, mark_json, parse, to_json

CONFIG = Path(__file__).resolve().parent.parent.parent / "config"


def test_the_files_are_written_from_the_code() -> None:
    written = contract.files(__version__)
    there = {str(path.relative_to(CONFIG)) for path in CONFIG.glob("schemas/*.json")} | {"asyncapi.json"}
    assert there == set(written), "run scripts/write_contract"
    for name, text in written.items():
        assert (CONFIG / name).read_text(encoding="utf-8") == text, f"run scripts/write_contract: {name}"


def test_every_topic_of_the_code_is_in_the_contract() -> None:
    addresses = [topic.address for topic in contract.topics()]
    kinds = {(address.split("/")[3], address.split("/")[4]) for address in addresses}
    assert kinds == {(half, kind) for half, all_kinds in topics.HALVES.items() for kind in all_kinds}
    for address in addresses:
        assert topics.parse(re.sub(r"\{\w+\}", "x", address))


@pytest.mark.parametrize("topic", contract.topics(), ids=lambda topic: topic.address)
def test_each_example_is_read_by_the_code(topic: contract.Topic) -> None:
    if topic.document is not None:
        parse(topic.document, json.dumps(topic.example).encode())


def valid(name: str, document: Any) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="needs jsonschema")
    jsonschema.validate(document, json.loads((CONFIG / "schemas" / f"{name}.json").read_text(encoding="utf-8")))


def test_what_the_code_sends_fits_the_schemas() -> None:
    for kind in ("new", "update", "end"):
        queued = Queued(5, 3, 5, 4, an_event(kind, identity=ALICE))
        valid("event", json.loads(event_json("porch", queued, with_after=True)))
    valid("status", json.loads(to_json(DeviceStatus(True, 3))))
    valid("mark", json.loads(to_json(DeliveryMark(3, 4))))
    assert mark_json(3, 4) == to_json(DeliveryMark(3, 4))
    valid("reported", json.loads(to_json(Reported("r1"))))


def test_the_examples_fit_the_schemas() -> None:
    for topic in contract.topics():
        if topic.document is not None:
            valid(contract.SCHEMA_NAMES[topic.document], topic.example)


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = contract.asyncapi(__version__)
    references = re.findall(r'"\$ref": "([^"]+)"', json.dumps(document))
    assert len(references) > 20
    for reference in references:
        if reference.startswith("./"):
            assert (CONFIG / reference).exists()
            continue
        found: Any = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        assert found
