"""Set-ups broken on purpose, each named rightly, and one that is whole."""

from __future__ import annotations

import errno
import json
import sqlite3
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from rigs.heads import a_version
from rigs.mosquitto import ACL, Certificates, Mosquitto, free_port

from edge.cli.doctor import board, broker, cameras, collections, disk, models, releases
from edge.cli.doctor import bundle as bundles
from edge.cli.doctor import service as services
from edge.cli.doctor.examination import PARTS, examine
from edge.cli.doctor.finding import DoctorContext, Finding, Level
from edge.cli.doctor_command import doctor
from edge.core.errors import EdgeError, StoreError
from edge.core.settings import loader as config
from edge.core.settings.schema import Settings
from edge.core.storage import keys as vault_keys
from edge.core.storage import lock, vault
from edge.core.system import hardware as the_board
from edge.daemon import encryption
from edge.releases.manifest import Release
from edge.releases.release_store import ReleaseStore

ROOT = Path(__file__).parents[3]
DETECTOR = "edge-face-detector-2"


def context(tmp_path: Path, **sections: object) -> DoctorContext:
    sections = {"labels": {"person": {}}, "device": {"name": "porch"}, **sections}
    loaded = config.Loaded(Settings.model_validate(sections), None, {}, {}, {}, {})
    state = tmp_path / "state"
    state.mkdir(mode=0o700, exist_ok=True)
    return DoctorContext(loaded, state, seconds=3.0)


def seen(part: str, who: DoctorContext) -> list[Finding]:
    try:
        return list(PARTS[part](who))
    except EdgeError as error:
        return [Finding.of(part, error)]


def worst(part: str, who: DoctorContext) -> Finding:
    wrong = [finding for finding in seen(part, who) if finding.wrong]
    assert len(wrong) == 1, seen(part, who)
    assert wrong[0].try_, "a finding says what to try"
    return wrong[0]


# the key of what is stored


@pytest.fixture
def storage_key() -> Iterator[str]:
    made = vault_keys.new_key()
    vault_keys.use(made)
    yield made
    vault_keys.use("")


def test_a_state_folder_whose_key_is_missing_or_another(tmp_path: Path, storage_key: str) -> None:
    who = context(tmp_path)
    assert "not encrypted" in seen("encryption", who)[0].what, "a key that does nothing is worth a note"
    encryption.turn_on(who.settings, who.state)
    assert [one.level for one in seen("encryption", who)] == [Level.OK]
    for keys in ("", vault_keys.new_key()):
        vault_keys.use(keys)
        finding = worst("encryption", who)
        assert "is encrypted with key" in finding.what
        assert "storage-key" in finding.try_


def test_a_change_of_the_encryption_that_was_interrupted(tmp_path: Path, storage_key: str) -> None:
    who = context(tmp_path)
    vault.write_state(who.state, "", changing=True)
    assert "interrupted" in worst("encryption", who).what


def test_a_state_folder_that_is_not_encrypted_is_not_spoken_of(tmp_path: Path) -> None:
    assert seen("encryption", context(tmp_path)) == []


# what is wrong with a file


def test_a_setting_that_does_not_exist_is_the_only_finding(tmp_path: Path) -> None:
    file = tmp_path / "edge.toml"
    file.write_text('[mqtt]\nhots = "broker"\n')
    answer = CliRunner().invoke(doctor, ["--json"], obj=str(file))
    document = json.loads(answer.stdout)
    assert answer.exit_code == 1
    assert [finding["part"] for finding in document["findings"]] == ["configuration"]
    assert "mqtt.hots" in document["findings"][0]["what"]


def test_a_password_in_a_file_that_everybody_may_read(tmp_path: Path) -> None:
    file = tmp_path / "edge.toml"
    file.write_text('[mqtt]\nhost = "h"\npassword = "hunter2"\n')
    file.chmod(0o644)
    who = DoctorContext(config.load(file), tmp_path)
    assert "world-readable" in worst("configuration", who).what
    file.chmod(0o640)
    assert [finding.level for finding in seen("configuration", who)] == [Level.OK]


# the disk


def test_an_endpoint_that_the_daemon_would_not_open_to_everybody(tmp_path: Path) -> None:
    found = worst("configuration", context(tmp_path, api={"enabled": True, "host": "0.0.0.0"}))
    assert found.level is Level.ERROR
    assert "api.keys is empty" in found.what


