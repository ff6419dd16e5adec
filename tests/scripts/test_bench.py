"""``scripts/bench`` on real models: its figures belong together. Times are never asserted."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from benchmarks.cameras import jain
from benchmarks.profile import INVOKES, STAGES, Clock, timed_stages
from benchmarks.replay import Film, held, still
from rigs import settings_files

from edge.cli.bench.compare import changes
from edge.cli.bench.cpu import Threads
from edge.cli.bench.setup import repeated
from edge.core.errors import SourceError
from edge.core.settings.address import SecretAddress
from edge.core.settings.vision import CameraSettings
from edge.core.types import Frame, Picture
from edge.inference import nms
from edge.pipeline.tracking.tracker import Tracker
from edge.sources.factory import open_source

plain_update = Tracker.update

ROOT = Path(__file__).resolve().parents[2]
BENCH = (sys.executable, str(ROOT / "scripts/bench"))


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*BENCH, *arguments], capture_output=True, text=True, timeout=100, env=os.environ.copy())


def test_bench_counts_what_it_ran_and_puts_the_cycle_beside_the_invokes_and_a_plain_script(
    shared_models: Path, tmp_path: Path
) -> None:
    config = settings_files.write(tmp_path, shared_models)
    earlier = tmp_path / "earlier.json"
    earlier.write_text(json.dumps({"cycle": {"frames": 10}}))

    done = bench(
        "--config", str(config), "--frames", "30", "--live", "1", "--faces", "50", "--rival", "--threads", "1",
        "--sizes", "60", "--compare", str(earlier), "--json",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    cycle, rival = report["cycle"], report["rival"]
    assert cycle["frames"] == 30
    assert cycle["invokes"][settings_files.DETECTOR] == 30
    assert cycle["cpu_over_invokes"] > 1.0
    assert 0 < cycle["fps_share"] <= 1.0
    assert {"detect", "track", "report", "frame"} <= set(report["latency_ms"])
    assert report["live"]["frames"] >= 1
    assert report["machine"]["models"].keys() == {settings_files.DETECTOR, settings_files.EMBEDDER}
    assert rival["embeddings"] >= rival["embeddings_of_ours"] == cycle["invokes"].get(settings_files.EMBEDDER, 0)
    assert rival["publishes"] is False
    assert report["threads"]["1"]["cpu_over_invokes"] > 1.0
    assert report["collections"]["60"]["recall_at_1"] == 1.0
    assert report["collections"]["60"]["enrolled_found"] == "200 of 200"
    assert report["changes"] == [["cycle.frames", 10.0, 30.0, 3.0]]


def test_the_profile_tells_the_stages_of_a_frame_and_leaves_no_clock_behind(tmp_path: Path) -> None:
    config = settings_files.write(tmp_path)

    done = bench("--config", str(config), "--frames", "20", "--live", "0", "--faces", "50", "--profile", "--json")

    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    stages = report["profile"]["stages"]
    assert stages[INVOKES]["calls"] == pytest.approx(sum(report["cycle"]["invokes"].values()) / 20, abs=0.01)
    assert stages.keys() <= STAGES.keys()
    assert {"picture into the input", "decoding", "tracks", "events"} <= stages.keys()
    assert report["profile"]["smallest_loop"]["over_its_invoke"] > 1.0

    clock = Clock()
    with timed_stages(clock):
        assert Tracker.update is not plain_update
        nms.keep([], [], [], 0.5)
    assert Tracker.update is plain_update
    assert clock.calls == {"overlapping boxes": 1}


def test_what_is_timed_within_a_stage_is_not_that_stages_own() -> None:
    clock = Clock()
    inner = clock.timing(lambda: sum(range(200_000)), "inner")
    clock.timing(lambda: [inner(), inner()], "outer")()
    assert clock.calls == {"inner": 2, "outer": 1}
    assert clock.inside == []
    assert 0 <= clock.spent["outer"] < clock.spent["inner"]


def test_cameras_people_motion_and_the_budget_are_measured_and_drawn(tmp_path: Path) -> None:
    config, plot = settings_files.write(tmp_path), tmp_path / "bench.png"

    done = bench(
        "--config", str(config), "--frames", "40", "--live", "1", "--faces", "50", "--cameras", "1,4",
        "--in-view", "2", "--detectors", settings_files.DETECTOR, "--motion", "--budget", "--plot", str(plot),
        "--json",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert set(report["cameras"]["1"]) == {"as_set", "overloaded"}
    for loads in report["cameras"].values():
        for load in loads.values():
            assert load["looks_each"]["least"] > 0
            assert 0 < load["fairness"] <= 1
            assert load["age_when_taken_ms"]["p50"] <= load["exposure_to_outbox_ms"]["p50"]
    mostly_still = report["cameras"]["4"]["overloaded_mostly_still"]
    assert mostly_still["looks_each_still"]["most"] < mostly_still["looks_each"]["least"]
    assert report["in_view"]["2"]["detections_per_frame"] > 1.5
    assert report["in_view"]["2"]["embeddings_per_frame"] < report["in_view"]["2"]["script_embeddings_per_frame"]
    assert report["detectors"][settings_files.DETECTOR]["cpu_over_invokes"] > 1.0
    assert report["motion"]["looks"] <= report["motion"]["frames"]
    budget = report["budget"]
    assert budget["pictures_enrolled"] == 2
    assert budget["budget"]["embeddings"] < budget["every_face_every_frame"]["embeddings"] <= budget["faces_seen"]
    assert plot.read_bytes().startswith(b"\x89PNG")


def a_still_frame(number: int) -> Frame:
    planes = np.full((72, 64), 100 + number, np.uint8)
    return Frame("door", number, number / 5, number / 5, Picture(planes, "i420", 64, 48))


def test_a_film_begins_again_with_a_cut_and_its_cameras_are_apart() -> None:
    film = Film([a_still_frame(number) for number in range(3)])
    with held("test", film) as source:
        camera = CameraSettings(name="door", source=f"{source}:0", fps=100)
        frames = list(itertools.islice(open_source(camera).frames(), 7))
        other = next(iter(open_source(camera.model_copy(update={"source": SecretAddress(f"{source}:1")})).frames()))

    assert [frame.main.data[0, 0] for frame in frames] == [100, 101, 102, 100, 101, 102, 100]
    assert [frame.sequence for frame in frames if frame.cut] == [3, 6]
    assert other.main.data[0, 0] != 100
    with pytest.raises(SourceError, match="no frames"):
        open_source(camera)


def test_a_still_film_differs_by_noise_alone() -> None:
    film = still(a_still_frame(0))

    shots = [frame.main.data for frame in film.frames]
    assert not np.array_equal(shots[0], shots[1])
    assert np.abs(shots[0][:48].astype(int) - shots[1][:48]).mean() < 6
    assert np.array_equal(shots[0][48:], shots[1][48:]), "colors stay"


def test_a_source_that_ends_early_is_shown_again_after_a_cut() -> None:
    frames = repeated([a_still_frame(number) for number in range(2)], CameraSettings(fps=5), 5)

    assert [frame.sequence for frame in frames if frame.cut] == [2, 4]
    assert [round(b.monotonic - a.monotonic, 6) for a, b in itertools.pairwise(frames)] == [0.2] * 4


def test_what_a_helper_that_still_runs_has_done_counts_already_and_stays_when_it_ends() -> None:
    said, enough = threading.Event(), threading.Event()
    done: list[float] = []

    def help_out() -> None:
        while not enough.is_set():
            hashlib.pbkdf2_hmac("sha256", b"work", b"without the lock", 2_000)
            done.append(time.thread_time())
            said.set()

    helper = threading.Thread(target=help_out)
    helper.start()
    threads = Threads()
    for _ in range(50):
        said.clear()
        assert said.wait(10)
        own, helped = time.thread_time(), done[-1]
        assert threads.seconds() >= own + helped
    before = threads.seconds()
    enough.set()
    helper.join()
    assert threads.seconds() >= before


@pytest.mark.parametrize(("rates", "fairness"), [([5, 5, 5], 1.0), ([9, 0, 0], 1 / 3), ([2, 4], 0.9), ([0, 0], 1.0)])
def test_jains_index(rates: list[float], fairness: float) -> None:
    assert jain(rates) == pytest.approx(fairness)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--threads", "two"], "--threads"),
        (["--plot", "bench.pdf"], "--plot"),
        (["--sizes", "0"], "--sizes"),
        (["--compare", "NOTES"], "not JSON"),
    ],
)
def test_what_bench_cannot_read_is_said_before_anything_is_measured(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    (tmp_path / "notes").write_text("fast enough")
    done = bench(*[str(tmp_path / "notes") if one == "NOTES" else one for one in arguments])

    assert (done.returncode, said in done.stderr) == (2, True)
    assert "Traceback" not in done.stderr


def test_a_comparison_tells_what_differs_and_by_how_much() -> None:
    old = {"cycle": {"fps": 20.0, "frames": 5, "share": None}, "gone": 1, "dropped": 0}
    new = {"cycle": {"fps": 25.0, "frames": 5, "share": 0.9}, "new": 1, "dropped": 2}

    assert changes(old, new) == [("cycle.fps", 20.0, 25.0, 1.25), ("dropped", 0.0, 2.0, None)]
