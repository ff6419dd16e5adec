"""``edge listen``: an independent MQTT subscriber that prints events."""

from __future__ import annotations

import json
import queue
import secrets
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

import click

from edge.cli import output
from edge.cli.main import NOTHING_FOUND
from edge.core.errors import DeliveryError, InputError, SettingsError
from edge.core.terminal import plain

if TYPE_CHECKING:
    from edge.core.settings.messaging import MqttSettings
    from edge.mqtt.client import MqttClient
    from edge.mqtt.messages import WireEvent
    from edge.mqtt.subscriptions import Incoming

CONNECT_SECONDS = 10.0
"""timeout of the connection"""
REMEMBERED = 10_000
"""event ids kept to drop duplicates"""


@click.command()
@click.argument("device", required=False, default="")
@click.option("--host", help="Broker; default: mqtt.host.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the broker.")
@click.option("--count", type=click.IntRange(1), help="End after this many events.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), help="End after this many seconds.")
@output.json_option
@click.pass_context
def listen(
    ctx: click.Context,
    device: str,
    host: str | None,
    port: int | None,
    count: int | None,
    timeout: float | None,
    as_json: bool,
) -> None:
    r"""Print the events of DEVICE (default: of every device).

    One per line: time, device, camera, type, label, subject, cosine similarity, zones. Exit code 3: no events.

    \b
    Example:
      edge listen porch --host broker.local
      edge listen --json --count 10 --timeout 60
    """
    from edge.mqtt import topics
    from edge.mqtt.client import MqttClient

    arrived: queue.SimpleQueue[Incoming] = queue.SimpleQueue()
    chosen = _broker(output.settings(ctx).mqtt, host, port)
    client = MqttClient(chosen, f"edge-listen-{secrets.token_hex(4)}")
    client.subscribe(topics.reports(device, "event"), arrived.put)
    client.start()
    try:
        _await_broker(client, min(CONNECT_SECONDS, timeout or CONNECT_SECONDS))
        click.echo(f"listening to {device or 'every device'} at {chosen.host}:{chosen.effective_port}", err=True)
        printed = _print(arrived, count, timeout, as_json)
    finally:
        client.stop()
    if not printed:
        ctx.exit(NOTHING_FOUND)


def _broker(settings: MqttSettings, host: str | None, port: int | None) -> MqttSettings:
    changes: dict[str, object] = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    if host is not None:
        changes["fallback_hosts"] = ()
    chosen = settings.model_copy(update=changes)
    if not chosen.host:
        raise SettingsError("no broker is configured", "use --host, or set mqtt.host")
    return chosen


def _await_broker(client: MqttClient, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not client.online:
        if time.monotonic() > until:
            health = client.health()
            raise DeliveryError(f"the broker is {health.link}: {health.detail or 'no answer yet'}", health.hint)
        time.sleep(0.02)


def _print(arrived: queue.SimpleQueue[Incoming], count: int | None, timeout: float | None, as_json: bool) -> int:
    """Print until ``count`` events or ``timeout`` seconds. Returns the number of printed events."""
    from edge.mqtt.messages import WireEvent, parse

    until = time.monotonic() + timeout if timeout else None
    seen: OrderedDict[str, None] = OrderedDict()
    printed = 0
    while count is None or printed < count:
        try:
            message = arrived.get(timeout=max(0.0, until - time.monotonic()) if until else None)
        except queue.Empty:
            break
        try:
            event = parse(WireEvent, message.payload)
        except InputError as error:
            output.say(f"{message.topic}: {error.message}", err=True)
            continue
        if event.id in seen:
            continue
        seen[event.id] = None
        if len(seen) > REMEMBERED:
            seen.popitem(last=False)
        click.echo(output.json_text(json.loads(message.payload)) if as_json else line(event))
        printed += 1
    return printed


def line(event: WireEvent) -> str:
    """One event as a line of text."""
    who = event.identity
    name = f"{who.subject}?" if who.subject and who.state != "known" else who.subject or who.state
    similarity = "-" if who.similarity is None else f"{who.similarity:.2f}"
    if event.custom_labels and not who.subject:
        name = ",".join(one.name for one in event.custom_labels)
        similarity = f"{event.custom_labels[0].score:.2f}"
    clock = time.strftime("%H:%M:%S", time.localtime(event.time)) + f"{event.time % 1:.3f}"[1:]
    cells = (clock, event.device, event.camera, event.type, event.label, name, similarity, ",".join(event.zones))
    widths = (12, 0, 0, 6, 0, 16, 5, 0)
    return "  ".join(plain(cell).ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
