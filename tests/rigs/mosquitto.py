"""A real mosquitto on a free port of 127.0.0.1: start, stop, kill -9, restart; TLS, passwords and an ACL."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from typing_extensions import Self

ACL = """
pattern write edge/v1/%u/up/#
pattern read edge/v1/%u/down/#
pattern read edge/v1/fleet/#
user central
topic read edge/v1/+/up/#
topic write edge/v1/+/down/#
topic write edge/v1/fleet/#
"""


def program() -> str:
    """Where mosquitto is; skips the test where it is not installed."""
    found = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/sbin")
    if not found:
        pytest.skip("needs mosquitto: apt-get install mosquitto")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Mosquitto:
    """``with Mosquitto(folder) as broker``: it listens on ``broker.port`` when the block begins."""

    folder: Path
    passwords: dict[str, str] = field(default_factory=dict)
    """user -> password; empty: anonymous"""
    acl: str = ""
    tls: Certificates | None = None
    mutual: bool = False
    """ask for a client certificate; its CN is the user"""
    persistence: bool = False
    extra: str = ""
    """more lines of its configuration"""
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_port()
        file = self.folder / "mosquitto.conf"
        file.write_text(self._configuration())
        log = (self.folder / "mosquitto.log").open("ab")
        self.process = subprocess.Popen([program(), "-c", str(file)], stdout=log, stderr=subprocess.STDOUT)
        log.close()
        self._await()

    def stop(self) -> None:
        """A clean end: clients are told, the database is written."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9: no client is told, nothing is written."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        self.kill()
        self.start()

    def pause(self) -> None:
        """It stands still, and its sockets stay open: a half-open link."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGCONT)

    @property
    def log(self) -> str:
        return (self.folder / "mosquitto.log").read_text(errors="replace")

    def _configuration(self) -> str:
        lines = [f"listener {self.port} 127.0.0.1", "user root", "set_tcp_nodelay true", "log_type all"]
        lines += [f"allow_anonymous {str(not self.passwords and not self.mutual).lower()}"]
        lines += [f"persistence {str(self.persistence).lower()}", f"persistence_location {self.folder}/"]
        if self.passwords:
            lines.append(f"password_file {self._password_file()}")
        if self.acl:
            file = self.folder / "acl"
            file.write_text(self.acl)
            file.chmod(0o700)
            lines.append(f"acl_file {file}")
        if self.tls:
            lines += [f"cafile {self.tls.ca}", f"certfile {self.tls.server}", f"keyfile {self.tls.server_key}"]
        if self.mutual:
            lines += ["require_certificate true", "use_identity_as_username true"]
        return "\n".join([*lines, self.extra, ""])

    def _password_file(self) -> Path:
        file = self.folder / "passwords"
        file.write_text("")
        file.chmod(0o700)
        for user, password in self.passwords.items():
            subprocess.run(["mosquitto_passwd", "-b", str(file), user, password], check=True, capture_output=True)
        return file

    def _await(self) -> None:
        until = time.monotonic() + 10
        while time.monotonic() < until:
            if self.process is None or self.process.poll() is not None:
                raise AssertionError(f"mosquitto did not start: {self.log[-2000:]}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise AssertionError(f"mosquitto does not listen: {self.log[-2000:]}")

    def _end(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            if number is signal.SIGTERM:
                self.process.send_signal(signal.SIGCONT)
            self.process.wait(10)
            self.process = None


@dataclass(frozen=True)
class Certificates:
    """A CA, a server certificate for localhost and 127.0.0.1, and a client certificate, made by openssl."""

    folder: Path
    client_name: str = "porch"

    def __post_init__(self) -> None:
        if not shutil.which("openssl"):
            pytest.skip("needs openssl to make certificates")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._openssl(
            *("req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-days", "2"),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign", "-subj", "/CN=test CA"),
            *("-keyout", str(self.folder / "ca.key"), "-out", str(self.ca)),
        )
        self._issue("server", "localhost", "subjectAltName=DNS:localhost,IP:127.0.0.1")
        self._issue("client", self.client_name, "extendedKeyUsage=clientAuth")

    @property
    def ca(self) -> Path:
        return self.folder / "ca.crt"

    @property
    def server(self) -> Path:
        return self.folder / "server.crt"

    @property
    def server_key(self) -> Path:
        return self.folder / "server.key"

    @property
    def client(self) -> Path:
        return self.folder / "client.crt"

    @property
    def client_key(self) -> Path:
        return self.folder / "client.key"

    def _issue(self, name: str, common_name: str, extension: str) -> None:
        key, request, extensions = (self.folder / f"{name}.{suffix}" for suffix in ("key", "csr", "ext"))
        extensions.write_text(f"{extension}\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
        self._openssl(
            *("req", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-subj", f"/CN={common_name}", "-keyout", str(key), "-out", str(request)),
        )
        self._openssl(
            *("x509", "-req", "-in", str(request), "-CA", str(self.ca), "-CAkey", str(self.folder / "ca.key")),
            *("-CAcreateserial", "-days", "2", "-extfile", str(extensions), "-out", str(self.folder / f"{name}.crt")),
        )

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)
