"""The bench on real models: its figures belong together. Times are never asserted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import config_of_tests
from config_of_tests import DETECTOR, EMBEDDER

EDGE = (sys.executable, "-m", "edge")


def test_bench_counts_what_it_ran_and_puts_the_cycle_beside_the_invokes(tmp_path: Path) -> None:
    config = config_of_tests.write(tmp_path)

    done = subprocess.run(
        [*EDGE, "--config", str(config), "bench", "--frames", "30", "--live", "1", "--faces", "50", "--json"],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
        env=os.environ.copy(),
    )

    report = json.loads(done.stdout)
    cycle = report["cycle"]
    assert cycle["frames"] == 30
    assert cycle["invokes"][DETECTOR] == 30
    assert cycle["cpu_over_invokes"] > 1.0
    assert 0 < cycle["fps_share"] <= 1.0
    assert {"detect", "track", "report", "frame"} <= set(report["latency_ms"])
    assert report["live"]["frames"] >= 1
    assert report["machine"]["models"].keys() == {DETECTOR, EMBEDDER}
