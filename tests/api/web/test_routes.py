"""The page over a real connection: what it shows, and whom it refuses."""

from __future__ import annotations

import base64
import http.client
import json
import re
import threading
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from rigs.fakes import a_model_set
from rigs.page import ELSEWHERE, MARK, PORTRAIT, ROOT, Served, event, frame, served, track

from edge.api.http import bodies
from edge.api.web.access import COOKIE, TRIES
from edge.api.web.routes import ASSETS
from edge.mqtt.messages import ShedReport
from edge.pipeline.frame_result import FrameResult

pytest.importorskip("uvicorn", reason="needs the extra rekognition-edge[api]")


@pytest.fixture(scope="module")
def open_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """No token: this machine alone."""
    with served(tmp_path_factory.mktemp("open")) as page:
        yield page


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path, page={"token": "t0ken-secret", "hosts": ["porch.example.org"]}) as page:
        yield page


# what it shows


def test_the_page_is_a_few_files_that_name_no_other_host(open_page: Served) -> None:
    folder = ROOT / "edge/data/page"
    included = {"review.html", "keys.html"}
    assert {name or "index.html" for name in ASSETS} | included == {
        str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()
    }
    assert b"<!-- include" not in open_page.ask("GET", "/")[2]
    for path in ("/", *(f"/page/{name}" for name in ASSETS if name)):
        status, headers, body = open_page.ask("GET", path)
        assert status == 200
        if not path.startswith("/page/lang/"):  # texts, which nothing loads from
            loaded = body.replace(b"// ", b"").replace(b"http://www.w3.org/2000/svg", b"")
            assert not re.search(rb"https?://|//[a-z]+\.", loaded)
        assert open_page.ask("GET", path, If_None_Match=headers["etag"])[0] == 304
    assert "default-src 'none'" in open_page.ask("GET", "/")[1]["content-security-policy"]


def test_an_address_that_is_not_there_is_not_found(open_page: Served) -> None:
    for path in ("/nothing", "/page/nothing.js", "/page/lang/xx.json"):
        status, _, body = open_page.ask("GET", path)
        assert (status, b"there is no page" in body) == (404, True)


def test_nothing_is_kept_of_a_frame_while_nobody_looks(open_page: Served) -> None:
    live = open_page.page.live
    live._wanted.clear()
    live.observe(FrameResult(frame(1), a_model_set(), tracks=[track("alice")]))
    assert not live.watched
    assert not live._shown


def test_who_looks_gets_the_next_picture_with_the_boxes_of_that_very_frame(open_page: Served) -> None:
    stop = threading.Event()

    def camera() -> None:
        for number in range(1, 10_000):
            if stop.wait(0.02):
                return
            open_page.page.live.observe(FrameResult(frame(number), a_model_set(), tracks=[track(f"at {number}")]))

    thread = threading.Thread(target=camera)
    thread.start()
    try:
        after = ""
        for _ in range(3):
            status, headers, body = open_page.ask("GET", f"/cameras/door/latest.jpg?after={after}")
            story = json.loads(headers["x-frame"])
            assert (status, body[:2]) == (200, b"\xff\xd8")
            assert story["tracks"][0]["subject"] == f"at {story['sequence']}"
            assert story["tracks"][0]["box"] == [0.1, 0.2, 0.2, 0.2]
            assert str(story["sequence"]) != after
            after = str(story["sequence"])
    finally:
        stop.set()
        thread.join()


def test_two_who_look_at_one_frame_cost_one_encoding(open_page: Served) -> None:
    live, shown = open_page.page.live, frame(7)
    assert live._jpeg(shown) is live._jpeg(shown)


def test_a_camera_that_gives_nothing_and_one_that_is_not_there_are_told_apart(open_page: Served) -> None:
    open_page.page.live._shown.clear()
    assert open_page.status("/cameras/door/latest.jpg") == 503
    assert open_page.status("/cameras/door/latest.jpg?after=3") == 204
    assert open_page.status("/cameras/attic/latest.jpg") == 404


