"""Jobs over stored videos, by an unmodified client: the whole life, paging, sorting, tokens, and a restart."""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from edge.api.rekognition.endpoint import ApiServer
from edge.api.rekognition.videos import jobs
from edge.api.rekognition.videos.store import JobStore

sys.path.insert(0, str(Path(__file__).parent))

import service_model
from conftest import Told, settings_for

VIDEO = {"S3Object": {"Bucket": "videos", "Name": "clip.mp4"}}
CHANNEL = {"SNSTopicArn": "arn:aws:sns:eu-west-1:000000000000:done", "RoleArn": "arn:aws:iam::000000000000:role/r"}


@pytest.fixture(scope="module")
def bucket(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    shutil.copy(shared / "data" / "video" / "short_hamilton_clip.mp4", folder / "clip.mp4")
    shutil.copy(shared / "data" / "video" / "lin-manuel-miranda.png", folder / "lin.png")
    (folder / "none.mp4").write_bytes(b"not a video")
    return folder


@pytest.fixture(scope="module")
def buckets(bucket: Path) -> dict[str, Path]:
    return {"videos": bucket}


def finished(get: Any, job: str, **arguments: Any) -> dict[str, Any]:
    """The first page of a job when it is done."""
    until = time.monotonic() + 300
    while time.monotonic() < until:
        answer: dict[str, Any] = get(JobId=job, **arguments)
        if answer["JobStatus"] != "IN_PROGRESS":
            return answer
        assert not {"Persons", "Faces", "Labels"} & set(answer) or not answer.get("Faces"), "nothing before the end"
        time.sleep(0.3)
    raise AssertionError("the job does not end")


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


@pytest.fixture(scope="module")
def faces(rekognition: Any) -> tuple[str, dict[str, Any]]:
    token = {"ClientRequestToken": "once", "JobTag": "tag", "NotificationChannel": CHANNEL}
    job = rekognition.start_face_detection(Video=VIDEO, **token)["JobId"]
    assert rekognition.start_face_detection(Video=VIDEO, **token)["JobId"] == job, "the same token starts nothing anew"
    return job, finished(rekognition.get_face_detection, job)


def test_faces_have_their_time_and_the_page_its_metadata(faces: tuple[str, dict[str, Any]]) -> None:
    job, answer = faces
    assert (answer["JobStatus"], answer["JobId"], answer["JobTag"]) == ("SUCCEEDED", job, "tag")
    assert answer["VideoMetadata"]["Codec"] == "h264"
    assert answer["VideoMetadata"]["Format"] == "QuickTime / MOV"
    assert 9000 <= answer["VideoMetadata"]["DurationMillis"] <= 10_100
    times = [one["Timestamp"] for one in answer["Faces"]]
    assert times == sorted(times)
    assert len(times) > 40


def test_pages_hold_everything_once(rekognition: Any, faces: tuple[str, dict[str, Any]]) -> None:
    job, whole = faces
    found: list[dict[str, Any]] = []
    arguments: dict[str, Any] = {"MaxResults": 17}
    while True:
        page = rekognition.get_face_detection(JobId=job, **arguments)
        found += page["Faces"]
        if "NextToken" not in page:
            break
        arguments["NextToken"] = page["NextToken"]
    assert found == whole["Faces"]
    with pytest.raises(ClientError) as error:
        rekognition.get_label_detection(JobId=job)
    assert code(error) == "ResourceNotFoundException", "a job of another operation"


def test_the_end_is_told_once(faces: tuple[str, dict[str, Any]], told: Told) -> None:
    job, _ = faces
    ((topic, document),) = [one for one in told if one[1]["JobId"] == job]
    assert topic == "done"
    assert (document["Status"], document["API"], document["JobTag"]) == ("SUCCEEDED", "StartFaceDetection", "tag")
    assert document["Video"] == {"S3ObjectName": "clip.mp4", "S3Bucket": "videos"}


def test_the_singer_is_found_by_face_and_keeps_his_number(rekognition: Any, bucket: Path) -> None:
    rekognition.create_collection(CollectionId="band")
    rekognition.index_faces(
        CollectionId="band", Image={"Bytes": (bucket / "lin.png").read_bytes()}, ExternalImageId="lin", MaxFaces=1
    )
    job = rekognition.start_face_search(Video=VIDEO, CollectionId="band")["JobId"]
    answer = finished(rekognition.get_face_search, job, SortBy="INDEX")
    indexes = [one["Person"]["Index"] for one in answer["Persons"]]
    assert indexes == sorted(indexes)
    named = [one for one in answer["Persons"] if one["FaceMatches"]]
    assert named
    assert {one["FaceMatches"][0]["Face"]["ExternalImageId"] for one in named} == {"lin"}
    assert len({one["Person"]["Index"] for one in named}) <= 2, "he is seen in two shots"


def test_labels_over_time_and_as_segments(rekognition: Any) -> None:
    job = rekognition.start_label_detection(
        Video=VIDEO, MinConfidence=50, Settings={"GeneralLabels": {"LabelInclusionFilters": ["Person"]}}
    )["JobId"]
    answer = finished(rekognition.get_label_detection, job)
    assert {one["Label"]["Name"] for one in answer["Labels"]} == {"Person"}
    first = rekognition.get_label_detection(JobId=job, MaxResults=1, SortBy="TIMESTAMP", AggregateBy="TIMESTAMPS")
    second = rekognition.get_label_detection(JobId=job, MaxResults=1, NextToken=first["NextToken"])
    assert first["Labels"] + second["Labels"] == answer["Labels"][:2], "a default that is named is the same question"
    with pytest.raises(ClientError) as error:
        rekognition.get_label_detection(JobId=job, SortBy="NAME", NextToken=first["NextToken"])
    assert code(error) == "InvalidPaginationTokenException"
    segments = rekognition.get_label_detection(JobId=job, AggregateBy="SEGMENTS", SortBy="NAME")["Labels"]
    assert len(segments) < len(answer["Labels"])
    assert all(one["DurationMillis"] == one["EndTimestampMillis"] - one["StartTimestampMillis"] for one in segments)
    assert max(one["DurationMillis"] for one in segments) > 2000


def test_what_is_no_video_is_refused_by_name(rekognition: Any) -> None:
    for name, expected in (
        ("missing.mp4", "InvalidS3ObjectException"),
        ("none.mp4", "InvalidParameterException"),
        ("../clip.mp4", "InvalidS3ObjectException"),
        ("a\0b.mp4", "InvalidS3ObjectException"),
        ("x" * 1000, "InvalidS3ObjectException"),
    ):
        with pytest.raises(ClientError) as error:
            rekognition.start_face_detection(Video={"S3Object": {"Bucket": "videos", "Name": name}})
        assert code(error) == expected, name
    with pytest.raises(ClientError) as error:
        rekognition.get_face_detection(JobId="nothing")
    assert code(error) == "ResourceNotFoundException"


def test_a_restart_in_the_middle_loses_and_repeats_nothing(
    shared: Path, bucket: Path, faces: tuple[str, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "SAVE_SECONDS", 0.0)
    settings = settings_for(shared / "models", buckets={"videos": bucket})
    first = ApiServer(settings, tmp_path)
    first.start()
    job = service_model.client(first.port).start_face_detection(Video=VIDEO)["JobId"]
    with closing(JobStore(tmp_path)) as store:
        while (before := store.get(job)) is None or before.seen < 0:
            time.sleep(0.01)
        first.stop()
        before = store.get(job)
    assert before is not None
    assert (before.status, before.seen < 8000) == ("IN_PROGRESS", True)
    second = ApiServer(settings, tmp_path)
    second.start()
    try:
        answer = finished(service_model.client(second.port).get_face_detection, job)
    finally:
        second.stop()
    assert answer["JobStatus"] == "SUCCEEDED"
    assert answer["Faces"] == faces[1]["Faces"]
