"""The pulses of real threads: they beat while they work or wait for a moment, and rest when their silence is right."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from rigs.mosquitto import Mosquitto
from rigs.waiting import eventually

from edge.api.http.work_queue import WorkQueue
from edge.api.rekognition.endpoint import ApiServer
from edge.core.settings.messaging import MqttSettings
from edge.core.settings.schema import Settings
from edge.core.settings.services import ApiSettings
from edge.core.system.heartbeat import Heartbeat
from edge.mqtt.client import MqttClient

HOUR = 3600.0


def beats(pulse: Heartbeat) -> bool:
    """Whether silence from now on would be noticed."""
    return pulse.silent(time.monotonic() + HOUR) > 0


def test_the_threads_of_the_link_beat_and_the_network_rests_while_there_is_no_broker(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "broker") as broker:
        client = MqttClient(MqttSettings(host="127.0.0.1", port=broker.port, reconnect_seconds=1.0), "porch")
        assert not beats(client.work_pulse)
        client.start()
        assert eventually(lambda: client.online)
        assert eventually(lambda: beats(client.network_pulse))
        assert beats(client.work_pulse)

        broker.kill()
        assert eventually(lambda: not client.online and not beats(client.network_pulse))
        assert beats(client.work_pulse)
    client.stop()
    assert not beats(client.work_pulse)
    assert not beats(client.network_pulse)


def test_the_loop_of_the_endpoint_beats_until_it_stops(tmp_path: Path) -> None:
    server = ApiServer(Settings(api=ApiSettings(port=0)), tmp_path, with_cameras=False)
    server.start()
    try:
        assert eventually(lambda: beats(server.pulse))
    finally:
        server.stop()
    assert not beats(server.pulse)


def test_a_lane_beats_while_it_does_a_job_and_rests_while_it_waits_for_one() -> None:
    queue, let_go = WorkQueue("models", 4), threading.Event()
    (pulse,) = queue.pulses.values()
    queue.start()
    assert not beats(pulse)

    job = queue.submit(lambda: let_go.wait(60))
    assert eventually(lambda: beats(pulse))
    let_go.set()
    assert job.result(10)
    assert eventually(lambda: not beats(pulse))
    queue.stop()
