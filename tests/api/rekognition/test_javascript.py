"""The AWS SDK for JavaScript 3, as npm has it, against a signed endpoint."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from pydantic import SecretStr

from edge.api.rekognition.endpoint import ApiServer
from edge.core.settings.schema import Settings
from edge.core.settings.services import ApiSettings

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
SCRIPT = Path(__file__).with_name("javascript_client.mjs")
PICTURE = Path(__file__).parents[3] / "edge/data/portraits/grace-hopper/1.jpg"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder with the SDK, and the script beside it."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("needs node and npm")
    command = ["npm", "install", "--no-audit", "--no-fund", "@aws-sdk/client-rekognition", "@aws-sdk/client-s3"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280)
    if done.returncode:
        pytest.skip(f"npm has no SDK for us: {done.stderr[-200:]}")
    shutil.copy(SCRIPT, tmp_path)
    return tmp_path


@pytest.mark.long
@pytest.mark.timeout(400)
def test_an_unmodified_program_in_javascript_runs(package: Path) -> None:
    buckets = {"*": package / "s3"}
    settings = Settings(api=ApiSettings(port=0, keys={KEY: SecretStr(SECRET)}, buckets=buckets))
    server = ApiServer(settings, package / "state")
    server.start()
    try:
        surroundings = {
            **os.environ,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.port}",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }
        done = subprocess.run(
            ["node", SCRIPT.name, str(PICTURE), "java-script"], cwd=package, capture_output=True, text=True,
            timeout=100, env=surroundings,
        )  # fmt: skip
    finally:
        server.stop()
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["created"][:2] == "20"
    del said["created"]
    assert said == {
        "stream": "one two",
        "keys": ["a b/ü.jpg", "stream.txt"],
        "same": True,
        "none": ["NotImplementedException", 501, 1],
        "broken": ["ValidationException", 400, 1],
        "absent": ["ResourceNotFoundException", 400, 1],
    }
