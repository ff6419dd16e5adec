"""Pictures that nothing is kept of: DetectFaces, CompareFaces, DetectLabels; bytes and buckets."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.api.rekognition import images
from edge.api.rekognition.errors import ApiError
from edge.core.imaging.image import encode_jpeg
from edge.core.storage.buckets import Buckets

People = Callable[[int], list[bytes]]


def test_a_face_has_box_landmarks_pose_and_quality(rekognition: Any, people: People) -> None:
    (face, *_) = rekognition.detect_faces(Image={"Bytes": people(0)[0]}, Attributes=["DEFAULT"])["FaceDetails"]

    assert set(face) == {"BoundingBox", "Confidence", "Landmarks", "Pose", "Quality"}
    marks = {mark["Type"]: mark for mark in face["Landmarks"]}
    assert list(marks) == ["eyeLeft", "eyeRight", "nose", "mouthLeft", "mouthRight"]
    assert marks["eyeLeft"]["X"] < marks["eyeRight"]["X"]
    assert marks["eyeLeft"]["Y"] < marks["nose"]["Y"] < marks["mouthLeft"]["Y"]
    box = face["BoundingBox"]
    assert box["Left"] < marks["nose"]["X"] < box["Left"] + box["Width"]
    assert face["Confidence"] > 50


def test_a_picture_without_faces_has_an_empty_list(rekognition: Any, shared_data: Path) -> None:
    cat = (shared_data / "stills" / "cat_720p.jpg").read_bytes()

    assert rekognition.detect_faces(Image={"Bytes": cat})["FaceDetails"] == []


def test_faces_of_one_person_match_and_those_of_two_do_not(rekognition: Any, people: People) -> None:
    same = rekognition.compare_faces(SourceImage={"Bytes": people(0)[0]}, TargetImage={"Bytes": people(0)[1]})
    other = rekognition.compare_faces(SourceImage={"Bytes": people(0)[0]}, TargetImage={"Bytes": people(1)[0]})

    assert same["FaceMatches"][0]["Similarity"] >= 80
    assert other["FaceMatches"] == []
    assert len(other["UnmatchedFaces"]) >= 1
    assert "Similarity" not in other["UnmatchedFaces"][0]


def test_a_threshold_of_nothing_matches_everybody(rekognition: Any, people: People, shared_data: Path) -> None:
    group = (shared_data / "face_pairs" / "selfie-many-people.jpg").read_bytes()

    answer = rekognition.compare_faces(
        SourceImage={"Bytes": people(0)[0]}, TargetImage={"Bytes": group}, SimilarityThreshold=0
    )

    similarities = [match["Similarity"] for match in answer["FaceMatches"]]
    assert len(similarities) > 3
    assert similarities == sorted(similarities, reverse=True)
    assert answer["UnmatchedFaces"] == []


def test_nobody_in_the_source_or_target_is_an_invalid_parameter(
    rekognition: Any, people: People, shared_data: Path
) -> None:
    cat, face = (shared_data / "stills" / "cat_720p.jpg").read_bytes(), people(0)[0]
    for source, target in ((cat, face), (face, cat)):
        with pytest.raises(rekognition.exceptions.InvalidParameterException, match="There are no faces"):
            rekognition.compare_faces(SourceImage={"Bytes": source}, TargetImage={"Bytes": target})


def test_labels_come_with_instances_ancestors_aliases_and_categories(rekognition: Any, shared_data: Path) -> None:
    pets = (shared_data / "stills" / "pets.jpg").read_bytes()

    answer = rekognition.detect_labels(Image={"Bytes": pets}, MinConfidence=30)

    labels = {label["Name"]: label for label in answer["Labels"]}
    confidences = [label["Confidence"] for label in answer["Labels"]]
    assert confidences == sorted(confidences, reverse=True)
    assert labels["Dog"]["Instances"][0]["Confidence"] >= 30
    assert [parent["Name"] for parent in labels["Dog"]["Parents"]] == ["Canine", "Pet", "Mammal", "Animal"]
    assert {"Name": "Animals and Pets"} in labels["Dog"]["Categories"]
    assert labels["Animal"]["Instances"] == []
    assert labels["Animal"]["Confidence"] >= labels["Dog"]["Confidence"]


def test_filters_choose_labels_by_name_and_category(rekognition: Any, shared_data: Path) -> None:
    image = {"Bytes": (shared_data / "stills" / "pets.jpg").read_bytes()}

    def names(**filters: list[str]) -> set[str]:
        answer = rekognition.detect_labels(Image=image, MinConfidence=30, Settings={"GeneralLabels": filters})
        return {label["Name"] for label in answer["Labels"]}

    everything = names()
    assert names(LabelInclusionFilters=["Dog"]) == {"Dog"}
    assert names(LabelExclusionFilters=["Dog"]) == everything - {"Dog"}
    assert {"Dog", "Animal"} <= names(LabelCategoryInclusionFilters=["Animals and Pets"])
    assert "Dog" not in names(LabelCategoryExclusionFilters=["Animals and Pets"])
    assert names(LabelCategoryInclusionFilters=["Animals and Pets"], LabelExclusionFilters=["Dog"]) == names(
        LabelCategoryInclusionFilters=["Animals and Pets"]
    ) - {"Dog"}


def test_image_properties_tell_quality_and_colors(rekognition: Any, shared_data: Path) -> None:
    image = {"Bytes": (shared_data / "stills" / "parrot.jpg").read_bytes()}

    answer = rekognition.detect_labels(
        Image=image, Features=["IMAGE_PROPERTIES"], Settings={"ImageProperties": {"MaxDominantColors": 4}}
    )

    assert answer["Labels"] == []
    colors = answer["ImageProperties"]["DominantColors"]
    assert len(colors) == 4
    assert sum(color["PixelPercent"] for color in colors) == pytest.approx(100, abs=0.1)
    assert 0 < answer["ImageProperties"]["Quality"]["Brightness"] < 100
    with pytest.raises(rekognition.exceptions.InvalidParameterException, match="only with the feature GENERAL_LABELS"):
        rekognition.detect_labels(Image=image, Features=["IMAGE_PROPERTIES"], MaxLabels=3)


def test_foreground_background_and_instances_have_their_own_colors(rekognition: Any, shared_data: Path) -> None:
    """The documentation's sample prints Foreground and Background of every answer."""
    asked = {"Features": ["GENERAL_LABELS", "IMAGE_PROPERTIES"], "MinConfidence": 50}
    picture = (shared_data / "stills" / "pets.jpg").read_bytes()
    answer = rekognition.detect_labels(Image={"Bytes": picture}, **asked)
    told = answer["ImageProperties"]
    assert told["Foreground"]["DominantColors"] != told["Background"]["DominantColors"]
    assert {"Brightness", "Sharpness", "Contrast"} == set(told["Foreground"]["Quality"])
    instances = [one for label in answer["Labels"] for one in label["Instances"]]
    assert instances
    assert all(one["DominantColors"][0]["HexCode"].startswith("#") for one in instances)
    blank = encode_jpeg(np.full((128, 128, 3), (200, 30, 30), np.uint8))
    told = rekognition.detect_labels(Image={"Bytes": blank}, **asked)["ImageProperties"]
    assert told["Foreground"] == told["Background"], "nothing stands out: both are the whole picture"
    assert told["Foreground"]["DominantColors"][0]["SimplifiedColor"] == "red"


