"""``edge bench`` on real models: its figures belong together. Times are never asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from rigs import settings_files


def test_bench_counts_what_it_ran_and_puts_the_cycle_beside_the_invokes(shared_models: Path, tmp_path: Path) -> None:
    config = settings_files.write(tmp_path, shared_models)
    earlier = tmp_path / "earlier.json"
    earlier.write_text(json.dumps({"cycle": {"frames": 10}}))
    command = [
        sys.executable, "-m", "edge", "bench", "--config", str(config), "--frames", "30", "--live", "1",
        "--faces", "50", "--threads", "1", "--compare", str(earlier), "--json",
    ]  # fmt: skip

    done = subprocess.run(command, capture_output=True, text=True, timeout=100)

    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["cycle"]["frames"] == 30
    assert report["cycle"]["invokes"][settings_files.DETECTOR] == 30
    assert report["cycle"]["cpu_over_invokes"] > 1.0
    assert report["live"]["frames"] >= 1
    assert report["threads"]["1"]["cpu_over_invokes"] > 1.0
    assert report["changes"] == [["cycle.frames", 10.0, 30.0, 3.0]]