def test_events_that_were_and_those_that_come_reach_a_browser_in_order(open_page: Served) -> None:
    open_page.page.feed.listen([event("alice", 1)])
    connection = http.client.HTTPConnection("127.0.0.1", open_page.port, timeout=10)
    connection.request("GET", "/page/events")
    answer = connection.getresponse()
    assert answer.headers["content-type"].startswith("text/event-stream")
    seen: list[str] = []
    while len(seen) < 2:
        line = answer.readline().decode()
        if line.startswith("data: "):
            seen.append(json.loads(line[6:])["identity"]["subject"])
            open_page.page.feed.listen([event("bob", 2)])
    connection.close()
    assert seen == ["alice", "bob"]


def test_the_state_says_what_the_device_is_and_does(open_page: Served) -> None:
    state = json.loads(open_page.ask("GET", "/page/state")[2])
    assert state["device"] == "porch"
    assert [camera["name"] for camera in state["cameras"]] == ["door"]
    assert state["enrollable"] == ["faces"]


LINE = re.compile(
    r'(# (HELP|TYPE) [a-z_]+ .+)|([a-z_]+(\{[a-z_]+="([^"\\\n]|\\.)*"(,[a-z_]+="([^"\\\n]|\\.)*")*\})? [-+.e0-9]+)'
)


def test_the_metrics_are_prometheus_text(open_page: Served) -> None:
    status, headers, body = open_page.ask("GET", "/metrics")
    lines = body.decode().splitlines()
    assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert all(LINE.fullmatch(line) for line in lines), [line for line in lines if not LINE.fullmatch(line)]
    assert 'edge_camera_frames_total{camera="door"} 0' in lines
    counters = [line.split()[2] for line in lines if line.startswith("# TYPE") and line.endswith("counter")]
    assert counters
    assert all(name.endswith("_total") for name in counters)


def test_metrics_escape_what_would_break_their_lines() -> None:
    from edge.api.web.prometheus import MetricFamily, text

    page = text(
        [MetricFamily("a", "gauge", "x\ny", [({"name": 'say "no"\\\n'}, 1.5)]), MetricFamily("b", "gauge", "none", [])]
    )
    assert page == '# HELP a x\\ny\n# TYPE a gauge\na{name="say \\"no\\"\\\\\\n"} 1.5\n'


# enrollment


def test_a_portrait_that_is_uploaded_is_a_face_at_once(open_page: Served) -> None:
    path = "/page/collections/faces/faces?subject=Grace%20Hopper"
    status, _, body = open_page.ask("POST", path, PORTRAIT.read_bytes(), **MARK)
    assert (status, json.loads(body)["status"]) == (200, "added")
    assert open_page.collections.get("faces").subjects() == {"Grace Hopper": 1}
    assert json.loads(open_page.ask("POST", path, PORTRAIT.read_bytes(), **MARK)[2])["status"] == "already_there"
    listed = json.loads(open_page.ask("GET", "/page/collections/faces")[2])
    assert listed == {"subjects": [{"subject": "Grace Hopper", "faces": 1}], "total": 1}


def test_what_cannot_be_enrolled_is_said_with_its_reason(open_page: Served) -> None:
    from edge.core.imaging.image import encode_jpeg

    wall = encode_jpeg(np.full((200, 200, 3), 120, np.uint8))
    for path, body, wanted in (
        ("/page/collections/faces/faces?subject=a", wall, 422),
        ("/page/collections/faces/faces?subject=a", b"rubbish", 400),
        ("/page/collections/faces/faces?subject=", PORTRAIT.read_bytes(), 400),
        ("/page/collections/nobodys/faces?subject=a", PORTRAIT.read_bytes(), 404),
    ):
        status, _, answer = open_page.ask("POST", path, body, **MARK)
        assert status == wanted
        assert json.loads(answer)["error"]


# whom it refuses

PRIVATE = (
    "/page/state", "/page/events", "/metrics", "/cameras/door/latest.jpg", "/page/collections/faces", "/page/review",
    "/page/review/1/picture.jpg", "/page/portraits/1.jpg",
)  # fmt: skip
CHANGING = (
    "/page/collections/faces/faces?subject=Mallory", "/page/collections/faces/looks",
    "/page/collections/faces/looks?camera=door", "/page/looks/word?face=0&subject=Mallory", "/page/review/answers",
    "/page/review/undo", "/page/review/delete",
)  # fmt: skip


