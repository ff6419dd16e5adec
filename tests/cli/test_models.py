"""``edge models``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edge.cli.main import edge
from edge.core.errors import NotFoundError

BROKEN = "kind = "


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    (tmp_path / "more").mkdir()
    monkeypatch.setenv("EDGE_MODELS__PATH", json.dumps([str(tmp_path / "more")]))

    def ran(*arguments: str) -> Any:
        return CliRunner().invoke(edge, ["models", *arguments], catch_exceptions=False, standalone_mode=False)

    return ran


def process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    command = [sys.executable, "-m", "edge", "models", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


def test_list_shows_each_card_and_how_to_get_what_is_not_here(run: Any) -> None:
    listed = {line["name"]: line for line in json.loads(run("list", "--json").stdout)}

    rfb = listed["rfb-320"]
    assert rfb["kind"] == "detector"
    assert rfb["licence"] == "MIT"
    assert rfb["size"] == 459360
    assert rfb["present"] is False
    assert "face_rfb320_int8.tflite" in rfb["get"]
    assert "rfb-320: put face_rfb320_int8.tflite" in run("list").stderr


def test_a_broken_card_is_listed_with_its_problem(run: Any, tmp_path: Path) -> None:
    (tmp_path / "more" / "bad").mkdir()
    (tmp_path / "more" / "bad" / "card.toml").write_text(BROKEN)

    listed = {line["name"]: line for line in json.loads(run("list", "--json").stdout)}

    assert "card.toml" in listed["bad"]["problem"]
    assert listed["bad"]["kind"] is None


def test_show_prints_the_whole_card(run: Any) -> None:
    shown = json.loads(run("show", "rfb-320", "--json").stdout)

    assert shown["decoder"]["name"] == "prior_box_faces"
    assert shown["path"] is None
    assert "decoder.name: prior_box_faces" in run("show", "rfb-320").stdout


@pytest.mark.parametrize("name", ["nonesuch", "../x", "🦊", "x" * 10_000])
def test_an_unknown_model_is_an_error_with_a_way_out(run: Any, name: str) -> None:
    with pytest.raises(NotFoundError, match="there is no model") as caught:
        run("show", name)

    assert caught.value.hint == "edge models list shows the models"


def test_check_tries_cards_and_files_and_fails_if_one_fails(shared_models: Path) -> None:
    crash = str(shared_models / "neg_crash_keyword_scrambled_8bit.tflite")

    ran = process("check", "--json", "rfb-320", crash, EDGE_MODELS__PATH=json.dumps([str(shared_models)]))

    good, bad = json.loads(ran.stdout)
    assert ran.returncode == 1
    assert good["ok"] is True
    assert good["outputs"][0]["shape"] == [1, 4420, 4]
    assert bad["ok"] is False
    assert "SIG" in bad["error"]
    assert bad["hint"]


def test_check_of_a_file_that_is_not_there_says_so() -> None:
    ran = process("check", "absent.tflite")

    assert ran.returncode == 1
    assert "absent.tflite: there is no such file" in ran.stderr
    assert "Traceback" not in ran.stderr
