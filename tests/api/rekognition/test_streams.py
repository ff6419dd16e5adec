"""Stream processors: their life by boto3, their records from real frames, in the exact format."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rigs.fakes import a_model_set
from rigs.heads import a_version

from edge.api.rekognition.endpoint import ApiServer
from edge.api.rekognition.streams import processor, records, regions
from edge.core.imaging import image as pictures
from edge.core.settings.schema import Settings
from edge.core.settings.services import ApiSettings
from edge.core.settings.vision import CameraSettings, LabelSettings, ModelSettings
from edge.core.types import Box, Frame, Point, Track
from edge.pipeline.frame_result import FrameResult

People = Callable[[int], list[bytes]]
VIDEO = "arn:aws:kinesisvideo:local:000000000000:stream/door/1"
DATA = "arn:aws:kinesis:local:000000000000:stream/faces"
TOPIC = "arn:aws:sns:local:000000000000:AmazonRekognition"
ROLE = "arn:aws:iam::000000000000:role/anything"


class Published:
    """What was published, in order."""

    def __init__(self) -> None:
        self.records: list[tuple[str, Mapping[str, Any]]] = []
        self._arrived = threading.Condition()

    def __call__(self, processor: str, payload: bytes) -> None:
        with self._arrived:
            self.records.append((processor, json.loads(payload)))
            self._arrived.notify_all()

    def wait(self, count: int) -> list[tuple[str, Mapping[str, Any]]]:
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.records) >= count, 30), self.records
            return list(self.records)


@pytest.fixture(scope="module")
def published() -> Published:
    return Published()


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bucket")


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def server(shared: Path, state: Path, published: Published, bucket: Path) -> Iterator[ApiServer]:
    made = ApiServer(_settings(shared, bucket), state, publish=published)
    made.start()
    yield made
    made.stop()


def _settings(shared: Path, bucket: Path) -> Settings:
    return Settings(
        models=ModelSettings(path=(shared / "models",), check=False),
        cameras=(
            CameraSettings(name="door", source="synthetic:none", detectors=("ulffd-landmark-320", "yolov8n-416")),
            CameraSettings(name="yard", source="synthetic:none", detectors=("yolov8n-416",), labels=("cat",)),
        ),
        labels={
            "face": LabelSettings(embedder="mobilefacenet-112-int8", collection="faces"),
            "person": LabelSettings(),
            "cat": LabelSettings(),
        },
        api=ApiSettings(port=0, buckets={"heroes": bucket}, records="all", share=1.0),
    )


def face_processor(name: str, collection: str, **more: Any) -> dict[str, Any]:
    return {
        "Name": name,
        "Input": {"KinesisVideoStream": {"Arn": VIDEO}},
        "Output": {"KinesisDataStream": {"Arn": DATA}},
        "RoleArn": ROLE,
        "Settings": {"FaceSearch": {"CollectionId": collection}},
        **more,
    }


def label_processor(name: str, **more: Any) -> dict[str, Any]:
    return {
        "Name": name,
        "Input": {"KinesisVideoStream": {"Arn": VIDEO}},
        "Output": {"S3Destination": {"Bucket": "heroes", "KeyPrefix": "seen"}},
        "NotificationChannel": {"SNSTopicArn": TOPIC},
        "RoleArn": ROLE,
        "Settings": {"ConnectedHome": {"Labels": ["PERSON"]}},
        **more,
    }


def frame_of(data: bytes, sequence: int = 1) -> Frame:
    now = time.time()
    return Frame("door", sequence, time.monotonic(), now, pictures.decode(data))


def track_of(frame: Frame, label: str, box: Box, landmarks: tuple[Point, ...] = (), name: str = "1-1") -> Track:
    return Track(name, frame.camera, label, box, 0.9, frame.monotonic, frame.monotonic, frame.time, frame.time,
                 landmarks=landmarks)  # fmt: skip


def faces_in(server: ApiServer, frame: Frame) -> list[Track]:
    seen = server.service.vision.faces(frame.main)
    return [track_of(frame, "face", one.detection.box, one.detection.landmarks, f"1-{i}") for i, one in enumerate(seen)]


def test_a_processor_lives_from_stopped_to_running_and_back(rekognition: Any, collection: str) -> None:
    request = face_processor("life", collection, Tags={"a": "b"})
    request["Settings"]["FaceSearch"]["FaceMatchThreshold"] = 50.0

    arn = rekognition.create_stream_processor(**request)["StreamProcessorArn"]
    described = rekognition.describe_stream_processor(Name="life")

    assert arn == described["StreamProcessorArn"] == "arn:aws:rekognition:eu-west-1:000000000000:streamprocessor/life"
    assert described["Status"] == "STOPPED"
    assert described["Settings"] == {"FaceSearch": {"CollectionId": collection, "FaceMatchThreshold": 80.0}}
    assert (described["Input"], described["Output"], described["RoleArn"]) == (
        request["Input"], request["Output"], ROLE,
    )  # fmt: skip
    assert rekognition.list_tags_for_resource(ResourceArn=arn)["Tags"] == {"a": "b"}
    in_use = rekognition.exceptions.ResourceInUseException
    with pytest.raises(in_use, match="name already in use"):
        rekognition.create_stream_processor(**request)
    with pytest.raises(in_use, match="not available for stopping"):
        rekognition.stop_stream_processor(Name="life")
    rekognition.start_stream_processor(Name="life")
    assert rekognition.describe_stream_processor(Name="life")["Status"] == "RUNNING"
    for forbidden in (
        lambda: rekognition.start_stream_processor(Name="life"),
        lambda: rekognition.delete_stream_processor(Name="life"),
        lambda: rekognition.update_stream_processor(Name="life", DataSharingPreferenceForUpdate={"OptIn": True}),
    ):
        with pytest.raises(in_use):
            forbidden()
    rekognition.stop_stream_processor(Name="life")
    listed = rekognition.list_stream_processors()["StreamProcessors"]
    assert {"Name": "life", "Status": "STOPPED"} in listed
    rekognition.delete_stream_processor(Name="life")
    with pytest.raises(rekognition.exceptions.ResourceNotFoundException):
        rekognition.describe_stream_processor(Name="life")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"Input": {"KinesisVideoStream": {"Arn": VIDEO.replace("door", "nowhere")}}}, "stream/<camera>"),
        ({"Input": {}}, "stream/<camera>"),
        ({"Output": {}}, "KinesisDataStream"),
        ({"Settings": {}}, "exactly one"),
        ({"Settings": {"FaceSearch": {}}}, "CollectionId"),
        ({"RegionsOfInterest": [{"BoundingBox": {"Left": 0, "Top": 0, "Width": 1, "Height": 1}}]}, "not for face"),
        ({"Settings": {"ConnectedHome": {"Labels": ["PERSON"]}}}, "S3Destination"),
    ],
)
def test_requests_that_make_no_face_processor_say_why(
    rekognition: Any, collection: str, change: dict[str, Any], says: str
) -> None:
    with pytest.raises(rekognition.exceptions.InvalidParameterException, match=says):
        rekognition.create_stream_processor(**face_processor("wrong", collection, **change))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"Settings": {"ConnectedHome": {"Labels": ["PACKAGE"]}}}, "PACKAGE"),
        ({"Settings": {"ConnectedHome": {"Labels": ["DRAGON"]}}}, "DRAGON"),
        ({"Input": {"KinesisVideoStream": {"Arn": VIDEO.replace("door", "yard")}}}, "PERSON is not among"),
        ({"RegionsOfInterest": [{"Polygon": [{"X": 0, "Y": 0}, {"X": 1, "Y": 1}]}]}, "3 to 10 points"),
        ({"RegionsOfInterest": [{}]}, "either"),
        ({"RegionsOfInterest": [{"BoundingBox": {"Left": 0.9, "Top": 0, "Width": 0.2, "Height": 1}}]}, "inside"),
    ],
)
def test_requests_that_make_no_label_processor_say_why(rekognition: Any, change: dict[str, Any], says: str) -> None:
    with pytest.raises(rekognition.exceptions.InvalidParameterException, match=says):
        rekognition.create_stream_processor(**label_processor("wrong", **change))


def test_a_custom_label_of_a_camera_can_be_a_package(server: ApiServer, state: Path) -> None:
    a_version(state, "parcels", labels=("parcel", "other"))
    camera = CameraSettings(name="yard", detectors=("yolov8n-416",), labels=("cat",), custom_labels=("parcels",))
    seen = processor.looked_for(camera, server.service.settings, state)
    wanted = processor.Processor("p", "yard", label_processor("p", Settings={"ConnectedHome": {"Labels": ["ALL"]}}))
    assert processor.home_classes(wanted, seen) == {"cat": "PET", "parcel": "PACKAGE"}


def test_a_known_face_makes_a_record_in_the_exact_format(
    server: ApiServer, rekognition: Any, collection: str, people: People, published: Published, state: Path
) -> None:
    indexed = rekognition.index_faces(
        CollectionId=collection, Image={"Bytes": people(0)[0]}, ExternalImageId="alice_1", MaxFaces=1
    )["FaceRecords"][0]["Face"]
    rekognition.create_stream_processor(**face_processor("watch", collection))
    rekognition.start_stream_processor(Name="watch")
    before = len(published.records)

    frame = frame_of(people(0)[1])
    server.processors.observe(FrameResult(frame, a_model_set(), tracks=faces_in(server, frame)))
    name, record = published.wait(before + 1)[-1]
    server.service.queues["models"].submit(lambda: None).result(30)
    empty = frame_of(people(0)[1], 2)
    server.processors.observe(FrameResult(empty, a_model_set(), tracks=[]))
    _, nobody = published.wait(before + 2)[-1]
    rekognition.stop_stream_processor(Name="watch")
    server.processors.observe(FrameResult(frame, a_model_set(), tracks=faces_in(server, frame)))

    assert name == "watch"
    video = record["InputInformation"]["KinesisVideo"]
    assert set(video) == {
        "StreamArn", "FragmentNumber", "ServerTimestamp", "ProducerTimestamp", "FrameOffsetInSeconds",
    }  # fmt: skip
    assert (video["StreamArn"], video["FragmentNumber"]) == (VIDEO, "1")
    assert video["ProducerTimestamp"] + video["FrameOffsetInSeconds"] == pytest.approx(frame.time, abs=2e-3)
    assert record["StreamProcessorInformation"] == {"Status": "RUNNING"}
    found = next(face for face in record["FaceSearchResponse"] if face["MatchedFaces"])
    assert set(found["DetectedFace"]) == {"BoundingBox", "Confidence", "Landmarks", "Pose", "Quality"}
    (match,) = found["MatchedFaces"]
    assert match["Similarity"] >= 80
    assert match["Face"] == {
        name: indexed[name] for name in ("BoundingBox", "FaceId", "Confidence", "ImageId", "ExternalImageId")
    }
    assert nobody["FaceSearchResponse"] == []
    lines = (state / "rekognition" / "watch.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [record, nobody]
    rekognition.delete_stream_processor(Name="watch")


def test_a_person_inside_a_region_is_reported_once_a_session_with_a_picture(
    server: ApiServer, rekognition: Any, shared_data: Path, published: Published, bucket: Path
) -> None:
    left = {"BoundingBox": {"Left": 0.0, "Top": 0.0, "Width": 0.5, "Height": 1.0}}
    rekognition.create_stream_processor(**label_processor("home", RegionsOfInterest=[left], Tags={"house": "blue"}))
    with pytest.raises(rekognition.exceptions.InvalidParameterException, match="StartSelector"):
        rekognition.start_stream_processor(Name="home")
    selector = {"KVSStreamStartSelector": {"ProducerTimestamp": 1763800000000}}
    before = len(published.records)
    session = rekognition.start_stream_processor(Name="home", StartSelector=selector)["SessionId"]
    assert rekognition.describe_stream_processor(Name="home")["Status"] == "STARTING"

    data = (shared_data / "stills" / "face.jpg").read_bytes()
    for sequence, box in enumerate((Box(0.6, 0.1, 0.9, 0.9), Box(0.1, 0.1, 0.4, 0.9), Box(0.1, 0.1, 0.4, 0.9))):
        frame = frame_of(data, sequence)
        server.processors.observe(FrameResult(frame, a_model_set(), tracks=[track_of(frame, "person", box)]))
        server.service.queues["models"].submit(lambda: None).result(30)
    rekognition.stop_stream_processor(Name="home")
    events = [record for _, record in published.wait(before + 2)[before:]]

    assert [event["Message"]["eventNamespace"]["type"] for event in events] == [
        "LABEL_DETECTED", "STREAM_PROCESSING_COMPLETE",
    ]  # fmt: skip
    assert {event["Subject"] for event in events} == {"Rekognition Stream Processing Event"}
    message = events[0]["Message"]
    assert message["inputInformation"] == {"kinesisVideo": {"streamArn": VIDEO}}
    assert (message["sessionId"], message["tags"]) == (session, {"house": "blue"})
    assert message["startStreamProcessorRequest"] == {"Name": "home", "StartSelector": selector}
    (label,) = message["labels"]
    assert label["name"] == "PERSON"
    assert label["boundingBox"] == pytest.approx({"left": 0.1, "top": 0.1, "height": 0.8, "width": 0.3})
    assert set(label["videoMapping"]["kinesisVideoMapping"]) == {
        "fragmentNumber", "serverTimestamp", "producerTimestamp", "frameOffsetMillis",
    }  # fmt: skip
    for name in ("frameImageUri", "croppedImageUri"):
        assert label[name].startswith(f"s3://heroes/seen/home/{session}/")
        assert pictures.read(bucket / label[name].removeprefix("s3://heroes/")).width > 0
    assert events[1]["Message"]["streamProcessingResults"]["message"] == "STOPPED"
    assert rekognition.describe_stream_processor(Name="home")["Status"] == "STOPPED"
    rekognition.delete_stream_processor(Name="home")


def test_a_label_session_ends_by_itself(rekognition: Any, published: Published) -> None:
    rekognition.create_stream_processor(**label_processor("short"))
    before = len(published.records)

    rekognition.start_stream_processor(
        Name="short",
        StartSelector={"KVSStreamStartSelector": {"FragmentNumber": "1"}},
        StopSelector={"MaxDurationInSeconds": 1},
    )
    (_, record) = published.wait(before + 1)[-1]

    assert record["Message"]["streamProcessingResults"]["message"] == "SUCCESS"
    assert rekognition.describe_stream_processor(Name="short")["Status"] == "STOPPED"
    rekognition.delete_stream_processor(Name="short")


def test_settings_of_a_label_processor_are_updated(rekognition: Any) -> None:
    rekognition.create_stream_processor(**label_processor("change"))
    corner = [{"Polygon": [{"X": 0, "Y": 0}, {"X": 1, "Y": 0}, {"X": 0, "Y": 1}]}]

    rekognition.update_stream_processor(
        Name="change",
        SettingsForUpdate={"ConnectedHomeForUpdate": {"Labels": ["PET"], "MinConfidence": 70.0}},
        RegionsOfInterestForUpdate=corner,
        DataSharingPreferenceForUpdate={"OptIn": False},
    )
    changed = rekognition.describe_stream_processor(Name="change")
    assert changed["Settings"] == {"ConnectedHome": {"Labels": ["PET"], "MinConfidence": 70.0}}
    assert changed["RegionsOfInterest"] == corner
    assert changed["LastUpdateTimestamp"] >= changed["CreationTimestamp"]

    rekognition.update_stream_processor(
        Name="change", ParametersToDelete=["ConnectedHomeMinConfidence", "RegionsOfInterest"]
    )
    changed = rekognition.describe_stream_processor(Name="change")
    assert changed["Settings"] == {"ConnectedHome": {"Labels": ["PET"]}}
    assert "RegionsOfInterest" not in changed
    with pytest.raises(rekognition.exceptions.InvalidParameterException, match="DRAGON"):
        rekognition.update_stream_processor(
            Name="change", SettingsForUpdate={"ConnectedHomeForUpdate": {"Labels": ["DRAGON"]}}
        )
    rekognition.delete_stream_processor(Name="change")


def test_a_processor_whose_collection_goes_has_failed(rekognition: Any, collection: str) -> None:
    rekognition.create_stream_processor(**face_processor("orphan", collection))
    rekognition.start_stream_processor(Name="orphan")

    rekognition.delete_collection(CollectionId=collection)

    described = rekognition.describe_stream_processor(Name="orphan")
    assert (described["Status"], described["StatusMessage"]) == ("FAILED", "Collection not found")
    with pytest.raises(rekognition.exceptions.ResourceNotFoundException):
        rekognition.start_stream_processor(Name="orphan")
    rekognition.delete_stream_processor(Name="orphan")


def test_processors_survive_a_restart(shared: Path, bucket: Path, tmp_path: Path, people: People) -> None:
    import service_model

    first = ApiServer(_settings(shared, bucket), tmp_path)
    first.start()
    client = service_model.client(first.port)
    client.create_collection(CollectionId="staff")
    for request in (face_processor("faces", "staff"), label_processor("home"), face_processor("idle", "staff")):
        client.create_stream_processor(**request)
    client.start_stream_processor(Name="faces")
    client.start_stream_processor(Name="home", StartSelector={"KVSStreamStartSelector": {"FragmentNumber": "1"}})
    first.stop()

    published = Published()
    second = ApiServer(_settings(shared, bucket), tmp_path, publish=published)
    second.start()
    client = service_model.client(second.port)
    statuses = {one["Name"]: one["Status"] for one in client.list_stream_processors()["StreamProcessors"]}
    frame = frame_of(people(0)[0])
    second.processors.observe(FrameResult(frame, a_model_set(), tracks=faces_in(second, frame)))
    records = published.wait(1)
    second.stop()

    assert statuses == {"faces": "RUNNING", "home": "FAILED", "idle": "STOPPED"}
    assert records[0][0] == "faces"


def test_without_cameras_nothing_starts(shared: Path, bucket: Path, tmp_path: Path) -> None:
    import service_model

    server = ApiServer(_settings(shared, bucket), tmp_path, with_cameras=False)
    server.start()
    client = service_model.client(server.port)
    client.create_collection(CollectionId="staff")
    client.create_stream_processor(**face_processor("faces", "staff"))

    with pytest.raises(client.exceptions.ResourceInUseException, match="No camera runs"):
        client.start_stream_processor(Name="faces")
    server.stop()


def test_a_busy_lane_costs_frames_and_not_time(server: ApiServer, rekognition: Any, collection: str) -> None:
    rekognition.create_stream_processor(**face_processor("busy", collection))
    rekognition.start_stream_processor(Name="busy")
    release, holding = threading.Event(), threading.Event()
    queue = server.service.queues["models"]
    held = queue.submit(lambda: (holding.set(), release.wait(30)))
    assert holding.wait(30)
    skipped = server.processors.skipped
    frame = Frame("door", 1, time.monotonic(), time.time(), pictures.decode(_gray()))

    for _ in range(10):
        server.processors.observe(FrameResult(frame, a_model_set(), tracks=[]))

    assert queue.waiting == 1
    assert server.processors.skipped == skipped + 9
    release.set()
    held.result(30)
    rekognition.stop_stream_processor(Name="busy")
    rekognition.delete_stream_processor(Name="busy")


def _gray() -> bytes:
    import numpy as np

    return pictures.encode_jpeg(np.full((90, 120, 3), 127, np.uint8))


def test_a_segment_ends_after_two_seconds() -> None:
    segments = records.Segments()

    moments = [segments.at(1000.0 + offset, 2000.0) for offset in (0.0, 0.5, 1.9, 2.0, 2.5, 9.0, 1.0)]

    assert [moment.fragment for moment in moments] == [1, 1, 1, 2, 2, 3, 4]
    assert [round(moment.offset, 3) for moment in moments] == [0.0, 0.5, 1.9, 0.0, 0.5, 0.0, 0.0]


UNIT = st.floats(0, 1, allow_nan=False)


@given(st.lists(UNIT, min_size=8, max_size=8))
def test_half_of_a_box_inside_a_region_is_what_the_common_area_says(numbers: list[float]) -> None:
    a, b, c, d, e, f, g, h = numbers
    box = Box(min(a, b), min(c, d), max(a, b), max(c, d))
    region = Box(min(e, f), min(g, h), max(e, f), max(g, h))
    sides = {"Left": region.left, "Top": region.top, "Width": region.width, "Height": region.height}
    share = box.held_by(region)
    if abs(share - 0.5) < 1e-6 or box.area < 1e-9:
        return

    assert regions.inside(box, [{"BoundingBox": sides}]) == (share > 0.5)
    corners = [
        (region.left, region.top),
        (region.right, region.top),
        (region.right, region.bottom),
        (region.left, region.bottom),
    ]
    assert regions.inside(box, [{"Polygon": [{"X": x, "Y": y} for x, y in corners]}]) == (share > 0.5)


def test_a_polygon_that_turns_inwards_holds_what_is_in_it_alone() -> None:
    corners = [(0, 0), (1, 0), (1, 1), (0.9, 1), (0.9, 0.1), (0.1, 0.1), (0.1, 1), (0, 1)]
    region = [{"Polygon": [{"X": x, "Y": y} for x, y in corners]}]

    assert not regions.inside(Box(0.3, 0.3, 0.7, 0.7), region)
    assert regions.inside(Box(0.0, 0.2, 0.09, 0.9), region)


def test_without_regions_everything_counts_and_nothing_is_wrong() -> None:
    assert regions.inside(Box(0.1, 0.1, 0.2, 0.2), [])
    assert regions.problem([]) == ""
