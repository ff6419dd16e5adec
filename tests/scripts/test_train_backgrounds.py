"""``scripts/train_backgrounds``, with a package archive of its own: what it keeps, and what it says when it cannot."""

from __future__ import annotations

import importlib.util
import json
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from rigs.debian import Archive

from edge.core.types import Box, Detection

ROOT = Path(__file__).resolve().parents[2]
FACE = ROOT / "edge/data/portraits/grace-hopper/1.jpg"
OURS = "edge-face-detector-1"
PLACE = Box(0.4, 0.3, 0.6, 0.6)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with three packages instead of forty-one."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    loader = SourceFileLoader("train_backgrounds", str(ROOT / "scripts/train_backgrounds"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    monkeypatch.setitem(sys.modules, loader.name, module)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader.exec_module(module)
    monkeypatch.setattr(module.packages, "DESKTOPS", {"desktops": "CC0-1.0"})
    monkeypatch.setattr(module.packages, "STAMPS", {"stamps": "GPL-2"})
    monkeypatch.setattr(module.packages, "MORE", {"textures": "GPL-2+"})
    return module


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    made = Archive(tmp_path / "archive")
    monkeypatch.setenv("APT_CONFIG", str(made.settings))
    return made


@pytest.fixture
def debs(archive: Archive) -> dict[str, Path]:
    """Desktop pictures in two sizes, stamps with and without people, textures and a portrait."""
    stamps = "usr/share/tuxpaint/stamps"
    return {
        "desktops": archive.add(
            "desktops",
            {
                "usr/share/wallpapers/Hill/contents/images/640x480.png": slope(1),
                "usr/share/wallpapers/Hill/contents/images/320x240.png": slope(2),
                "usr/share/backgrounds/lake.png": slope(3),
                "usr/share/backgrounds/icon.png": slope(4, 12),
                "usr/share/icons/large.png": slope(5),
            },
        ),
        "stamps": archive.add(
            "stamps", {f"{stamps}/animals/cat.png": stamp(), f"{stamps}/people/man.png": stamp()}
        ),
        "textures": archive.add(
            "textures",
            {
                "usr/share/t/stone@2x.png": slope(6),
                "usr/share/t/de/stone@2x.png": slope(9),
                "usr/share/t/woman.png": portrait(),
                "usr/share/t/torn.png": b"x" * 30_000,
            },
        ),
    }  # fmt: skip


def slope(seed: int, size: int = 200) -> bytes:
    """From one color to another, with a little grain: noise alone a detector now and then takes for a face."""
    random = np.random.default_rng(seed)
    ends = random.integers(20, 236, (2, 1, 3)).astype(np.float32)
    grain = random.integers(-9, 10, (size, size, 3))
    return png((cv2.resize(ends, (size, size), interpolation=cv2.INTER_LINEAR) + grain).astype(np.uint8))


def stamp() -> bytes:
    return png(np.full((30, 30, 4), 90, np.uint8))


def portrait() -> bytes:
    return png(cv2.imread(str(FACE)))


def png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


def run(script: ModuleType, monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["train_backgrounds", *map(str, words)])
    code: int = script.main()
    return code


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix in (".jpg", ".png")}


