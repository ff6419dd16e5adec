"""Help is quick: no command loads numpy, a runtime or cv2 to explain itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HEAVY = ["numpy", "cv2", "av", "annoy", "ai_edge_litert", "tflite_runtime", "simplejpeg", "picamera2", "boto3"]

PROGRAM = """
import json, sys
import click
from click.testing import CliRunner
from edge.cli.main import edge

def walk(command, words):
    result = CliRunner().invoke(edge, [*words, "--help"], prog_name="edge")
    seen[" ".join(words)] = [result.exit_code, [name for name in heavy if name in sys.modules]]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            walk(command.get_command(context, name), [*words, name])

heavy, seen = json.loads(sys.argv[1]), {}
walk(edge, [])
print(json.dumps(seen))
"""


def printed(program: str, *arguments: Path) -> str:
    """What a Python program prints."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_help_of_no_command_loads_anything_heavy() -> None:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(HEAVY)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    seen = json.loads(result.stdout)
    assert len(seen) > 10
    assert {words: loaded for words, (_, loaded) in seen.items() if loaded} == {}
    assert {words: code for words, (code, _) in seen.items() if code} == {}


def test_settings_are_read_without_loading_anything_heavy() -> None:
    program = (
        f"import sys; from edge.core.settings import loader; loader.read()\n"
        f"print([n for n in {HEAVY!r} if n in sys.modules])"
    )
    assert printed(program) == "[]"


OPTIONAL = [
    "starlette", "uvicorn", "tuf", "securesystemslib", "cryptography", "av", "picamera2", "ai_edge_litert",
    "tflite_runtime", "annoy", "pydantic_settings",
    "edge.api.rekognition", "edge.api.web", "edge.releases.updater", "edge.daemon.remote_commands",
    "edge.mqtt.command_auth",
    "edge.daemon.integrations", "edge.daemon.notifications", "edge.daemon.webhook",
    "edge.mqtt.homeassistant", "edge.mqtt.frigate", "edge.pipeline.review_sampling",
    "edge.recognition.review.answers", "edge.recognition.enrollment",
    "edge.labels.trainer", "edge.labels.evaluation", "edge.labels.store", "edge.inference.text_recognizer",
    "edge.inference.text_detection", "edge.inference.face_attributes",
]  # fmt: skip
"""what only some configurations use"""


def test_the_daemon_loads_at_first_only_what_every_configuration_uses() -> None:
    program = f"import sys; import edge.daemon.daemon; print([n for n in {OPTIONAL!r} if n in sys.modules])"
    assert printed(program) == "[]"


ON_REQUEST = [
    "av", "edge.api.rekognition.videos.looking", "edge.api.rekognition.operations.faces",
    "edge.api.rekognition.operations.projects", "edge.api.s3.endpoint", "edge.labels.trainer", "edge.labels.manifests",
    "edge.sources.onvif", "edge.core.system.http", "edge.pipeline.threshold_preview",
]  # fmt: skip


def test_the_endpoint_and_the_page_load_what_a_request_needs_when_it_comes(tmp_path: Path) -> None:
    """17 MB of codecs that a device without stored videos does not need, and the modules of operations."""
    program = (
        "import sys; from pathlib import Path; from edge.core.settings.schema import Settings\n"
        "from edge.api.rekognition.endpoint import ApiServer; ApiServer(Settings(), Path(sys.argv[1]))\n"
        "import edge.api.web.routes\n"
        f"print([n for n in {ON_REQUEST!r} if n in sys.modules])"
    )
    assert printed(program, tmp_path) == "[]"


UNUSED = ["edge.inference.text_recognizer", "edge.inference.text_detection", "edge.inference.face_attributes"]


def test_models_that_nothing_asks_for_are_neither_imported_nor_loaded(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from edge.core.settings.schema import Settings\n"
        "from edge.core.settings.vision import CameraSettings, ModelSettings\n"
        "from edge.pipeline.loader import load_model_set\n"
        "from edge.recognition.store.collections import Collections\n"
        "cameras = (CameraSettings(name='door', source='synthetic:x'),)\n"
        "settings = Settings(cameras=cameras, models=ModelSettings(check=False))\n"
        "state = Path(sys.argv[1])\n"
        "with Collections(state, settings.collection, maintain=False) as collections:\n"
        "    loaded = load_model_set(settings, state, collections)\n"
        f"print(sorted(loaded.models), [name for name in {UNUSED!r} if name in sys.modules])"
    )
    assert printed(program, tmp_path) == "['edge-face-detector-2', 'edge-face-embedder-1'] []"
