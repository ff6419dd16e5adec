"""The embedder's trainer: who is kept aside, what the student is taught, and what travels to another machine."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture(autouse=True)
def training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(SCRIPTS)


def _portraits(folder: Path, people: int) -> None:
    with (folder / "images.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "source", "person", "colour", "sex", "group"])
        for number in range(people):
            rows.writerow([f"commons/p{number}/a.jpg", "commons", f"p{number}", "grey or toned", "", ""])
            rows.writerow([f"commons/p{number}/b.jpg", "commons", f"p{number}", "colour", "", ""])
            rows.writerow([f"generated/g{number}.jpg", "generated", "", "colour", "female", "asian"])


def test_a_person_of_the_portraits_is_kept_aside_with_every_picture(tmp_path: Path) -> None:
    from training import data

    _portraits(tmp_path, 400)
    known, kept = data.split_portraits(data.read_portraits(tmp_path))
    assert len(known) + len(kept) == 1200
    assert 0.11 < len(kept) / 1200 < 0.19
    assert not {one.person for one in known} & {one.person for one in kept}
    assert {one.group for one in kept} == {"commons grey or toned", "commons colour", "generated female asian"}


def test_the_people_of_a_smaller_share_are_among_those_of_a_larger_one() -> None:
    from training.data import is_held_out

    people = [f"person {number}" for number in range(500)]
    small, large = ({name for name in people if is_held_out(name, share)} for share in (0.1, 0.15))
    assert small < large


def test_a_face_of_every_kind_is_generated_the_same_again() -> None:
    from training.crops import SIDE, Faces
    from training.mixing import generate

    rng = np.random.default_rng(1)
    crops = rng.integers(0, 255, (6, SIDE, SIDE, 3), np.uint8)
    faces = Faces(crops, np.array([0, 0, 1, 2, 3, 4]), np.array(["lfw"] * 3 + ["commons colour"] * 3))
    assert (generate(faces, 4, 1) == crops[4]).all()
    first, again, other = (generate(faces, index, 1) for index in (6, 6, 7))
    assert (first == again).all()
    assert not (first == other).all()
    assert first.shape == crops[0].shape


def _people_of_groups(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings of 3 pictures each of 60 people, who resemble their group more than themselves."""
    groups = np.repeat(["lfw", "commons colour", "generated female asian"], 60)
    people = np.repeat(np.arange(60), 3)
    means = {name: rng.normal(0, 3, 32) for name in np.unique(groups)}
    own = rng.normal(0, 1, (60, 32))[people]
    vectors = own + np.stack([means[name] for name in groups]) + rng.normal(0, 0.4, (180, 32))
    return vectors.astype(np.float32), people, groups