def test_a_state_folder_that_others_may_read(tmp_path: Path) -> None:
    who = context(tmp_path)
    who.state.chmod(0o755)
    assert "open to other users" in worst("state", who).what


def test_a_state_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(disk.files, "write_bytes", refuse)
    found = worst("state", context(tmp_path))
    assert "Read-only file system" in found.what
    assert "mount" in found.try_


def test_a_state_folder_that_cannot_even_be_entered_is_told_by_every_part_and_ends_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    who = context(tmp_path)
    monkeypatch.setattr("edge.core.storage.files.write_bytes", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    assert "cannot be written: Permission denied" in worst("state", who).what

    monkeypatch.setattr(
        "edge.cli.doctor.examination.PARTS", {"outbox": lambda _: refuse(who.state), "clock": PARTS["clock"]}
    )
    outbox, *rest = examine(who)
    assert (outbox.level, outbox.part) == (Level.ERROR, "outbox")
    assert "Permission denied" in outbox.what
    assert [one.part for one in rest] == ["clock"]


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    found = worst("disk", context(tmp_path, outbox={"reserve_bytes": 1 << 60}))
    assert found.level is Level.ERROR


def outbox_with(path: Path, age: float, lost: int = 0) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            "CREATE TABLE events (position INTEGER PRIMARY KEY, time REAL);"
            "CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER);"
        )
        db.execute("INSERT INTO events (time) VALUES (?)", (time.time() - age,))
        db.execute("INSERT INTO meta VALUES ('lost', ?)", (lost,))
        db.commit()


def test_the_doctor_reads_the_outbox_that_edge_writes(tmp_path: Path) -> None:
    from edge.mqtt.outbox.outbox import Outbox

    who = context(tmp_path)
    Outbox(who.state / "outbox.sqlite", who.settings.outbox).close()
    assert [finding.what for finding in seen("outbox", who)] == ["0 events wait"]


def test_events_that_wait_for_hours(tmp_path: Path) -> None:
    who = context(tmp_path, mqtt={"host": "broker.lan"})
    outbox_with(who.state / "outbox.sqlite", age=7200)
    found = worst("outbox", who)
    assert "the oldest for 2.0 h" in found.what


def test_events_that_were_lost(tmp_path: Path) -> None:
    who = context(tmp_path)
    outbox_with(who.state / "outbox.sqlite", age=1, lost=7)
    assert worst("outbox", who).what.startswith("7 events were dropped")


def test_an_outbox_that_is_damaged(tmp_path: Path) -> None:
    who = context(tmp_path)
    (who.state / "outbox.sqlite").write_bytes(b"SQLite format 3\0" + b"\xff" * 4000)
    assert "damaged" in worst("outbox", who).what


# models, collections, cameras


