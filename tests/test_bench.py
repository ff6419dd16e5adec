"""The bench on real models: its figures belong together. Times are never asserted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import config_of_tests
import pytest

from edge.bench.compare import changes

EDGE = (sys.executable, "-m", "edge")


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*EDGE, *arguments], capture_output=True, text=True, timeout=100, env=os.environ.copy())


def test_bench_counts_what_it_ran_and_puts_the_cycle_beside_the_invokes_and_a_plain_script(
    shared_models: Path, tmp_path: Path
) -> None:
    config = config_of_tests.write(tmp_path, shared_models)
    earlier = tmp_path / "earlier.json"
    earlier.write_text(json.dumps({"cycle": {"frames": 10}}))

    done = bench(
        "--config", str(config), "bench", "--frames", "30", "--live", "1", "--faces", "50", "--rival", "--threads", "1",
        "--sizes", "60", "--compare", str(earlier), "--json",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    cycle, rival = report["cycle"], report["rival"]
    assert cycle["frames"] == 30
    assert cycle["invokes"][config_of_tests.DETECTOR] == 30
    assert cycle["cpu_over_invokes"] > 1.0
    assert 0 < cycle["fps_share"] <= 1.0
    assert {"detect", "track", "report", "frame"} <= set(report["latency_ms"])
    assert report["live"]["frames"] >= 1
    assert report["machine"]["models"].keys() == {config_of_tests.DETECTOR, config_of_tests.EMBEDDER}
    assert rival["embeddings"] >= rival["embeddings_of_ours"] == cycle["invokes"].get(config_of_tests.EMBEDDER, 0)
    assert rival["publishes"] is False
    assert report["threads"]["1"]["cpu_over_invokes"] > 1.0
    assert report["collections"]["60"]["recall_at_1"] == 1.0
    assert report["collections"]["60"]["enrolled_found"] == "20 of 20"
    assert report["changes"] == [["cycle.frames", 10.0, 30.0, 3.0]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--threads", "two"], "--threads"), (["--sizes", "0"], "--sizes"), (["--compare", "NOTES"], "not JSON")],
)
def test_what_bench_cannot_read_is_said_before_anything_is_measured(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    (tmp_path / "notes").write_text("fast enough")
    done = bench("bench", *[str(tmp_path / "notes") if one == "NOTES" else one for one in arguments])

    assert (done.returncode, said in done.stderr) == (2, True)
    assert "Traceback" not in done.stderr


def test_a_comparison_tells_what_differs_and_by_how_much() -> None:
    old = {"cycle": {"fps": 20.0, "frames": 5, "share": None}, "gone": 1, "dropped": 0}
    new = {"cycle": {"fps": 25.0, "frames": 5, "share": 0.9}, "new": 1, "dropped": 2}

    assert changes(old, new) == [("cycle.fps", 20.0, 25.0, 1.25), ("dropped", 0.0, 2.0, None)]
