"""The rival: what one would write from the examples of a camera library and of TFLite.

One thread, each frame in turn: convert the whole frame, detect, cut and embed every face that is seen, compare with
every face of the collection, write JSON, publish. No tracks, so no face is ever settled.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from edge.cli.bench.cycle import WARM_UP
from edge.core.errors import EdgeError
from edge.core.imaging import image as pictures
from edge.core.settings.messaging import MqttSettings
from edge.core.settings.schema import Settings
from edge.core.settings.vision import CameraSettings
from edge.core.types import Detection, Frame, Picture
from edge.inference.detector import Detector
from edge.inference.embedder import Embedder
from edge.pipeline.loader import LoadedModels

if TYPE_CHECKING:
    from edge.core.types import FloatArray

Publish = Callable[[bytes], object]
TOPIC = "edge-bench/rival"


def beside(
    settings: Settings,
    camera: CameraSettings,
    assembled: LoadedModels,
    frames: Sequence[Frame],
    cycle: Mapping[str, Any],
    progress: Callable[[float], None],
) -> dict[str, Any]:
    """Run the script on the frames of ``cycle``, and put its figures beside those."""
    publish, stop = _publisher(settings.mqtt)
    script = _Script(camera, assembled, publish)
    try:
        for frame in frames[:WARM_UP]:
            script.look(frame)
        script.embeddings = 0
        wall, cpu = time.perf_counter(), time.process_time()
        for frame in frames[WARM_UP:]:
            script.look(frame)
            progress(0)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    finally:
        stop()
    count = len(frames) - WARM_UP
    ours = sum(cycle["invokes"].get(name, 0) for name in script.embedders)
    fps = count / wall
    return {
        "fps": round(fps, 1),
        "cpu_ms_per_frame": round(1e3 * cpu / count, 2),
        "embeddings": script.embeddings,
        "embeddings_of_ours": ours,
        "our_fps_over_its": round(cycle["fps"] / fps, 2),
        "its_cpu_over_ours": round(1e3 * cpu / count / cycle["cpu_ms_per_frame"], 2),
        "publishes": bool(settings.mqtt.host),
    }


class _Script:
    """The script itself."""

    def __init__(self, camera: CameraSettings, assembled: LoadedModels, publish: Publish) -> None:
        model_set = assembled.model_set
        self._detectors = [cast("Detector", model_set.detectors[name]) for name in camera.detectors]
        self._embedders = {label: cast("Embedder", one.embedder) for label, one in model_set.recognizers.items()}
        self._known = {label: _everything(one.search.collection) for label, one in model_set.recognizers.items()}
        self._publish = publish
        self.embedders = {embedder.card.name for embedder in self._embedders.values()}
        self.embeddings = 0

    def look(self, frame: Frame) -> None:
        rgb = pictures.to_rgb(frame.main)
        picture = Picture(rgb, "rgb", frame.main.width, frame.main.height)
        found = [one for detector in self._detectors for one in detector.detect(picture)]
        said = [self._named(picture, detection) for detection in found]
        if said:
            self._publish(json.dumps({"camera": frame.camera, "time": frame.time, "found": said}).encode())

    def _named(self, picture: Picture, detection: Detection) -> dict[str, Any]:
        box = detection.box
        said: dict[str, Any] = {"label": detection.label, "score": detection.score}
        said["box"] = [box.left, box.top, box.right, box.bottom]
        embedder = self._embedders.get(detection.label)
        if embedder is None:
            return said
        (embedding,) = embedder.embed(picture, [detection])
        self.embeddings += 1
        known = self._known[detection.label]
        if len(known):
            similar = known @ embedding.vector
            best = int(similar.argmax())
            said |= {"face": best, "similarity": float(similar[best])}
        return said


def _everything(collection: Any) -> FloatArray:
    """(N, D) all vectors of a collection, in memory."""
    ids: list[str] = []
    while page := collection.faces(after=ids[-1] if ids else "", limit=1000):
        ids += [face.face_id for face in page]
    vectors: FloatArray = collection.vectors(ids) if ids else np.empty((0, 1), np.float32)
    return np.ascontiguousarray(vectors)


def _publisher(settings: MqttSettings) -> tuple[Publish, Callable[[], object]]:
    """Paho as its examples use it; nothing where no broker is set."""
    if not settings.host:
        return lambda _: None, lambda: None
    import paho.mqtt.client as paho
    from paho.mqtt.enums import CallbackAPIVersion

    client = paho.Client(CallbackAPIVersion.VERSION2)
    if settings.username:
        client.username_pw_set(settings.username, settings.password.get_secret_value())
    try:
        client.connect(settings.host, settings.port or 1883)
    except OSError as error:
        raise EdgeError(f"bench: the rival cannot reach the broker: {error}", "set mqtt.host to none") from error
    client.loop_start()
    return lambda payload: client.publish(TOPIC, payload, qos=1), client.loop_stop