def _mean_cosines(vectors: np.ndarray, people: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """Of pairs of one person, and of two people of one group."""
    from training import measures

    alike = np.concatenate(list(measures.among_groups(vectors, people, groups).values()))
    return float(measures.all_pairs(vectors, people)[0].mean()), float(alike.mean())


def test_the_projection_takes_out_what_a_group_has_in_common() -> None:
    from training import ensemble

    vectors, people, groups = _people_of_groups(np.random.default_rng(2))
    projected = ensemble.fit(vectors, people, groups, dimensions=24, between=5.0, floor=0.5)(vectors)
    assert projected.shape == (180, 24)
    assert np.linalg.norm(projected, axis=1) == pytest.approx(1, abs=1e-5)
    assert _mean_cosines(ensemble.unit(vectors), people, groups)[1] > 0.8
    person, group = _mean_cosines(projected, people, groups)
    assert group < 0.2
    assert person > 0.6


def test_a_projection_of_people_with_one_picture_each_is_refused() -> None:
    from training import ensemble

    with pytest.raises(SystemExit, match="nobody has two pictures"):
        ensemble.fit(np.eye(4, dtype=np.float32), np.arange(4), np.array(["a", "a", "b", "b"]))


def test_a_turned_projection_keeps_every_cosine_and_comes_nearer() -> None:
    from training import ensemble

    vectors, people, groups = _people_of_groups(np.random.default_rng(5))
    projection = ensemble.fit(vectors, people, groups, dimensions=24)
    wanted = projection(vectors) @ np.linalg.qr(np.random.default_rng(6).normal(size=(24, 24)))[0].astype(np.float32)
    turned = projection.toward(vectors, wanted)
    assert turned(vectors) @ turned(vectors).T == pytest.approx(projection(vectors) @ projection(vectors).T, abs=1e-4)
    assert turned(vectors) == pytest.approx(wanted, abs=1e-3)


def test_targets_move_toward_their_person_and_generated_ones_stay() -> None:
    from training import ensemble

    targets = ensemble.unit(np.array([[1, 0], [0, 1], [1, 0.2], [0.3, 1]], np.float32))
    moved = ensemble.toward_people(targets, np.array([0, 0, 1]), 0.5)
    assert moved[0] @ moved[1] > targets[0] @ targets[1] + 0.4
    assert moved[2] == pytest.approx(targets[2], abs=1e-6)
    assert (moved[3] == targets[3]).all()


def test_the_nearest_others_come_nearest_first() -> None:
    from training import ensemble

    angles = np.array([0.0, 0.1, 0.3, 2.0, 2.05])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert ensemble.neighbors(vectors, 2, block=2)[:3].tolist() == [[1, 2], [0, 2], [1, 0]]


def test_a_pack_holds_what_fits_and_gives_it_back(tmp_path: Path) -> None:
    import tarfile

    from training import pack
    from training.crops import DIMENSIONS, SIDE, Faces, read_labels

    rng = np.random.default_rng(3)
    crops = (
        (np.linspace(20, 200, SIDE)[:, None, None] + rng.normal(0, 6, (8, SIDE, SIDE, 1))).repeat(3, 3).astype(np.uint8)
    )
    work = tmp_path / "work"
    known = Faces(crops[:2], np.arange(2), np.array(["lfw"] * 2))
    known.save(work / "labels")
    Faces(crops[4:6], np.arange(2), np.array(["commons colour"] * 2)).save(work / "kept")
    crops.tofile(work / "labels" / "crops.bin")
    embeddings = rng.normal(size=(8, DIMENSIONS)).astype(np.float32)
    embeddings.tofile(work / "labels" / "embeddings.bin")
    (work / "projection.npz").write_bytes(b"projection")
    (tmp_path / "start.pt").write_bytes(b"weights")
    target = tmp_path / "pack.tar"
    assert pack.write(work, SCRIPTS, tmp_path / "start.pt", target) == 8
    with pytest.raises(SystemExit, match="room for 0"):
        pack.write(work, SCRIPTS, tmp_path / "start.pt", tmp_path / "small.tar", limit=1000)
    limit = target.stat().st_size - 10_000
    assert 2 <= pack.write(work, SCRIPTS, tmp_path / "start.pt", tmp_path / "less.tar", limit) < 8
    assert (tmp_path / "less.tar").stat().st_size <= limit
    with tarfile.open(target) as tar:
        tar.extractall(tmp_path / "there", filter="data")
    pack.unpack(tmp_path / "there", tmp_path / "elsewhere")
    labeled = read_labels(tmp_path / "elsewhere" / "labels")
    assert labeled.embeddings == pytest.approx(embeddings, abs=2e-3)
    assert np.abs(labeled.crops.astype(int) - crops).mean() < 5
    assert Faces.load(tmp_path / "elsewhere" / "kept").groups.tolist() == ["commons colour"] * 2
    assert (tmp_path / "there" / "scripts" / "train_face_embedder").stat().st_mode & 0o111


def test_views_are_pictures_that_repeat_by_number() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed (scripts/train_setup)")
    from training.views import Views

    crops = torch.randint(0, 256, (64, 3, 120, 120), generator=torch.Generator().manual_seed(1)).byte()
    views = Views(torch.device("cpu"), 1)
    first, other, again = (views(crops, number) for number in (3, 4, 3))
    assert first.shape == (64, 3, 112, 112)
    assert first.min() >= 0
    assert first.max() <= 1
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_projection_of_a_net_goes_into_its_last_layer() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed (scripts/train_setup)")
    from training import embedder, ensemble
    from training.crops import SIDE, Faces, inner
    from training.torchnet import TorchNet

    torch.manual_seed(1)
    coarse = np.random.default_rng(4).integers(0, 255, (48, 8, 8, 3))
    crops = coarse.repeat(SIDE // 8, axis=1).repeat(SIDE // 8, axis=2).astype(np.uint8)
    faces = Faces(crops, np.arange(24).repeat(2), np.array(["lfw"] * 24 + ["commons colour"] * 24))
    net = TorchNet(embedder.shape())
    for part in net.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = 1.0
    with torch.no_grad():
        net(embedder.to_input(torch.from_numpy(inner(crops).copy()).permute(0, 3, 1, 2) / 255))
    before = embedder.embed(net, inner(crops))
    wanted = ensemble.fit(before, faces.people, faces.groups)(before)
    assert (embedder.project(net, faces) * wanted).sum(axis=1).mean() > 0.95


def test_a_net_between_two_trainings_has_weights_of_both(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed (scripts/train_setup)")
    from training import graph, loop
    from training.torchnet import TorchNet

    shape = graph.embedder(width=2, blocks=(1, 1, 1))
    first, last = TorchNet(shape), TorchNet(shape)
    loop.Training(first, tmp_path, loop.Budget(), rates=(0.02, 0.002)).keep_begun()
    loop.Training(last, tmp_path, loop.Budget(), rates=(0.02, 0.002)).save()
    weights = [net.layers[shape.outputs[0]].weight for net in (first, last, loop.averaged(tmp_path, shape, 0.25)[0])]
    assert torch.allclose(weights[2], 0.25 * weights[0] + 0.75 * weights[1], atol=1e-6)
    assert torch.equal(loop.averaged(tmp_path, shape)[0].layers[shape.outputs[0]].weight, weights[1])