def test_a_model_whose_file_is_damaged_is_tried_in_a_child(tmp_path: Path) -> None:
    folder = tmp_path / "models" / DETECTOR
    folder.mkdir(parents=True)
    card = (ROOT / "models" / DETECTOR / "card.toml").read_text()
    (folder / "card.toml").write_text("\n".join(line for line in card.splitlines() if not line.startswith("sha256")))
    model = (ROOT / "models" / DETECTOR / "model.tflite").read_bytes()
    (folder / "model.tflite").write_bytes(model[: len(model) // 2])
    who = context(tmp_path, models={"path": [str(tmp_path / "models")]})
    assert DETECTOR in worst("models", who).what


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    who = context(tmp_path, cameras=[{"detectors": ["nowhere"]}])
    assert "there is no model 'nowhere'" in worst("models", who).what


def test_a_delegate_that_is_not_there(tmp_path: Path) -> None:
    who = context(tmp_path, models={"delegate": "/usr/lib/libnowhere.so"})
    assert "/usr/lib/libnowhere.so does not exist" in worst("models", who).what


def test_nobody_enrolled(tmp_path: Path) -> None:
    assert "edge enroll faces" in worst("collections", context(tmp_path, labels={"face": {}})).try_


def test_a_damaged_collection(tmp_path: Path) -> None:
    who = context(tmp_path, labels={"face": {}})
    (who.state / "collections.sqlite").write_bytes(b"SQLite format 3\0" + b"\xff" * 9000)
    assert "damaged" in worst("collections", who).what


def test_a_usb_camera_that_is_not_plugged_in(tmp_path: Path) -> None:
    who = context(tmp_path, cameras=[{"name": "door", "source": "v4l2:/dev/video77"}])
    assert worst("cameras", who).what == "door: /dev/video77 does not exist"


def test_a_camera_that_this_user_may_not_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = tmp_path / "video0"
    device.touch()
    monkeypatch.setattr(cameras.os, "access", lambda *_: False)
    who = context(tmp_path, cameras=[{"name": "door", "source": f"v4l2:{device}"}])
    assert "usermod -aG video" in worst("cameras", who).try_


def test_a_source_that_holds_nothing(tmp_path: Path) -> None:
    who = context(tmp_path, cameras=[{"name": "door", "source": "video:/nowhere.mp4"}])
    found = worst("cameras", who)
    assert found.what == "door does not deliver"
    assert "there is no such file" in found.why


def test_a_camera_whose_picture_is_black(tmp_path: Path) -> None:
    import numpy as np

    from edge.core.imaging.image import encode_jpeg

    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "1.jpg").write_bytes(encode_jpeg(np.zeros((120, 160, 3), np.uint8)))
    who = context(tmp_path, cameras=[{"name": "door", "source": f"images:{folder}"}])
    assert "the picture is black" in worst("cameras", who).what
    (folder / "1.jpg").write_bytes(encode_jpeg(np.full((120, 160, 3), 90, np.uint8)))
    assert seen("cameras", who)[0].what.startswith("door delivers 160 x 120")


def test_a_camera_is_left_to_the_daemon_that_runs(tmp_path: Path) -> None:
    who = context(tmp_path, cameras=[{"name": "door", "source": "video:/nowhere.mp4"}])
    with lock.Lock(who.state):
        busy = replace(who, daemon=lock.holder(who.state))
        assert [finding.level for finding in seen("cameras", busy)] == [Level.NOTE]
    assert lock.holder(who.state) is None


# the board


def test_a_clock_of_1970(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board.time, "time", lambda: 100.0)
    assert worst("clock", context(tmp_path)).level is Level.ERROR


def test_a_clock_that_no_server_has_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "systemd/timesync").mkdir(parents=True)
    monkeypatch.setattr(the_board, "RUN", tmp_path)
    assert "not synchronized" in worst("clock", context(tmp_path)).what


def test_a_board_that_is_hot_and_undersupplied(tmp_path: Path) -> None:
    (tmp_path / "class/thermal/thermal_zone0").mkdir(parents=True)
    (tmp_path / "class/thermal/thermal_zone0/temp").write_text("84500\n")
    (tmp_path / "devices/platform/soc/soc:firmware").mkdir(parents=True)
    (tmp_path / "devices/platform/soc/soc:firmware/get_throttled").write_text("50001\n")
    whats = [
        finding.what for finding in seen("board", context(tmp_path, shedding={"board": str(tmp_path)})) if finding.wrong
    ]
    assert whats == ["the supply voltage is too low", "84 °C, limit 80 °C"]


def test_a_daemon_that_gives_work_up_is_seen_in_what_it_tells_systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service_says(monkeypatch, {"StatusText": "door 2.0 fps, sheds half the rate (84 °C, 80 at most)"})
    found = worst("service", context(tmp_path))
    assert found.what == "the daemon sheds load: half the rate (84 °C, 80 at most)"


def test_a_board_without_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 512000 kB\nMemAvailable: 40000 kB\n")
    monkeypatch.setattr(board, "PROC", tmp_path)
    assert worst("memory", context(tmp_path)).what == "39 MiB are free"


# the service


def service_says(monkeypatch: pytest.MonkeyPatch, said: Mapping[str, str]) -> None:
    whole = {"LoadState": "loaded", "ActiveState": "active", "SubState": "running", "NRestarts": "0", **said}
    monkeypatch.setattr(services, "_shown", lambda unit: whole if unit else {"RuntimeWatchdogUSec": "15s"})


def test_a_service_that_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service_says(monkeypatch, {"ActiveState": "failed", "SubState": "failed", "Result": "watchdog"})
    assert worst("service", context(tmp_path)).why == "last result: watchdog"


def test_a_container_needs_no_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "CONTAINER_FILES", (tmp_path,))
    service_says(monkeypatch, {"LoadState": "not-found"})
    assert [one.what for one in services.service(context(tmp_path))] == ["runs in a container"]