@pytest.mark.parametrize("path", ["/", *PRIVATE])
def test_a_name_that_is_made_to_point_here_is_not_answered(open_page: Served, path: str) -> None:
    assert open_page.status(path, host="evil.example") == 421


@pytest.mark.parametrize("path", PRIVATE)
@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"}]
)
def test_a_page_of_another_site_gets_nothing(open_page: Served, path: str, headers: dict[str, str]) -> None:
    assert open_page.status(path, **headers) == 403


def test_a_link_from_elsewhere_may_open_the_page_itself(open_page: Served) -> None:
    assert open_page.status("/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate") == 200


@pytest.mark.parametrize("path", CHANGING)
def test_no_form_of_another_site_can_change_anything(open_page: Served, path: str) -> None:
    assert open_page.ask("POST", path, PORTRAIT.read_bytes())[0] == 403
    assert open_page.ask("POST", path, PORTRAIT.read_bytes(), Origin="http://evil.example", **MARK)[0] == 403
    assert open_page.ask("POST", path, PORTRAIT.read_bytes(), Sec_Fetch_Site="same-site", **MARK)[0] == 403
    assert open_page.ask("POST", path, PORTRAIT.read_bytes(), host="evil.example", **MARK)[0] == 421
    assert open_page.ask("POST", path, PORTRAIT.read_bytes(), host=ELSEWHERE, **MARK)[0] == 403
    assert open_page.status(path) in (404, 405), "a link or a picture of another page must not change anything"
    assert "Mallory" not in open_page.collections.get_or_create("faces").subjects()


def test_a_browser_cannot_be_sent_to_the_rekognition_endpoint(open_page: Served) -> None:
    target = {"X_Amz_Target": "RekognitionService.ListCollections", "Content_Type": "application/x-amz-json-1.1"}
    status, _, body = open_page.ask("POST", "/", b"{}", Origin="http://evil.example", **target)
    assert (status, json.loads(body)["__type"]) == (400, "AccessDeniedException")
    assert open_page.ask("POST", "/", b"{}", **target)[0] == 200


@pytest.mark.parametrize("path", PRIVATE)
def test_without_a_token_another_machine_sees_nothing(open_page: Served, path: str) -> None:
    assert open_page.status(path, host=ELSEWHERE) == 403
    assert open_page.status(path, X_Forwarded_For=ELSEWHERE) == 403


@pytest.mark.parametrize("path", PRIVATE)
def test_with_a_token_another_machine_must_log_in(guarded: Served, path: str) -> None:
    assert guarded.status(path, host=ELSEWHERE) == 401
    assert guarded.status(path, host=ELSEWHERE, Cookie=f"{COOKIE}=guessed") == 401
    assert guarded.status(path, host="porch.example.org") == 401


def test_the_token_opens_a_session_that_no_script_can_read(guarded: Served) -> None:
    body = json.dumps({"token": "t0ken-secret"}).encode()
    status, headers, _ = guarded.ask("POST", "/page/login", body, host=ELSEWHERE, **MARK)
    cookie = headers["set-cookie"]
    assert status == 200
    assert "httponly" in cookie.lower()
    assert "samesite=strict" in cookie.lower()
    assert guarded.status("/page/state", host=ELSEWHERE, Cookie=cookie.split(";")[0]) == 200


def test_prometheus_sends_the_token_as_a_bearer(guarded: Served) -> None:
    assert guarded.status("/metrics", host=ELSEWHERE, Authorization="Bearer t0ken-secret") == 200
    assert guarded.status("/metrics", host=ELSEWHERE, Authorization="Bearer wrong") == 401


def test_after_a_few_wrong_tokens_not_even_the_right_one_is_looked_at(guarded: Served) -> None:
    for _ in range(TRIES):
        assert guarded.status("/metrics", host=ELSEWHERE, Authorization="Bearer wrong") == 401
    assert guarded.status("/metrics", host=ELSEWHERE, Authorization="Bearer t0ken-secret") == 401
    body = json.dumps({"token": "t0ken-secret"}).encode()
    assert guarded.ask("POST", "/page/login", body, host=ELSEWHERE, **MARK)[0] == 429


RUBBISH = [
    b"", b"{}", b"[]", b'{"token": 7}', b"x" * 9000, '{"token": "ü"}'.encode(), rb'{"token": "\ud800"}', b"[" * 4000,
    b'{"token": "t0ken-secret", "more": "' + b"x" * 5000 + b'"}',
]  # fmt: skip