def state(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*.*") if path.is_file()}


class Sees:
    """A detector that sees the same things everywhere."""

    size = (320, 240)

    def __init__(self, *found: Detection) -> None:
        self.found = list(found)

    def detect(self, _picture: object, _scores: object = None) -> list[Detection]:
        return self.found


def face(score: float, box: Box = PLACE) -> Detection:
    return Detection("face", score, box)


@pytest.mark.usefixtures("debs")
def test_a_folder_made_from_nothing_is_what_the_trainer_reads(script, tmp_path, monkeypatch, capsys) -> None:
    from training.backgrounds import about, is_kept_aside, read_material

    folder = tmp_path / "backgrounds"
    assert run(script, monkeypatch, folder) == 0
    pictures = {"photos/000_lake.jpg", "photos/001_Hill.jpg"}
    assert names(folder) == {*pictures, "stamps/animals_cat.png"}
    material = read_material(folder)
    assert len(material.photographs) == sum(not is_kept_aside(Path(name)) for name in pictures)
    assert [stamp.shape[2] for stamp in material.stamps] == [4]
    told = about(folder)
    assert told.startswith("2 pictures of 2 packages of Debian's main section, 0 cut out of them, 1 stamps")
    assert "licences of the pictures: CC0, GPL; by package" in told
    assert told in capsys.readouterr().out


@pytest.mark.usefixtures("debs")
def test_a_picture_of_a_face_is_left_out_and_a_second_run_changes_nothing(script, tmp_path, monkeypatch) -> None:
    folder = tmp_path / "backgrounds"
    assert run(script, monkeypatch, folder, "--finders", OURS, OURS) == 0
    assert {name for name in names(folder) if name.startswith("more")} == {"more/textures/textures_000_stone-2x.jpg"}
    before = state(folder)
    assert run(script, monkeypatch, folder, "--finders", OURS, OURS) == 0
    after = state(folder)
    about = str(folder / "ABOUT.txt")
    assert before.pop(about)[1] == after.pop(about)[1]
    assert after == before


@pytest.mark.usefixtures("debs")
def test_what_was_made_without_looking_for_faces_is_made_anew(script, tmp_path, monkeypatch, archive) -> None:
    archive.add("desktops", {"usr/share/backgrounds/a.png": portrait()})
    folder = tmp_path / "backgrounds"
    assert run(script, monkeypatch, folder) == 0
    assert "photos/000_a.jpg" in names(folder)
    assert run(script, monkeypatch, folder, "--finders", OURS, OURS) == 0
    assert "photos/000_a.jpg" not in names(folder)
    assert "photos/001_lake.jpg" in names(folder)


def test_an_interrupted_download_leaves_whole_groups_and_goes_on_later(
    script, debs, tmp_path, monkeypatch, capsys
) -> None:
    folder = tmp_path / "backgrounds"
    away = debs["stamps"].rename(tmp_path / "away.deb")
    assert run(script, monkeypatch, folder) == 1
    said = capsys.readouterr().err
    assert "error: stamps could not be downloaded: E: Failed to fetch" in said
    assert "try: check the network" in said
    assert [path.name for path in tmp_path.glob("backgrounds*")] == ["backgrounds"]
    assert names(folder) == {"photos/000_lake.jpg", "photos/001_Hill.jpg"}
    first = state(folder)
    away.rename(debs["stamps"])
    debs["desktops"].unlink()
    assert run(script, monkeypatch, folder) == 0
    assert first.items() <= state(folder).items()
    assert "stamps/animals_cat.png" in names(folder)


@pytest.mark.usefixtures("debs")
def test_a_group_that_was_being_made_is_not_read_as_backgrounds(script, tmp_path, monkeypatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    folder = tmp_path / "backgrounds"
    monkeypatch.setattr(script, "mistakes", stop)
    assert run(script, monkeypatch, folder, "--finders", OURS, OURS) == 130
    assert not names(folder)
    assert [path.name for path in tmp_path.glob("backgrounds*")] == ["backgrounds"]


@pytest.mark.usefixtures("debs")
def test_a_package_that_apt_does_not_know_is_said_and_keeps_nothing_else_out(
    script, tmp_path, monkeypatch, capsys
) -> None:
    script.packages.DESKTOPS["absent-wallpapers"] = "GPL-2"
    assert run(script, monkeypatch, tmp_path / "backgrounds") == 0
    assert "left out: absent-wallpapers; try: apt-get update" in capsys.readouterr().out
    assert json.loads((tmp_path / "backgrounds/photos/source.json").read_text())["packages"] == {"desktops": "1.0"}


@pytest.mark.usefixtures("archive")
def test_an_apt_that_knows_nothing_yet_is_told_to_update(script, tmp_path, monkeypatch, capsys) -> None:
    assert run(script, monkeypatch, tmp_path / "backgrounds") == 1
    assert capsys.readouterr().err == (
        "error: apt knows none of the packages\ntry: sudo apt-get update, then run this again\n"
    )


@pytest.mark.usefixtures("debs")
def test_a_folder_that_cannot_be_made_is_named(script, tmp_path, monkeypatch, capsys) -> None:
    (tmp_path / "file").touch()
    assert run(script, monkeypatch, tmp_path / "file/backgrounds") == 1
    said = capsys.readouterr().err
    assert f"error: {tmp_path / 'file/backgrounds'} cannot be written: " in said
    assert "try: make room, or name another folder" in said


def test_a_machine_that_is_not_debian_is_told_what_to_do(script, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run(script, monkeypatch, tmp_path / "backgrounds") == 1
    said = capsys.readouterr().err
    assert "this machine lacks apt-get and dpkg-deb" in said
    assert "try: run this on Debian" in said


@pytest.mark.usefixtures("debs")
def test_an_unknown_detector_is_told_before_anything_is_downloaded(script, tmp_path, monkeypatch, capsys) -> None:
    assert run(script, monkeypatch, tmp_path / "backgrounds", "--finders", "nobody", OURS) == 1
    said = capsys.readouterr().err
    assert "nobody" in said
    assert "\ntry: " in said
    assert not (tmp_path / "backgrounds").exists()


@pytest.mark.parametrize(
    ("first", "second", "mistaken"),
    [
        ([], [], []),
        ([face(0.35)], [face(0.31)], None),
        ([face(0.61)], [], None),
        ([face(0.59)], [], []),
        ([face(0.5, Box(0.0, 0.0, 0.1, 0.1))], [face(0.4), face(0.7)], [0.7, 0.4]),
    ],
)
def test_both_at_one_place_or_the_first_for_sure_see_a_face_and_the_second_alone_is_mistaken(
    script, first, second, mistaken
) -> None:
    finders = [Sees(*first), Sees(*second)]
    found = script.mistakes(script.pictures.decode(slope(8)), finders)
    assert (found if found is None else [one.score for one in found]) == mistaken


def test_what_the_second_detector_is_mistaken_about_is_cut_out_beside_its_picture(script, tmp_path) -> None:
    (tmp_path / "wall.png").write_bytes(slope(7, 400))
    script.keep(tmp_path / "wall.png", tmp_path / "wall.jpg", [Sees(), Sees(face(0.4))])
    piece = cv2.imread(str(tmp_path / "wall@0.jpg"))
    assert piece.shape == (315, 400, 3)
    assert (tmp_path / "wall.jpg").exists()


def test_every_package_has_a_licence_that_leaves_any_use_and_change_free(monkeypatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    from training import packages

    named = packages.licences([*packages.DESKTOPS, *packages.STAMPS, *packages.MORE])
    assert {"CC-BY-SA", "GFDL", "GPL", "public domain"} <= set(named)
    assert not [licence for licence in named if {"NC", "ND"} & set(licence.split("-")) or not licence]
