"""Text of pictures and stored videos, by an unmodified client, with the shipped models and drawn signs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

INK, PAPER = (30, 25, 20), (225, 230, 235)


def sign(*rows: str, scale: float = 1.6) -> np.ndarray:
    """(480, 640, 3) BGR: rows of text on a light board before a dark wall."""
    image = np.full((480, 640, 3), 70, np.uint8)
    cv2.rectangle(image, (30, 40), (610, 440), PAPER, -1)
    for number, row in enumerate(rows):
        cv2.putText(image, row, (60, 130 + 90 * number), cv2.FONT_HERSHEY_DUPLEX, scale, INK, 3, cv2.LINE_AA)
    return cv2.GaussianBlur(image, (0, 0), 0.8)


def jpeg(image: np.ndarray) -> dict[str, bytes]:
    return {"Bytes": cv2.imencode(".jpg", image)[1].tobytes()}


SIGN = sign("EXIT 24", "PARCEL", "7305 AB")


@pytest.fixture(scope="module")
def buckets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("videos")
    with av.open(str(folder / "sign.mp4"), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.bit_rate = 640, 480, 8_000_000
        for image in [np.full_like(SIGN, 70)] * 5 + [SIGN] * 5:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    return {"videos": folder}


def words_of(answer: dict[str, Any]) -> list[str]:
    return [one["DetectedText"] for one in answer["TextDetections"] if one["Type"] == "WORD"]


def test_lines_and_words_of_a_sign_with_their_places(rekognition: Any) -> None:
    answer = rekognition.detect_text(Image=jpeg(SIGN))

    found = answer["TextDetections"]
    lines = [one for one in found if one["Type"] == "LINE"]
    assert [one["DetectedText"] for one in lines] == ["EXIT 24", "PARCEL", "7305 AB"]
    assert words_of(answer) == ["EXIT", "24", "PARCEL", "7305", "AB"]
    assert [one["Id"] for one in found] == list(range(len(found)))
    assert {one["ParentId"] for one in found if one["Type"] == "WORD"} == {0, 1, 2}
    for one in found:
        box = one["Geometry"]["BoundingBox"]
        assert 0.05 < box["Left"] < 0.5
        assert 0.05 < box["Height"] < 0.15
        assert len(one["Geometry"]["Polygon"]) == 4
        assert 50 < one["Confidence"] <= 100


def test_filters_remove_words_and_their_lines(rekognition: Any) -> None:
    lower = {"BoundingBox": {"Left": 0.0, "Top": 0.5, "Width": 1.0, "Height": 0.5}}

    answer = rekognition.detect_text(Image=jpeg(SIGN), Filters={"RegionsOfInterest": [lower]})
    assert words_of(answer) == ["7305", "AB"]
    tall = rekognition.detect_text(Image=jpeg(SIGN), Filters={"WordFilter": {"MinBoundingBoxHeight": 0.5}})
    assert tall["TextDetections"] == []


def test_an_invalid_region_is_an_error(rekognition: Any) -> None:
    line = {"Polygon": [{"X": 0.1, "Y": 0.1}, {"X": 0.9, "Y": 0.9}]}
    with pytest.raises(rekognition.exceptions.InvalidParameterException, match="a Polygon has 3 to 10 points"):
        rekognition.detect_text(Image=jpeg(SIGN), Filters={"RegionsOfInterest": [line]})


def test_a_picture_without_text_has_an_empty_list(rekognition: Any) -> None:
    assert rekognition.detect_text(Image=jpeg(np.full((480, 640, 3), 120, np.uint8)))["TextDetections"] == []


def test_text_of_a_video_has_its_timestamps(rekognition: Any) -> None:
    video = {"S3Object": {"Bucket": "videos", "Name": "sign.mp4"}}
    job = rekognition.start_text_detection(Video=video, Filters={"WordFilter": {"MinConfidence": 50}})["JobId"]
    until = time.monotonic() + 60
    while (answer := rekognition.get_text_detection(JobId=job))["JobStatus"] == "IN_PROGRESS":
        assert time.monotonic() < until
        time.sleep(0.1)

    assert answer["JobStatus"] == "SUCCEEDED"
    times = {one["Timestamp"] for one in answer["TextDetections"]}
    assert times
    assert all(1000 <= one < 2000 for one in times)
    read = {one["TextDetection"]["DetectedText"] for one in answer["TextDetections"]}
    assert {"EXIT 24", "PARCEL"} <= read
