"""The processes of scripts/chaos: devices, ingests, and one broker or a cluster of three."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

SYSTEM = "/usr/sbin:/usr/local/sbin"
READY_SECONDS = 60.0
"""seconds until a restarted part must be ready"""
PORTS = range(20_000, 32_000)
"""below the ports of outgoing connections"""
CONNECT = b"\x10\x11\x00\x04MQTT\x04\x02\x00\x1e\x00\x05probe"
"""a packet of MQTT 3.1.1: clean session, keep alive of 30 s, client id 'probe'"""


@dataclass
class Part:
    """A process that is killed and started again."""

    name: str
    command: list[str]
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    mqtt_port: int = 0
    """port that must accept an MQTT connection before another part is killed; 0: none"""
    process: subprocess.Popen[bytes] | None = None
    kills: int = 0

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdout=log, stderr=log, env=os.environ | self.environment, stdin=subprocess.DEVNULL
            )

    def kill(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.kills += 1

    def wait_ready(self) -> None:
        """Wait until the broker accepts a connection: a cluster elects leaders first. Exits where it does not."""
        until = time.monotonic() + READY_SECONDS
        while self.mqtt_port and not _accepts(self.mqtt_port):
            if time.monotonic() > until:
                sys.exit(f"error: {self.name} is not ready after {READY_SECONDS:.0f} s\n{self.log.read_text()[-2000:]}")
            time.sleep(0.1)


@dataclass(frozen=True)
class Setup:
    """All parts, and which of them are killed."""

    parts: dict[str, Part]
    """in the order of their start"""
    brokers: list[str]
    """parts that are killed in turn"""
    others: list[str]
    """parts that are killed at random"""
    broker_share: float
    """share of the kills that hit a broker"""


def single(folder: Path, script: Path, rate: float) -> Setup:
    """One mosquitto, one ingest, one device."""
    (port,) = free_ports(1)
    # persistence as it comes: a kill loses what was not saved, whole sessions included
    broker = _mosquitto(folder, "broker", port)
    ingest = _ingest(folder, "ingest", {"port": port})
    device = _device(folder, script, "device", rate, {"port": port})
    return Setup({part.name: part for part in (broker, ingest, device)}, ["broker"], ["device", "ingest"], 0.2)


def nats(folder: Path, script: Path, rate: float) -> Setup:
    """Three NATS servers as one cluster; devices and ingests know all three addresses."""
    free = free_ports(9)
    clients, routes, ports = free[:3], free[3:6], free[6:]
    parts = []
    for number, port in enumerate(ports):
        store = folder / f"nats-{number + 1}"
        peers = ", ".join(f'"nats-route://127.0.0.1:{route}"' for route in routes)
        file = folder / f"nats-{number + 1}.conf"
        file.write_text(
            f'server_name: "nats-{number + 1}"\nlisten: "127.0.0.1:{clients[number]}"\n'
            f'jetstream {{ store_dir: "{store}" }}\n'
            f'cluster {{ name: "edge", listen: "127.0.0.1:{routes[number]}", routes: [{peers}] }}\n'
            f'mqtt {{ listen: "127.0.0.1:{port}", stream_replicas: 3, ack_wait: "5s" }}\n'
        )
        command = [program("nats-server"), "-c", str(file)]
        parts.append(Part(f"broker-{number + 1}", command, folder / f"broker-{number + 1}.log", mqtt_port=port))
    orders = [_rotated(ports, number) for number in range(3)]
    parts += [_ingest(folder, f"ingest-{number + 1}", orders[number]) for number in range(2)]
    parts += [_device(folder, script, f"device-{number + 1}", rate / 3, orders[number]) for number in range(3)]
    return _cluster(parts)


def mosquitto(folder: Path, script: Path, rate: float) -> Setup:
    """Three mosquitto brokers behind a TCP balancer, each with an ingest of its own; one database."""
    balancer_port, *ports = free_ports(4)
    brokers = [_mosquitto(folder, f"broker-{number + 1}", port) for number, port in enumerate(ports)]
    ingests = [_ingest(folder, f"ingest-{number + 1}", {"port": port}) for number, port in enumerate(ports)]
    servers = "".join(f"  server b{port} 127.0.0.1:{port} check\n" for port in ports)
    file = folder / "haproxy.cfg"
    file.write_text(
        "defaults\n  mode tcp\n  timeout connect 2s\n  timeout client 90s\n  timeout server 90s\n"
        f"listen mqtt\n  bind 127.0.0.1:{balancer_port}\n  balance leastconn\n  option redispatch\n  retries 2\n"
        f"  default-server inter 500ms fall 2 rise 2 on-marked-down shutdown-sessions\n{servers}"
    )
    balancer = Part("balancer", [program("haproxy"), "-db", "-f", str(file)], folder / "balancer.log")
    devices = [
        _device(folder, script, f"device-{number + 1}", rate / 3, {"port": balancer_port}) for number in range(3)
    ]
    return _cluster([*brokers, balancer, *ingests, *devices])


SETUPS = {"none": single, "nats": nats, "mosquitto": mosquitto}


def _cluster(parts: list[Part]) -> Setup:
    names = [part.name for part in parts]
    brokers = [name for name in names if name.startswith("broker")]
    return Setup({part.name: part for part in parts}, brokers, [name for name in names if name not in brokers], 0.6)


def _rotated(ports: list[int], first: int) -> dict[str, object]:
    """Settings of [mqtt] with all brokers, beginning with the one at ``first``."""
    ordered = ports[first:] + ports[:first]
    return {
        "port": ordered[0],
        "fallback_hosts": [f"127.0.0.1:{port}" for port in ordered[1:]],
        "version": "3.1.1",
    }


def _mosquitto(folder: Path, name: str, port: int) -> Part:
    store = folder / name
    store.mkdir()
    lines = [f"listener {port} 127.0.0.1", "allow_anonymous true", "user root", "set_tcp_nodelay true"]
    lines += ["persistence true", f"persistence_location {store}/"]
    (folder / f"{name}.conf").write_text("\n".join([*lines, ""]))
    return Part(name, [program("mosquitto"), "-c", str(folder / f"{name}.conf")], folder / f"{name}.log")


def _settings(mqtt: dict[str, object]) -> dict[str, object]:
    return {"host": "127.0.0.1", "reconnect_seconds": 1.0, **mqtt}


def _ingest(folder: Path, name: str, mqtt: dict[str, object]) -> Part:
    lines = [f"{key} = {json.dumps(value)}" for key, value in _settings(mqtt).items()]
    file = folder / f"{name}.toml"
    file.write_text("\n".join([f'state = "{folder}"', "[mqtt]", *lines, "[hub]", f'name = "{name}"', ""]))
    command = [sys.executable, "-m", "edge", "--config", str(file), "hub", "ingest"]
    return Part(name, command, folder / f"{name}.log")


def _device(folder: Path, script: Path, name: str, rate: float, mqtt: dict[str, object]) -> Part:
    (folder / name).mkdir()
    command = [sys.executable, str(script), "--device", str(folder), name, str(rate), json.dumps(_settings(mqtt))]
    return Part(name, command, folder / f"{name}.log")


def program(name: str) -> str:
    """Path of an installed program. Exits where it is not installed."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SYSTEM}")
    if not found:
        sys.exit(f"error: needs {name}\ntry: apt-get install {name}")
    return found


def free_ports(count: int) -> list[int]:
    """Free TCP ports of the loopback interface that no outgoing connection takes while their owner is restarted."""
    found: list[int] = []
    candidates = list(PORTS)
    random.shuffle(candidates)
    for port in candidates:
        if len(found) == count:
            break
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                found.append(port)
    return found


def _accepts(port: int) -> bool:
    """Whether a broker answers a CONNECT of MQTT 3.1.1 with a CONNACK of code 0."""
    try:
        with socket.create_connection(("127.0.0.1", port), 2) as link:
            link.sendall(CONNECT)
            return link.recv(4) == b"\x20\x02\x00\x00"
    except OSError:
        return False
