"""The fleet's page over HTTP: who may do what, and what comes back."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from rigs.fleet_page import MARK, ServedHub, generated, put_events, report, served_hub

from edge.core.errors import SettingsError
from edge.core.settings.schema import Settings
from edge.hub.page.server import HubServer

TOKENS = {"token": "o" * 24, "users": {"kim": {"token": "k" * 24, "role": "look"}}}
ROOT = Path(__file__).parents[3]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_fleet_is_told_as_rows_and_then_only_what_changed(tmp_path: Path) -> None:
    report(tmp_path, generated(50))
    with served_hub(tmp_path) as hub:
        first = hub.get("/page/devices")
        assert (first["total"], len(first["devices"]), first["all"]) == (50, 50, True)
        again = f"/page/devices?started={first['started']}&since={first['revision']}"
        assert hub.get(again)["devices"] == []
        hub.told({"dev-00007": {"status": {"online": False, "session": 2}}})
        hub.server._cache._read_at = float("-inf")  # as if some seconds had passed
        (row,) = hub.get(again)["devices"]
        device = dict(zip(first["columns"], row, strict=True))
        assert (device["device"], device["online"], "offline" in device["troubles"]) == ("dev-00007", False, True)
        other = hub.get(f"/page/devices?started=another&since={first['revision']}")
        assert (len(other["devices"]), other["all"]) == (50, True)


def test_one_device_is_told_with_what_it_reports(tmp_path: Path) -> None:
    report(tmp_path, generated(3))
    with served_hub(tmp_path) as hub:
        one = hub.get("/page/devices/dev-00001")
        assert one["documents"]["info"]["hardware"].startswith("Raspberry Pi 5")
        assert hub.ask("GET", "/page/devices/nobody")[0] == 404


def test_events_are_filtered_and_paged_without_gap_or_overlap(tmp_path: Path) -> None:
    report(tmp_path, generated(5))
    put_events(tmp_path, 250, 5)
    with served_hub(tmp_path) as hub:
        seen: list[int] = []
        query = ""
        while True:
            said = hub.get(f"/page/events?{query}")
            seen += [one["seq"] for one in said["events"]]
            if not said["next"]:
                break
            query = "after=" + said["next"].replace(" ", "%20").replace('"', "%22")
        assert sorted(seen) == list(range(1, 251))
        named = hub.get("/page/events?device=dev-00001&label=face&subject=subject%203")["events"]
        assert {(one["device"], one["label"], one["subject"]) for one in named} <= {("dev-00001", "face", "subject 3")}
        assert hub.ask("GET", "/page/events?since=yesterday")[0] == 400
        assert hub.ask("GET", "/page/events?after=%5B1%5D")[0] == 400


@pytest.mark.parametrize("path", ["/page/devices", "/page/events", "/page/people", "/page/releases", "/metrics"])
def test_nothing_is_told_without_the_token(path: str, tmp_path: Path) -> None:
    with served_hub(tmp_path, page=TOKENS) as hub:
        assert hub.ask("GET", path)[0] == 401
        assert hub.ask("GET", path, **bearer("k" * 24))[0] == 200
        assert hub.ask("GET", path, host="evil.example", **bearer("k" * 24))[0] == 421


@pytest.mark.parametrize(
    "path",
    ["/page/people/forget", "/page/enrollments/drop", "/page/releases/dry-run", "/page/releases/to-sign",
     "/page/releases/signed", "/page/rollouts/begin", "/page/review/answers", "/page/review/undo",
     "/page/review/1/split"],
)  # fmt: skip
def test_who_may_only_look_changes_nothing(path: str, tmp_path: Path) -> None:
    with served_hub(tmp_path, page=TOKENS) as hub:
        assert hub.ask("POST", path, b"{}", **MARK, **bearer("k" * 24))[0] == 403
        assert hub.ask("POST", path, b"{}", **bearer("o" * 24))[0] == 403, "without the mark of our own script"
        assert hub.ask("POST", path, b"{}", **MARK, **bearer("o" * 24), Origin="http://evil.example")[0] == 403


def test_what_is_no_document_is_refused_in_words(tmp_path: Path) -> None:
    with served_hub(tmp_path) as hub:
        for path, body in (("/page/rollouts/begin", b"[]"), ("/page/people/forget", b"{"), ("/page/rollouts/x", b"{}")):
            status, said = hub.post(path, body)
            assert status in (400, 404), path
            assert said["error"], path
            assert said["try"], path


def test_a_hub_without_a_repository_says_how_to_make_one(tmp_path: Path) -> None:
    with served_hub(tmp_path) as hub:
        assert "edge hub init" in hub.get("/page/releases")["try"]
        assert hub.post("/page/releases/dry-run")[0] == 404


def test_the_page_listens_beyond_this_machine_only_with_a_token(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"page\.token"):
        HubServer(Settings.model_validate({"hub": {"page_host": "0.0.0.0"}}), tmp_path)


def metrics(hub: ServedHub) -> dict[str, float]:
    text = hub.ask("GET", "/metrics")[2].decode()
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in lines}


def test_metrics_count_the_fleet_without_a_series_per_device(tmp_path: Path) -> None:
    report(tmp_path, generated(500))
    with served_hub(tmp_path) as hub:
        found = metrics(hub)
        states = [found[f'edge_fleet_devices{{state="{state}"}}'] for state in ("online", "offline", "unknown")]
        assert sum(states) == 500
        assert states[1] == found['edge_fleet_troubled_devices{trouble="offline"}']
        assert sum(value for name, value in found.items() if name.startswith("edge_fleet_version_devices")) == 500
        assert len(found) < 50


def test_the_dashboard_asks_for_metrics_that_there_are(tmp_path: Path) -> None:
    text = (ROOT / "config/grafana-hub.json").read_text()
    asked = set(re.findall(r"edge_\w+", " ".join(_expressions(json.loads(text)))))
    source = (ROOT / "edge/hub/page/fleet_metrics.py").read_text()
    assert len(asked) > 8
    assert asked <= set(re.findall(r'"(edge_\w+)"', source))


def _expressions(dashboard: dict[str, object]) -> list[str]:
    panels = dashboard["panels"]
    assert isinstance(panels, list)
    return [target["expr"] for panel in panels for target in panel["targets"]]
