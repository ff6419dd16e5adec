"""People, celebrities, moderated labels and segments of stored videos, by an unmodified client."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

FPS = 10
"""of a clip: 20 frames with a cat, then a person for 20, then black for 10, then the cat again for 10"""


def frames(shared: Path, face: bytes) -> list[Any]:
    stills = shared / "data/stills"
    cat = cv2.resize(cv2.imread(str(stills / "imprinting/cat_test_0.png")), (320, 240))
    person = cv2.resize(cv2.imdecode(np.frombuffer(face, np.uint8), 1), (320, 240))
    black = np.zeros((240, 320, 3), np.uint8)
    return [cat] * 20 + [person] * 20 + [black] * 10 + [cat] * 10


@pytest.fixture(scope="module")
def bucket(shared: Path, people: Callable[..., list[bytes]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    with av.open(str(folder / "clip.mp4"), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=FPS)
        stream.width, stream.height, stream.bit_rate = 320, 240, 4_000_000
        for image in frames(shared, people(0)[0]):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    return folder


@pytest.fixture(scope="module")
def buckets(bucket: Path) -> dict[str, Path]:
    return {"videos": bucket}


VIDEO = {"S3Object": {"Bucket": "videos", "Name": "clip.mp4"}}


def finished(get: Any, job: str, **arguments: Any) -> dict[str, Any]:
    until = time.monotonic() + 200
    while time.monotonic() < until:
        answer: dict[str, Any] = get(JobId=job, **arguments)
        if answer["JobStatus"] != "IN_PROGRESS":
            assert answer["JobStatus"] == "SUCCEEDED", answer
            return answer
        time.sleep(0.2)
    raise AssertionError("the job does not end")


def test_people_are_tracked_with_their_faces(rekognition: Any) -> None:
    job = rekognition.start_person_tracking(Video=VIDEO, JobTag="people")["JobId"]
    answer = finished(rekognition.get_person_tracking, job, SortBy="INDEX")
    persons = answer["Persons"]

    assert answer["JobTag"] == "people"
    assert {one["Person"]["Index"] for one in persons} == {persons[0]["Person"]["Index"]}
    assert all(2000 <= one["Timestamp"] < 4000 for one in persons)
    assert any("Face" in one["Person"] for one in persons)
    times = [one["Timestamp"] for one in finished(rekognition.get_person_tracking, job)["Persons"]]
    assert times == sorted(times)


def test_faces_of_a_video_have_the_attributes_that_were_asked_for(rekognition: Any) -> None:
    job = rekognition.start_face_detection(Video=VIDEO, FaceAttributes="ALL")["JobId"]

    faces = [one["Face"] for one in finished(rekognition.get_face_detection, job)["Faces"]]

    assert faces
    assert all(one["AgeRange"]["Low"] < one["AgeRange"]["High"] for one in faces)
    assert all(len(one["Landmarks"]) == 30 for one in faces)
    assert len({one["Gender"]["Value"] for one in faces}) == 1, "one person, one picture"


def test_celebrities_of_the_collection_are_told(rekognition: Any, people: Callable[..., list[bytes]]) -> None:
    rekognition.create_collection(CollectionId="family")
    rekognition.index_faces(CollectionId="family", Image={"Bytes": people(0)[0]}, ExternalImageId="grace", MaxFaces=1)
    job = rekognition.start_celebrity_recognition(Video=VIDEO)["JobId"]
    found = finished(rekognition.get_celebrity_recognition, job, SortBy="ID")["Celebrities"]

    assert {one["Celebrity"]["Name"] for one in found} == {"grace"}
    assert found[0]["Celebrity"]["Urls"] == ["https://example.org/grace"]
    assert all(2000 <= one["Timestamp"] < 4000 for one in found)
    rekognition.delete_collection(CollectionId="family")


def test_moderated_labels_have_times_and_segments(rekognition: Any) -> None:
    job = rekognition.start_content_moderation(Video=VIDEO, MinConfidence=30)["JobId"]
    answer = finished(rekognition.get_content_moderation, job)
    cats = [one["Timestamp"] for one in answer["ModerationLabels"] if one["ModerationLabel"]["Name"] == "Cats"]
    assert cats
    assert not [at for at in cats if 4000 <= at < 5000]
    segments = finished(rekognition.get_content_moderation, job, AggregateBy="SEGMENTS")
    spans = [one for one in segments["ModerationLabels"] if one["ModerationLabel"]["Name"] == "Cats"]
    assert spans[0]["StartTimestampMillis"] < 1000
    assert all(one["DurationMillis"] == one["EndTimestampMillis"] - one["StartTimestampMillis"] for one in spans)
    assert segments["GetRequestMetadata"] == {"SortBy": "TIMESTAMP", "AggregateBy": "SEGMENTS"}


def test_shots_and_black_frames_are_found_where_they_are(rekognition: Any) -> None:
    kinds = ["SHOT", "TECHNICAL_CUE"]
    job = rekognition.start_segment_detection(Video=VIDEO, SegmentTypes=kinds)["JobId"]
    answer = finished(rekognition.get_segment_detection, job)
    shots = [one for one in answer["Segments"] if one["Type"] == "SHOT"]
    (black,) = [one for one in answer["Segments"] if one["Type"] == "TECHNICAL_CUE"]

    assert [one["ShotSegment"]["Index"] for one in shots] == list(range(len(shots)))
    assert any(abs(one["StartTimestampMillis"] - 2000) <= 100 for one in shots)
    assert [one["EndTimestampMillis"] for one in shots[:-1]] == [one["StartTimestampMillis"] for one in shots[1:]]
    assert black["TechnicalCueSegment"]["Type"] == "BlackFrames"
    assert abs(black["StartTimestampMillis"] - 4000) <= 100
    assert abs(black["EndTimestampMillis"] - 5000) <= 100
    assert (black["StartTimecodeSMPTE"], black["StartFrameNumber"]) == ("00:00:04:00", 40)
    assert answer["SelectedSegmentTypes"] == [{"Type": one, "ModelVersion": "1.0"} for one in kinds]
    assert answer["VideoMetadata"][0]["FrameRate"] == FPS
    assert answer["AudioMetadata"] == []


def test_only_what_was_asked_for_is_told(rekognition: Any) -> None:
    job = rekognition.start_segment_detection(Video=VIDEO, SegmentTypes=["SHOT"])["JobId"]
    answer = finished(rekognition.get_segment_detection, job, MaxResults=1)
    assert [one["Type"] for one in answer["Segments"]] == ["SHOT"]
    more = rekognition.get_segment_detection(JobId=job, NextToken=answer["NextToken"])
    assert {one["Type"] for one in more["Segments"]} == {"SHOT"}
    sure = {"ShotFilter": {"MinSegmentConfidence": 99}}
    job = rekognition.start_segment_detection(Video=VIDEO, SegmentTypes=["SHOT"], Filters=sure)["JobId"]
    assert finished(rekognition.get_segment_detection, job)["Segments"] == []
