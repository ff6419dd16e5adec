"""The installed service in a Debian with systemd as PID 1: units, sandbox, watchdog, upgrade, rollback, removal.

Needs root, debootstrap, systemd-nspawn and half an hour per Debian suite; tests/README.md has the command. The tests of
a suite share one box and run in their order.
"""

from __future__ import annotations

import json
import re
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rigs.box import Box, checkout, needed
from rigs.waiting import eventually

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

SUITES = ("bookworm", "trixie")
PASSWORD = "must not be printed"
WATCHDOG_SEC = 30.0
NO_NETWORK = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels"}
SUBSCRIBER = ("mosquitto_sub", "-h", "127.0.0.1", "-p", "1884", "-u", "central", "-P", "central", "-t")
PUBLISHER = "mosquitto_pub -h 127.0.0.1 -p 1884 -u central -P central"
SETTINGS = """
device.name = "porch"
mqtt = {host = "127.0.0.1", port = 1884, username = "porch", stats_seconds = 5.0}
api.enabled = true
[[cameras]]
name = "door"
source = "synthetic:/srv/portraits"
loop = true
"""
BROKER = """
listener 1884 127.0.0.1
password_file /srv/passwords
acl_file /srv/acl
allow_anonymous false
user root
"""
ACL = "pattern write edge/v1/%u/up/#\npattern read edge/v1/%u/down/#\nuser central\ntopic readwrite edge/v1/#\n"


@dataclass
class Device:
    """A box in which edge is installed."""

    box: Box

    def install(self, *options: str, source: str = "/box/checkout", camera: str = "none") -> tuple[int, str]:
        """Run scripts/install; returns exit code and output."""
        command = [f"{source}/scripts/install", "--unpinned", "--camera", camera, *options]
        done = self.box.run(*command, timeout=1200, **NO_NETWORK)
        return done.returncode, done.stdout + done.stderr

    @property
    def version(self) -> str:
        return self.box.sh("readlink -f /opt/edge/venv").strip()

    @property
    def status(self) -> str:
        return self.box.show("edge", "StatusText")

    @property
    def pid(self) -> str:
        return self.box.show("edge", "MainPID")

    @property
    def restarts(self) -> int:
        return int(self.box.show("edge", "NRestarts"))

    def works(self, camera: str = "door", seconds: float = 90) -> bool:
        return eventually(lambda: re.search(rf"{camera} [1-9]\d*\.\d fps", self.status), seconds)

    def hears(self, count: int, seconds: int = 60) -> list[dict[str, Any]]:
        """The next ``count`` events, received by mosquitto_sub."""
        limits = ("-W", str(seconds), "-C", str(count))
        said = self.box.run(*SUBSCRIBER, "edge/v1/porch/up/event/#", *limits, timeout=seconds + 30).stdout
        return [json.loads(line) for line in said.splitlines()]

    def names(self) -> set[str]:
        """Recognized subjects; waits until both portraits have been."""
        found: set[str] = set()

        def both() -> bool:
            found.update(str(event["identity"]["subject"]) for event in self.hears(4, 30))
            return {"eileen-collins", "grace-hopper"} <= found

        assert eventually(both, 120), found
        return found - {"None"}

    def said(self, since: str) -> list[tuple[float, str]]:
        """Lines of the daemon's journal after a cursor: monotonic seconds and text."""
        lines = self.box.run("journalctl", "-u", "edge", "-o", "json", "--no-pager", "--after-cursor", since).stdout
        entries = [json.loads(line) for line in lines.splitlines()]
        return [(int(one["__MONOTONIC_TIMESTAMP"]) / 1e6, str(one["MESSAGE"])) for one in entries]

    def cursor(self) -> str:
        """Cursor of the daemon's newest line; journalctl 252 skips a line after the cursor of another unit."""
        line = self.box.run("journalctl", "-u", "edge", "-o", "json", "-n", "1", "--no-pager").stdout
        return str(json.loads(line)["__CURSOR"])

    def doctor(self) -> dict[str, str]:
        """Warnings and errors of ``edge doctor``, by part."""
        said = json.loads(self.box.run("edge", "doctor", "--json", timeout=300).stdout)
        found: dict[str, str] = {}
        for one in said["findings"]:
            if one["level"] in ("warning", "error"):
                found[one["part"]] = found.get(one["part"], "") + one["what"]
        return found


