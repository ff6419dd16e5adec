"""``config/docker`` and the Home Assistant add-on: copied and mounted files exist, settings are valid."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner

from edge.cli.main import edge
from edge.core.compat import tomllib
from edge.core.settings import loader
from edge.core.settings.loader import CREDENTIALS

yaml = pytest.importorskip("yaml", reason="compose files are read with PyYAML")
ROOT = Path(__file__).resolve().parents[2]
DOCKER, ADDON = ROOT / "config/docker", ROOT / "config/homeassistant/addon"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    return found


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    text = re.sub(r"\\\n\s*", " ", dockerfile.read_text())
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line and line[0].isupper()]  # type: ignore[misc]


@pytest.mark.parametrize("dockerfile", [DOCKER / "Dockerfile", ADDON / "Dockerfile"])
def test_an_image_has_two_stages_pinned_dependencies_and_no_package_lists(dockerfile: Path) -> None:
    steps = instructions(dockerfile)
    ran = [text for name, text in steps if name == "RUN"]

    assert [name for name, _ in steps].count("FROM") == 2
    assert all(
        "--no-install-recommends" in text and "rm -rf /var/lib/apt/lists" in text for text in ran if "apt-get" in text
    )
    installs = [part for text in ran for part in text.split("&&") if "pip install" in part]
    assert installs
    assert all("--require-hashes" in part or "--no-deps" in part for part in installs)
    assert all(":latest" not in text for name, text in steps if name == "FROM")


def test_the_container_runs_without_root_and_copies_what_is_there() -> None:
    steps = instructions(DOCKER / "Dockerfile")
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copied = [text.split()[:-1] for name, text in steps if name == "COPY" and "--from" not in text]

    assert [text for name, text in steps if name == "USER"] == ["10001"]
    assert all((ROOT / one).exists() for many in copied for one in many)
    assert all(f"!{one}" in ignored for many in copied for one in many)
    assert [text for name, text in steps if name in ("ENTRYPOINT", "CMD")] == ['["edge"]', '["run"]']
    assert any(name == "HEALTHCHECK" and "/healthz" in text for name, text in steps)


def test_each_mount_of_compose_exists_or_is_created_by_the_readme(compose: dict[str, Any]) -> None:
    page = (DOCKER / "README.md").read_text()
    service = compose["services"]["edge"]
    mounted = [one.split(":")[0] for part in compose["services"].values() for one in part["volumes"]]

    for source in [*mounted, *(one["file"] for one in compose["secrets"].values())]:
        assert source in compose["volumes"] or (DOCKER / source).exists() or source.removeprefix("./") in page
    assert (DOCKER / service["build"]["context"]).resolve() == ROOT
    assert (ROOT / service["build"]["dockerfile"]).is_file()
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert set(service["secrets"]) <= set(CREDENTIALS)


def test_the_settings_of_the_container_are_valid_with_its_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "api-keys").write_text("OWNER 0123456789abcdef\n")
    (tmp_path / "page-token").write_text("open-sesame\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    done = CliRunner().invoke(edge, ["config", "check", str(DOCKER / "edge.toml")], catch_exceptions=False)

    assert "valid; cameras door" in done.output
    found = loader.read(DOCKER / "edge.toml")
    assert (
        f"{found.api.port}:{found.api.port}"
        in yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]["edge"]["ports"]
    )


# the add-on


class Supervisor(BaseHTTPRequestHandler):
    """A Supervisor of Home Assistant that answers requests for its MQTT service."""

    def do_GET(self) -> None:
        assert self.path == "/services/mqtt"
        assert self.headers["Authorization"] == "Bearer of-the-supervisor"
        body = {
            "result": "ok",
            "data": {"host": "core-mosquitto", "port": 1883, "ssl": False, "username": "addons", "password": "p"},
        }
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def started(tmp_path: Path) -> Any:
    """Runs the add-on's script with options; returns the daemon's settings and the output."""
    command = tmp_path / "bin/edge"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/called\n')
    command.chmod(0o755)

    def run(**options: Any) -> tuple[dict[str, Any], str]:
        (tmp_path / "options.json").write_text(json.dumps(options))
        server = ThreadingHTTPServer(("127.0.0.1", 0), Supervisor)
        Thread(target=server.serve_forever, daemon=True).start()
        environment = {
            **os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}", "EDGE_ADDON_DATA": str(tmp_path),
            "EDGE_ADDON_SUPERVISOR": f"http://127.0.0.1:{server.server_port}", "SUPERVISOR_TOKEN": "of-the-supervisor",
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, str(ADDON / "run")], env=environment, capture_output=True, text=True, check=False
        )
        server.shutdown()
        server.server_close()
        assert done.returncode == 0, done.stderr
        loader.check_text((tmp_path / "edge.toml").read_text(), tmp_path / "edge.toml")
        return tomllib.loads((tmp_path / "edge.toml").read_text()), done.stdout

    return run


def test_the_addon_starts_the_daemon_with_the_broker_of_home_assistant(started: Any, tmp_path: Path) -> None:
    defaults = yaml.safe_load((ADDON / "config.yaml").read_text())["options"]
    told, said = started(**defaults, photos="/share/photos")

    assert told["mqtt"] == {"host": "core-mosquitto", "port": 1883, "tls": False, "username": "addons", "password": "p"}
    assert told["homeassistant"] == {"enabled": True}
    assert told["cameras"] == [{"name": "door", "source": defaults["cameras"][0]["source"], "snapshots": True}]
    assert told["page"]["token"] in said
    assert (tmp_path / "called").read_text().splitlines() == [
        f"--config {tmp_path}/edge.toml enroll faces /share/photos", f"--config {tmp_path}/edge.toml run",
    ]  # fmt: skip


def test_a_restart_of_the_addon_keeps_the_keys_and_what_was_set_on_the_page(started: Any, tmp_path: Path) -> None:
    first, _ = started(name="porch", cameras=[{"name": "door", "source": "auto"}], page_token="open-sesame")
    file = tmp_path / "edge.toml"
    file.write_text(file.read_text().replace('source = "auto"', 'source = "auto"\nfps = 2.0'))
    second, said = started(
        name="porch", cameras=[{"name": "door", "source": "v4l2:/dev/video0"}], page_token="open-sesame"
    )

    assert second["api"] == first["api"]
    assert second["cameras"] == [{"name": "door", "source": "v4l2:/dev/video0", "fps": 2.0, "snapshots": True}]
    assert "open-sesame" not in said


def test_each_option_of_the_addon_has_a_rule_and_a_translation() -> None:
    found = yaml.safe_load((ADDON / "config.yaml").read_text())
    words = yaml.safe_load((ADDON / "translations/en.yaml").read_text())
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

    assert found["options"].keys() <= found["schema"].keys() == words["configuration"].keys()
    assert found["ports"].keys() == words["network"].keys()
    assert found["version"] == version


def test_the_addons_folder_holds_what_its_image_is_built_from(tmp_path: Path) -> None:
    subprocess.run([str(ROOT / "scripts/addon"), str(tmp_path / "edge")], check=True)
    needed = [
        name
        for name, _ in [("edge/cli/main.py", 0), ("models/edge-face-detector-2/model.tflite", 0), ("pyproject.toml", 0)]
    ]
    assert all(
        (tmp_path / "edge/src" / name).is_file() for name in [*needed, "scripts/locks/board.txt", "config/edge.toml"]
    )
    assert (tmp_path / "edge/config.yaml").read_text() == (ADDON / "config.yaml").read_text()
    copied = [
        text.split()[:-1]
        for name, text in instructions(ADDON / "Dockerfile")
        if name == "COPY" and "--from" not in text
    ]
    assert all((tmp_path / "edge" / one).exists() for many in copied for one in many)
