"""The tour with nothing but environment variables: buckets, faces, numbers for a table, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rigs.mosquitto import free_port
from rigs.waiting import eventually

ROOT = Path(__file__).parents[2]


@pytest.fixture
def people(shared_data: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "people"
    chosen = [one for one in sorted((shared_data / "lfw_dev").iterdir()) if len(list(one.glob("*.jpg"))) >= 4][:3]
    for one in chosen:
        shutil.copytree(one, folder / one.name)
    return folder


def test_a_tour_needs_the_address_alone(people: Path, tmp_path: Path) -> None:
    port, config = free_port(), tmp_path / "edge.toml"
    config.write_text(
        f'state = "{tmp_path / "state"}"\n[api]\nport = {port}\n[api.buckets]\n"*" = "{tmp_path / "s3"}"\n'
    )
    endpoint = subprocess.Popen([sys.executable, "-m", "edge", "--config", str(config), "api"], stdout=subprocess.PIPE)
    try:
        assert endpoint.stdout is not None
        assert endpoint.stdout.readline()
        surroundings = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        done = subprocess.run(
            [sys.executable, str(ROOT / "scripts/rekognition_tour"), str(people)], capture_output=True, text=True,
            timeout=200, env={**surroundings, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "all answered" in done.stdout
        assert "indexed by S3Object, found again" in done.stdout
        assert eventually(lambda: list((tmp_path / "s3").iterdir()) == [], 5)
    finally:
        endpoint.terminate()
        endpoint.wait(30)