@pytest.fixture(scope="module", params=SUITES)
def box(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    needed()
    with Box(request.param, tmp_path_factory.mktemp("box") / "box") as one:
        checkout(one.shared / "checkout")
        yield one


@pytest.fixture(scope="module")
def places(box: Box) -> set[str]:
    """All paths before the install."""
    box.sh("cp -r /box/checkout/edge/data/portraits /srv/portraits")
    box.sh(
        "systemctl disable -q --now mosquitto; mosquitto_passwd -b -c /srv/passwords central central; "
        f"mosquitto_passwd -b /srv/passwords porch '{PASSWORD}'; chmod 644 /srv/passwords"
    )
    box.write("/srv/broker.conf", BROKER)
    box.write("/srv/acl", ACL)
    box.sh("systemd-run -q --unit=broker mosquitto -c /srv/broker.conf; echo 127.0.0.1 localhost >>/etc/hosts")
    box.sh("mkdir -p /run/systemd/timesync; touch /run/systemd/timesync/synchronized")  # the clock is right here
    return listed(box)


def listed(box: Box) -> set[str]:
    return set(box.sh("find /opt /etc /usr /var /home /root /srv -xdev").splitlines())


@pytest.fixture(scope="module")
def device(box: Box, places: set[str]) -> Device:
    """A device, installed from a wheel."""
    assert places
    one = Device(box)
    box.sh(
        "python3 -m venv /root/env && /root/env/bin/pip wheel -q --no-deps --no-index --find-links /wheels "
        "-w /root/wheel /box/checkout && rm -rf /root/env",
        timeout=900,
    )
    box.write("/root/my.toml", SETTINGS)
    wheel = box.sh("ls /root/wheel/rekognition_edge-*.whl").strip()
    code, said = one.install("--dry-run", "--config", "/root/my.toml", "--wheel", wheel)
    assert (code, box.run("ls", "/opt/edge", "/etc/edge").returncode) == (0, 2), said
    code, said = one.install("--config", "/root/my.toml", "--wheel", wheel)
    assert code == 0, said + box.journal()
    return one


def test_the_service_is_active_after_an_install_from_a_wheel(device: Device) -> None:
    assert device.works(), device.status + device.box.journal()
    assert device.box.show("edge", "ActiveState") == "active"
    assert device.box.sh("systemctl is-enabled edge").strip() == "enabled"


def test_the_broker_password_is_read_from_the_credential(device: Device) -> None:
    assert eventually(lambda: "unauthorized" in device.box.journal(), 60)
    device.box.sh(f"echo '{PASSWORD}' >/etc/edge/credentials/mqtt-password; systemctl restart edge")

    assert eventually(lambda: "mqtt: online" in device.box.journal(), 90), device.box.journal()
    folder, file = device.box.sh("stat -c '%a %U %G' /etc/edge/credentials /etc/edge/credentials/*").splitlines()[:2]
    assert (folder, file) == ("750 root edge", "640 root edge")
    assert PASSWORD not in device.box.sh(f"journalctl; tr '\\0' ' ' </proc/{device.pid}/environ; systemctl show edge")


def test_enrolled_subjects_are_recognized_in_events_at_a_subscriber(device: Device) -> None:
    device.box.sh("edge enroll faces /srv/portraits", timeout=180)

    assert device.names() == {"eileen-collins", "grace-hopper"}


@pytest.mark.parametrize(("unit", "most"), [("edge", 1.6), ("edge-sync", 1.3)])
def test_systemd_analyze_rates_the_exposure_of_the_unit_as_low(device: Device, unit: str, most: float) -> None:
    said = device.box.run("systemd-analyze", "security", "--no-pager", f"{unit}.service").stdout
    found = re.search(r"exposure level for \S+: ([\d.]+)", said)
    assert found
    assert float(found[1]) <= most


def test_models_run_with_memory_deny_write_execute(device: Device) -> None:
    status = device.box.sh(f"cat /proc/{device.pid}/status")

    assert device.box.show("edge", "MemoryDenyWriteExecute") == "yes"
    assert {"Seccomp:\t2", "NoNewPrivs:\t1"} <= set(status.splitlines())
    assert device.works()


def test_resident_memory_is_well_below_the_limits_of_the_unit(device: Device) -> None:
    resident = int(device.box.sh(f"grep VmRSS /proc/{device.pid}/status").split()[1]) * 1024
    high, most = (int(device.box.show("edge", name)) for name in ("MemoryHigh", "MemoryMax"))
    print(f"resident {resident / 1e6:.0f} MB, MemoryHigh {high / 1e6:.0f} MB, MemoryMax {most / 1e6:.0f} MB")

    assert resident < 0.7 * high < high < most


@pytest.fixture
def mended(device: Device) -> Iterator[None]:
    """Restores the settings afterwards."""
    device.box.sh("cp -p /etc/edge/edge.toml /root/kept.toml")
    yield
    device.box.sh("cp -p /root/kept.toml /etc/edge/edge.toml; systemctl restart edge", timeout=180)
    assert device.works()


@pytest.mark.usefixtures("mended")
def test_a_reload_applies_valid_settings_and_refuses_invalid_ones(device: Device) -> None:
    pid = device.pid
    device.box.sh('sed -i \'s/"door"/"gate"/\' /etc/edge/edge.toml; systemctl reload edge', timeout=180)
    assert device.works("gate"), device.status

    device.box.sh("echo 'nonsense = 1' >>/etc/edge/edge.toml")
    reloaded = device.box.run("systemctl", "reload", "edge", timeout=180)
    assert reloaded.returncode != 0
    assert "nonsense: unknown setting" in device.box.journal()
    device.box.sh("kill -HUP $(systemctl show edge -p MainPID --value)")
    assert eventually(lambda: "the old settings stay in force" in device.box.journal(), 30)
    assert device.works("gate"), device.status
    assert device.pid == pid


def test_the_service_restarts_after_a_kill(device: Device) -> None:
    before = device.restarts
    device.box.sh(f"kill -9 {device.pid}")

    assert eventually(lambda: device.restarts == before + 1, 60)
    assert device.works()
    assert device.hears(1)


HANGS = {
    "capture": "", "inference": "", "outbox": "", "delivery": "", "mqtt-work": "", "mqtt-network": "", "main": "",
    "gil": "",
    "api": "python3 -c 'import urllib.request as u; u.urlopen(\"http://127.0.0.1:8480/healthz\", timeout=2)'",
}  # fmt: skip
"""thread -> a script that makes it reach its hang point; empty if it does by itself"""


@pytest.fixture
def hangable(device: Device) -> Iterator[Device]:
    """A device whose service is started by ``rigs/hangs.py``."""
    (device.box.shared / "hangs.py").write_text((Path(__file__).parents[1] / "rigs/hangs.py").read_text())
    if not device.box.run("test", "-e", "/etc/systemd/system/edge.service.d/hangs.conf").returncode:
        yield device
        return
    device.box.sh("install -D -m 644 /box/hangs.py /opt/hangs.py; mkdir -p /run/hang")
    start = "/opt/edge/venv/bin/python /opt/hangs.py --config /etc/edge/edge.toml run"
    device.box.write("/etc/systemd/system/edge.service.d/hangs.conf", f"[Service]\nExecStart=\nExecStart={start}\n")
    device.box.sh("systemctl daemon-reload; systemctl restart edge", timeout=180)
    yield device


def hang(device: Device, name: str, poke: str, seconds: float) -> dict[str, float]:
    """Hang a thread; returns the seconds from the hang to the log line, the end and the restart of the process."""
    assert device.works(seconds=120)
    since, found = device.cursor(), dict[str, float]()
    device.box.sh(f"touch /run/hang/{name}")
    until = time.monotonic() + seconds
    marks = {"stood": "hang: ", "told": " hangs", "ended": "Main process exited", "up": "Started "}
    while time.monotonic() < until and "up" not in found:
        if poke and "stood" not in found:
            device.box.run("/bin/sh", "-c", poke, timeout=30)
        for at, text in device.said(since):
            for mark, words in marks.items():
                if words in text and ("ended" in found or mark != "up"):
                    found.setdefault(mark, at)
        if "stood" in found:
            device.box.sh(f"rm -f /run/hang/{name}")
        time.sleep(0.5)
    assert "stood" in found, f"{name} never came by: {device.box.journal()[-1500:]}"
    return {mark: round(at - found["stood"], 1) for mark, at in found.items()}


@pytest.mark.parametrize("name", HANGS)
def test_the_service_restarts_when_a_critical_thread_hangs(hangable: Device, name: str) -> None:
    if hangable.box.suite != SUITES[0] and name not in ("inference", "main"):
        pytest.skip(f"the threads are those of {SUITES[0]}")
    before = hangable.restarts
    seen = hang(hangable, name, HANGS[name], 150)
    print(f"{name}: {seen}")

    assert hangable.restarts == before + 1
    assert seen["ended"] <= WATCHDOG_SEC + 5
    assert hangable.works()


def test_a_start_with_progress_may_exceed_the_start_timeout(hangable: Device) -> None:
    drop_in, since = "/etc/systemd/system/edge.service.d/short.conf", hangable.cursor()
    hangable.box.write(drop_in, "[Service]\nTimeoutStartSec=25\n")
    hangable.box.sh("rm /var/lib/edge/models/checked.json; touch /run/hang/slow; systemctl daemon-reload")
    done = hangable.box.run("systemctl", "restart", "edge", timeout=300)
    hangable.box.sh(f"rm {drop_in} /run/hang/slow; systemctl daemon-reload")
    moments = {words: at for at, text in hangable.said(since) for words in ("Starting ", "Started ") if words in text}

    assert done.returncode == 0, hangable.box.journal()[-2000:]
    assert moments["Started "] - moments["Starting "] > 25


def test_a_hang_logs_all_stacks_and_leaves_no_core_file(hangable: Device) -> None:
    assert "Fatal Python error: Aborted" in hangable.box.journal()
    assert hangable.box.show("edge", "LimitCORE") == "0"


def test_cameras_continue_when_the_command_thread_hangs(hangable: Device) -> None:
    before = hangable.restarts
    ping = f"{PUBLISHER} -V 5 -t edge/v1/porch/down/cmd/ping -m '{{\"v\":1}}'"
    seen = hang(hangable, "commands", ping, 45)

    assert "ended" not in seen
    assert hangable.restarts == before
    assert hangable.hears(1)


def test_the_service_runs_without_the_hang_points_again(hangable: Device) -> None:
    hangable.box.sh("rm /etc/systemd/system/edge.service.d/hangs.conf /opt/hangs.py; systemctl daemon-reload")
    hangable.box.sh("systemctl restart edge", timeout=180)
    assert hangable.works()


PUBLISH = """
bash /box/checkout/scripts/make_certificates /srv/tls localhost
cp /srv/tls/ca.crt /usr/local/share/ca-certificates/edge-test.crt; update-ca-certificates >/dev/null
cd /srv; printf 'state = "/srv/hub"\\n' >hub.toml; edge() { /opt/edge/venv/bin/edge --config /srv/hub.toml "$@"; }
edge hub init --repository /srv/repo --keys /srv/keys
edge hub sealing key porch --repository /srv/repo | sed -n 's/^key = "\\(.*\\)"$/\\1/p' >/etc/edge/credentials/sync-key
for model in edge-face-detector-2 edge-face-embedder-1; do edge hub add model $model --repository /srv/repo; done
edge hub add collection faces /srv/portraits --repository /srv/repo
edge hub publish --keys /srv/keys --repository /srv/repo
edge hub rollout "$(ls /srv/repo/public/targets/releases | sed 's/^[^.]*\\.//; s/.json$//')" --repository /srv/repo
install -m 644 /srv/repo/public/metadata/1.root.json /etc/edge/root.json
systemd-run -q --unit=releases /usr/bin/python3 /srv/https.py /srv/repo/public /srv/tls/server.crt /srv/tls/server.key
"""
HTTPS = """
import functools, http.server, ssl, sys
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
server = http.server.ThreadingHTTPServer(("127.0.0.1", 8443), handler)
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(sys.argv[2], sys.argv[3])
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
SYNC = """
[sync]
url = "https://localhost:8443"
root = "/etc/edge/root.json"
reserve_bytes = 0
probation = 15.0
"""


def test_a_release_is_downloaded_over_tls_in_the_sandbox_and_activated(device: Device) -> None:
    device.box.write("/srv/https.py", HTTPS)
    device.box.sh(PUBLISH, timeout=900)
    device.box.sh(f"cat >>/etc/edge/edge.toml <<'END'\n{SYNC}END\nsystemctl restart edge", timeout=180)
    assert device.works()

    device.box.run("systemctl", "start", "edge-sync.service", timeout=300)
    assert device.box.show("edge-sync", "Result") == "success", device.box.journal("edge-sync")
    assert eventually(lambda: "is in use" in device.box.journal(), 120), device.box.journal()
    assert eventually(lambda: "committed" in device.box.journal(), 120), device.box.journal()
    assert all(event["release"] for event in device.hears(2))


def test_timer_and_hint_start_a_sync(device: Device) -> None:
    device.box.sh("systemctl start edge-sync.timer edge-sync.path")
    next_look = device.box.sh("systemctl list-timers --no-pager edge-sync.timer")
    assert "edge-sync.service" in next_look
    before = device.box.journal("edge-sync").count("Finished")

    device.box.sh(f"{PUBLISHER} -t edge/v1/porch/down/desired -r -m '{{}}'")
    assert eventually(lambda: device.box.journal("edge-sync").count("Finished") > before, 90)
    device.box.sh("systemctl stop edge-sync.timer edge-sync.path")


def test_doctor_finds_no_problem_in_a_fresh_install(device: Device) -> None:
    device.box.sh("systemctl restart edge", timeout=180)
    assert device.works()
    assert device.doctor() == {}


BROKEN = {
    "service": ("systemctl stop edge", "systemctl start edge", "is inactive"),
    "watchdog": (
        "mkdir -p /etc/systemd/system/edge.service.d; cd /etc/systemd/system/edge.service.d; "
        "printf '[Service]\\nWatchdogSec=0\\n' >no.conf; systemctl daemon-reload; systemctl restart edge",
        "rm /etc/systemd/system/edge.service.d/no.conf; systemctl daemon-reload; systemctl restart edge",
        "has no WatchdogSec",
    ),
    "broker": (
        "cp -p /etc/edge/credentials/mqtt-password /root/kept; echo wrong >/etc/edge/credentials/mqtt-password; "
        "systemctl restart edge",
        "cp -p /root/kept /etc/edge/credentials/mqtt-password; systemctl restart edge",
        "not let in|refuse|auth",
    ),
    "state": ("systemctl stop edge; chown root:root /var/lib/edge", "systemctl start edge", "cannot be"),
    "configuration": (
        "chmod 644 /etc/edge/edge.toml; sed -i 's/username = /password = \"x\", username = /' /etc/edge/edge.toml",
        "chmod 640 /etc/edge/edge.toml; sed -i 's/password = \"x\", //' /etc/edge/edge.toml",
        "world-readable",
    ),
}
"""part -> script that breaks it, script that repairs it, expected text of doctor"""


@pytest.mark.parametrize("part", BROKEN)
def test_doctor_reports_a_defect(device: Device, part: str) -> None:
    breaking, mending, words = BROKEN[part]
    device.box.sh(breaking, timeout=300)
    try:
        found = device.doctor()
    finally:
        device.box.sh(mending, timeout=300)

    assert re.search(words, found.get(part, "")), found


def test_the_doctor_bundle_has_no_secret_name_or_picture(device: Device) -> None:
    assert device.works()
    device.box.run("edge", "doctor", "--bundle", "/tmp/report.zip", timeout=180)
    device.box.sh("cp /tmp/report.zip /box/report.zip")
    with zipfile.ZipFile(device.box.shared / "report.zip") as model_set:
        whole = b"\n".join(model_set.read(name) for name in model_set.namelist())

    assert b"door" in whole
    for secret in (PASSWORD, "eileen", "grace-hopper"):
        assert secret.encode() not in whole
    assert b"\xff\xd8\xff" not in whole


def test_an_upgrade_keeps_state_settings_and_the_previous_version(device: Device) -> None:
    before, kept = device.version, device.box.sh("sha256sum /etc/edge/edge.toml /etc/edge/credentials/*")
    code, said = device.install()

    assert code == 0, said + device.box.journal()[-2000:]
    assert device.version != before
    assert device.box.run("test", "-x", f"{before}/bin/edge").returncode == 0
    assert device.box.sh("sha256sum /etc/edge/edge.toml /etc/edge/credentials/*") == kept
    assert device.works()
    assert device.names() == {"eileen-collins", "grace-hopper"}


def test_installing_the_same_version_again_changes_nothing(device: Device) -> None:
    before = device.version
    code, said = device.install()

    assert code == 0, said
    assert "is installed already" in said
    assert device.version == before
    assert device.works()


BUGS = {
    "before it is ready": "s/^    while True:$/    raise OSError('broken on purpose')/",
    "once it is ready": "s/^        period = min(TICK.*/        time.sleep(3); raise OSError('broken on purpose')/",
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_version_that_does_not_start_is_rolled_back(device: Device, bug: str) -> None:
    before = device.version
    device.box.sh("rm -rf /root/broken; cp -r /box/checkout /root/broken")
    device.box.sh(f'cd /root/broken/edge/daemon; sed -i "{BUGS[bug]}" daemon.py; grep -q "broken on purpose" daemon.py')
    code, said = device.install(source="/root/broken")

    assert code == 1
    assert f"back to {Path(before).parent}" in said
    assert "try: journalctl -u edge" in said
    assert device.version == before
    assert device.works()
    assert device.names() == {"eileen-collins", "grace-hopper"}


def test_a_stop_publishes_offline(device: Device) -> None:
    device.box.sh("systemctl stop edge", timeout=60)

    assert device.box.show("edge", "Result") == "success"
    said = device.box.run(*SUBSCRIBER, "edge/v1/porch/up/status", "-C", "1", "-W", "30").stdout
    assert json.loads(said)["online"] is False


LEFT = re.compile(
    r"/(var/lib/edge|etc/edge)(/.*)?"
    # left by useradd, systemd and Python of every program
    r"|/etc/((passwd|group|g?shadow|subuid|subgid)-?|\.pwd\.lock)|/var/lib/systemd/.*|/var/log/.*|/root/.*|/srv/.*"
    r"|/usr/lib/python3.*|/usr/local/share/ca-certificates/.*|/etc/ssl/certs/.*|/var/cache/ldconfig.*"
)


def test_uninstall_leaves_only_state_and_settings(device: Device, places: set[str]) -> None:
    code, said = Device(device.box).install("--uninstall")
    left = listed(device.box) - places

    assert code == 0, said
    assert sorted(path for path in left if not LEFT.fullmatch(path)) == []
    assert {"/var/lib/edge/outbox.sqlite", "/etc/edge/edge.toml"} <= left
    assert device.box.run("systemctl", "cat", "edge.service").returncode != 0


def test_purge_leaves_nothing(device: Device) -> None:
    code, said = device.install("--uninstall", "--purge")

    assert code == 0, said
    assert device.box.run("sh", "-c", "ls -d /opt/edge /etc/edge /var/lib/edge; getent passwd edge").stdout == ""