def test_at_most_max_labels_are_given(rekognition: Any, shared_data: Path) -> None:
    image = {"Bytes": (shared_data / "stills" / "pets.jpg").read_bytes()}

    assert len(rekognition.detect_labels(Image=image, MaxLabels=2, MinConfidence=10)["Labels"]) == 2
    assert rekognition.detect_labels(Image=image, MaxLabels=0)["Labels"] == []


def test_a_bucket_is_a_folder(rekognition: Any, shared_data: Path) -> None:
    place = {"Bucket": "pictures", "Name": "stills/face.jpg"}

    by_name = rekognition.detect_faces(Image={"S3Object": place})
    by_bytes = rekognition.detect_faces(Image={"Bytes": (shared_data / "stills" / "face.jpg").read_bytes()})

    assert by_name["FaceDetails"] == by_bytes["FaceDetails"] != []


@pytest.mark.parametrize(
    "place",
    [
        {"Bucket": "pictures", "Name": "../README.md"},
        {"Bucket": "pictures", "Name": "stills/../../README.md"},
        {"Bucket": "pictures", "Name": "/etc/passwd"},
        {"Bucket": "pictures", "Name": "stills"},
        {"Bucket": "pictures", "Name": "stills//face.jpg"},
        {"Bucket": "pictures", "Name": "stills/\0face.jpg"},
        {"Bucket": "pictures", "Name": "stills/face.jpg/"},
        {"Bucket": "pictures", "Name": "a" * 1024},
        {"Bucket": "nowhere", "Name": "stills/face.jpg"},
    ],
)
def test_what_is_not_in_the_bucket_cannot_be_had(rekognition: Any, place: dict[str, str]) -> None:
    with pytest.raises(rekognition.exceptions.InvalidS3ObjectException, match="Unable to get object metadata"):
        rekognition.detect_faces(Image={"S3Object": place})


def test_links_and_pipes_do_not_lead_out_of_a_bucket(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\xff\xd8\xffsecret")
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    (bucket / "file").symlink_to(tmp_path / "secret")
    (bucket / "folder").symlink_to(tmp_path)
    os.mkfifo(bucket / "pipe")
    for name in ("file", "folder/secret", "pipe"):
        with pytest.raises(ApiError) as caught:
            images.s3_object({"Bucket": "b", "Name": name}, Buckets({"b": bucket}))
        assert caught.value.name == "InvalidS3ObjectException"


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"not a picture", "InvalidImageFormatException"),
        (b"GIF89a" + b"\0" * 100, "InvalidImageFormatException"),
        (b"\xff\xd8\xff", "InvalidImageFormatException"),
        (b"\x89PNG\r\n\x1a\n", "InvalidImageFormatException"),
        (b"\xff\xd8\xff" + b"\0" * 5_242_880, "ValidationException"),
    ],
)
def test_what_is_no_picture_says_what_is_wrong(rekognition: Any, data: bytes, error: str) -> None:
    with pytest.raises(rekognition.exceptions.ClientError, match=error):
        rekognition.detect_faces(Image={"Bytes": data})


def test_pictures_smaller_than_80_pixels_are_refused(rekognition: Any) -> None:
    cv2 = pytest.importorskip("cv2")
    np = pytest.importorskip("numpy")
    small = cv2.imencode(".png", np.zeros((79, 200, 3), np.uint8))[1].tobytes()
    enough = cv2.imencode(".png", np.zeros((80, 200, 3), np.uint8))[1].tobytes()

    assert rekognition.detect_faces(Image={"Bytes": enough})["FaceDetails"] == []
    with pytest.raises(rekognition.exceptions.InvalidParameterException, match="80 x 80"):
        rekognition.detect_faces(Image={"Bytes": small})