def test_a_service_that_dies_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service_says(monkeypatch, {"NRestarts": "12", "Result": "oom-kill"})
    assert "restarts of edge.service since the boot: 12" in worst("service", context(tmp_path)).what


def test_a_service_that_nobody_watches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service_says(monkeypatch, {"WatchdogUSec": "0"})
    assert "no WatchdogSec" in worst("watchdog", context(tmp_path)).what


# releases


def test_a_release_server_without_our_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tuf")
    who = context(tmp_path, sync={"url": "http://127.0.0.1:9", "root": "/nowhere/root.json", "trust_clock": True})
    assert "sync.root" in worst("sync", who).what


def test_a_release_server_that_does_not_answer(tmp_path: Path) -> None:
    pytest.importorskip("tuf")
    root = tmp_path / "root.json"
    root.write_bytes(b"{}")
    url = f"http://127.0.0.1:{free_port()}"
    assert seen("sync", context(tmp_path, sync={"url": url, "root": str(root), "trust_clock": True}))[0].wrong


# the broker


def test_no_broker_at_that_port(tmp_path: Path) -> None:
    found = worst("broker", context(tmp_path, mqtt={"host": "127.0.0.1", "port": free_port()}))
    assert "nothing listens on that port" in found.what


@pytest.mark.parametrize("version", ["auto", "3.1.1"])
@pytest.mark.parametrize(("limit", "word"), [("retain_available false", "retained messages"), ("max_qos 0", "QoS 0")])
def test_a_broker_without_what_the_daemon_wants(tmp_path: Path, version: str, limit: str, word: str) -> None:
    with Mosquitto(tmp_path / "broker", extra=limit) as running:
        mqtt = {"host": "127.0.0.1", "port": running.port, "version": version}
        found = seen("broker", context(tmp_path, mqtt=mqtt))
    told = [one for one in found if one.level is Level.WARNING]
    assert any(word in one.what + one.try_ and "mosquitto:" in one.try_ for one in told), found


def test_a_broker_with_a_small_packet_size(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "broker", extra="max_packet_size 5000") as running:
        found = seen("broker", context(tmp_path, mqtt={"host": "127.0.0.1", "port": running.port}))
    assert any("at most 5000 bytes" in one.what for one in found)


