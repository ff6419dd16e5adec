"""The endpoint inside the running daemon: its stream processors see what the cameras see."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import service_model

CONFIG = """
state = "{state}"
[models]
path = ["{models}"]
check = false
[[cameras]]
name = "door"
source = "video:{data}/video/short_hamilton_clip.mp4"
loop = true
detectors = ["ulffd-landmark-320"]
[labels.face]
embedder = "mobilefacenet-112-int8"
collection = "faces"
[api]
enabled = true
port = 0
"""


@pytest.mark.long
@pytest.mark.timeout(180)
def test_a_stream_processor_of_the_daemon_writes_records_of_its_camera(shared: Path, tmp_path: Path) -> None:
    config = tmp_path / "edge.toml"
    config.write_text(CONFIG.format(state=tmp_path / "state", models=shared / "models", data=shared / "data"))
    daemon = subprocess.Popen(
        [sys.executable, "-m", "edge", "--config", str(config), "run"], stderr=subprocess.PIPE, text=True
    )
    try:
        assert daemon.stderr
        line = next(line for line in daemon.stderr if "endpoint listens" in line)
        client = service_model.client(int(re.findall(r":(\d+)", line)[-1]))
        portrait = (shared / "data" / "video" / "lin-manuel-miranda.png").read_bytes()
        client.create_collection(CollectionId="cast")
        assert client.index_faces(CollectionId="cast", Image={"Bytes": portrait}, MaxFaces=1)["FaceRecords"]
        client.create_stream_processor(
            Name="watch",
            Input={"KinesisVideoStream": {"Arn": "arn:aws:kinesisvideo:local:000000000000:stream/door/1"}},
            Output={"KinesisDataStream": {"Arn": "arn:aws:kinesis:local:000000000000:stream/x"}},
            RoleArn="arn:aws:iam::000000000000:role/x",
            Settings={"FaceSearch": {"CollectionId": "cast"}},
        )
        client.start_stream_processor(Name="watch")
        lines = tmp_path / "state" / "rekognition" / "watch.jsonl"
        until = time.monotonic() + 60
        while not lines.exists() and time.monotonic() < until:
            time.sleep(0.2)
        client.stop_stream_processor(Name="watch")
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.communicate(timeout=60)

    record = json.loads(lines.read_text().splitlines()[0])
    assert record["FaceSearchResponse"][0]["DetectedFace"]["Landmarks"]
    assert daemon.returncode == 0