@pytest.mark.parametrize("body", RUBBISH)
def test_a_login_with_rubbish_is_a_wrong_token(guarded: Served, body: bytes) -> None:
    assert guarded.ask("POST", "/page/login", body, host=ELSEWHERE, **MARK)[0] == 401


def test_a_login_whose_token_does_not_arrive_is_not_waited_for_without_end(
    guarded: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "SECONDS", 0.05)
    connection = http.client.HTTPConnection("127.0.0.1", guarded.port, timeout=20)
    connection.putrequest("POST", "/page/login")
    for name, value in {**MARK, "Content-Length": "9"}.items():
        connection.putheader(name, value)
    connection.endheaders(b"{")
    assert connection.getresponse().status == 401
    connection.close()


@pytest.mark.parametrize(
    "path",
    [
        "/page/../../../../etc/passwd",
        "/page/%2e%2e/%2e%2e/etc/passwd",
        "/cameras/..%2f..%2f..%2fetc%2fpasswd/latest.jpg",
        "/page/collections/..%2f..%2fcollections.sqlite",
        "/page/page.py",
        "/page/review/..%2f..%2freview.sqlite/picture.jpg",
        "/page/review/1%2f..%2f..%2freview.sqlite",
        "/page/review/-1/picture.jpg",
        "/page/portraits/..%2f..%2freview.sqlite.jpg",
        "/page/looks/..%2f..%2fetc%2fpasswd",
    ],
)
def test_no_path_leads_out(open_page: Served, path: str) -> None:
    assert open_page.status(path) in (404, 405)


def test_no_answer_holds_a_secret(guarded: Served) -> None:
    for path in ("/", "/page/page.js", *(path for path in PRIVATE if path != "/page/events"), "/healthz"):
        _, headers, body = guarded.ask("GET", path)
        for secret in ("hunter2-secret", "sw0rdfish", "t0ken-secret"):
            assert secret.encode() not in body
            assert secret not in str(headers)


def test_the_dashboard_asks_for_metrics_that_exist(open_page: Served) -> None:
    text = (ROOT / "config/grafana.json").read_text()
    asked = set(re.findall(r"\b(?:edge|process)_[a-z_]+\b", text)) - {"edge_build_info"}
    source = (ROOT / "edge/api/web/prometheus.py").read_text()
    assert len(asked) > 8
    assert {name for name in asked if f'"{name}"' not in source} == set()
    assert len({panel["id"] for panel in json.loads(text)["panels"]}) == len(json.loads(text)["panels"])


def test_what_a_hot_board_gives_up_is_told_in_the_state_and_the_metrics_and_shown(open_page: Served) -> None:
    health = open_page.page._health
    health.shed = ShedReport(1, 4, "half the rate", "84 °C, 80 at most")
    try:
        _, _, state = open_page.ask("GET", "/page/state")
        _, _, metrics = open_page.ask("GET", "/metrics")
    finally:
        health.shed = ShedReport()

    assert json.loads(state)["shed"] == ["half the rate", "84 °C, 80 at most"]
    assert 'edge_shedding_level{what="half the rate"} 1' in metrics.decode()
    scripts = resources.files("edge") / "data" / "page"
    assert any("state.shed" in one.read_text() for one in scripts.iterdir() if one.name.endswith(".js"))


def test_the_page_and_the_endpoint_share_the_models_of_their_thread(open_page: Served) -> None:
    target = {"X-Amz-Target": "RekognitionService.DetectFaces"}
    body = json.dumps({"Image": {"Bytes": base64.b64encode(PORTRAIT.read_bytes()).decode()}}).encode()
    open_page.ask("POST", "/page/collections/faces/faces?subject=Grace", PORTRAIT.read_bytes(), **MARK)
    assert open_page.ask("POST", "/", body, **target)[0] == 200

    models = open_page.page._enrollment.models
    assert models is not None
    assert len(models) == 2


@pytest.mark.parametrize("path", PRIVATE)
def test_with_a_token_this_machine_has_no_door_of_its_own(guarded: Served, path: str) -> None:
    for host in ("127.0.0.1", "localhost"):
        assert guarded.status(path, host=host) == 401