def test_a_broker_whose_name_is_not_known(tmp_path: Path) -> None:
    assert "unreachable" in worst("broker", context(tmp_path, mqtt={"host": "no-such-host.invalid"})).what


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A broker with passwords and an access list."""
    passwords = {"porch": "right", "other": "right", "central": "right"}
    with Mosquitto(tmp_path_factory.mktemp("broker"), passwords=passwords, acl=ACL) as running:
        yield running


def at(guarded: Mosquitto, user: str, password: str, **more: object) -> dict[str, object]:
    return {"host": "127.0.0.1", "port": guarded.port, "username": user, "password": password, **more}


def test_a_broker_that_keeps_each_device_to_its_half_is_well(tmp_path: Path, guarded: Mosquitto) -> None:
    found = seen("broker", context(tmp_path, mqtt=at(guarded, "porch", "right")))
    assert [finding.level for finding in found] == [Level.OK, Level.OK]
    assert found[1].what == "the access list limits this device to its own topics"


def test_a_wrong_password(tmp_path: Path, guarded: Mosquitto) -> None:
    found = worst("broker", context(tmp_path, mqtt=at(guarded, "porch", "wrong")))
    assert "unauthorized" in found.what
    assert found.try_ == "check mqtt.username and mqtt.password"


def test_a_device_that_logs_in_as_another_one(tmp_path: Path, guarded: Mosquitto) -> None:
    found = worst("broker", context(tmp_path, mqtt=at(guarded, "other", "right")))
    assert "may not publish below edge/v1/porch/up/" in found.what


def test_a_broker_without_an_access_list_is_a_note(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "broker") as running:
        found = seen("broker", context(tmp_path, mqtt={"host": "127.0.0.1", "port": running.port}))
    assert [finding.level for finding in found] == [Level.OK, Level.NOTE]
    assert "no access list" in found[1].what


def test_a_broker_with_a_certificate_of_another_authority(tmp_path: Path) -> None:
    ours, others = Certificates(tmp_path / "ours"), Certificates(tmp_path / "others")
    with Mosquitto(tmp_path / "broker", tls=others) as running:
        mqtt = {"host": "localhost", "port": running.port, "tls": True, "ca": str(ours.ca)}
        assert "untrusted" in worst("broker", context(tmp_path, mqtt=mqtt)).what
        right = {**mqtt, "ca": str(others.ca)}
        assert "TLS" in seen("broker", context(tmp_path, mqtt=right))[0].what


def test_a_hub_that_never_acknowledged(tmp_path: Path, guarded: Mosquitto) -> None:
    who = context(tmp_path, mqtt=at(guarded, "porch", "right", acknowledge="hub"))
    assert worst("hub", who).what == "no hub has acknowledged any event of this device"


# the whole


def test_every_part_has_a_name_and_is_asked() -> None:
    looks = {collections.collections, models.models, releases.releases, broker.hub, board.memory, disk.space}
    assert looks <= set(PARTS.values())


def test_a_bundle_holds_no_secret_no_name_and_no_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    who = context(
        tmp_path,
        mqtt={"host": "broker.lan", "password": "hunter2-secret"},
        cameras=[{"name": "door", "source": "rtsp://admin:sw0rdf/sh@192.0.2.1/stream"}],
        api={"keys": {"AKID": "k3y-secret-of-sixteen"}},
        page={"token": "t0ken-secret"},
    )
    with closing(sqlite3.connect(who.state / "collections.sqlite")) as db:
        db.executescript("CREATE TABLE faces (subject TEXT); INSERT INTO faces VALUES ('Zaphod Beeblebrox')")
    log = "saw Zaphod Beeblebrox; rtsp://admin:sw0rdf/sh@192.0.2.1 lost; token=t0ken-secret; hunter2-secret"
    monkeypatch.setattr(bundles, "_log", lambda _: log)
    findings = [Finding(Level.ERROR, "broker", "refused hunter2-secret", "", "k3y-secret-of-sixteen")]
    names = bundles.write(tmp_path / "report.zip", who, findings)
    with zipfile.ZipFile(tmp_path / "report.zip") as bundle:
        assert sorted(bundle.namelist()) == sorted(names)
        everything = "\n".join(bundle.read(name).decode() for name in names)
    for secret in ("hunter2", "sw0rdf", "k3y-secret-of-sixteen", "t0ken", "Zaphod"):
        assert secret not in everything
    assert "192.0.2.1" in everything
    assert "broker.lan" in everything
    assert (tmp_path / "report.zip").stat().st_mode & 0o077 == 0
    assert not any(name.endswith((".jpg", ".sqlite")) for name in names)


def test_a_bundle_that_cannot_be_written_is_told_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        bundles.write(tmp_path / "nowhere" / "report.zip", context(tmp_path), [])


# custom labels


def test_custom_labels_that_are_not_there_or_of_another_backbone(tmp_path: Path) -> None:
    cameras = [{"detectors": [], "custom_labels": ["helmets"]}]
    who = context(tmp_path, cameras=cameras)
    assert "there are no custom labels 'helmets'" in worst("custom_labels", who).what
    a_version(who.state, base="edge-face-embedder-1", space="elsewhere/litert/p1/4")
    found = worst("custom_labels", who)
    assert "expected embeddings of elsewhere/litert/p1/4" in found.what
    assert "train them again" in found.try_


def test_custom_labels_of_a_detector_that_the_camera_does_not_use(tmp_path: Path) -> None:
    who = context(tmp_path, cameras=[{"detectors": [DETECTOR], "custom_labels": ["helmets/1"]}])
    a_version(who.state, detectors=("yolov8n-416",))
    assert "'yolov8n-416', which camera 'camera' does not use" in worst("custom_labels", who).what


@pytest.mark.parametrize("detectors", [("yolov8n-416",), ("newer",)], ids=["before", "after"])
def test_custom_labels_of_a_detector_that_the_release_replaces(tmp_path: Path, detectors: tuple[str, ...]) -> None:
    who = context(tmp_path, cameras=[{"detectors": ["yolov8n-416"], "custom_labels": ["helmets"]}])
    a_version(who.state, base="edge-face-embedder-1", space="elsewhere/litert/p1/4", detectors=detectors)
    store = ReleaseStore(who.state)
    store.prepare()
    store.install(Release("r1", 1.79e9, replaces={"yolov8n-416": "newer"}))
    store.activate("r1", "")
    assert "expected embeddings of elsewhere/litert/p1/4" in worst("custom_labels", who).what, "the detector is there"
