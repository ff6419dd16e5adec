"""The Debian package of ``scripts/package``: install, upgrade, rollback and purge under a real systemd.

Needs root, debootstrap, systemd-nspawn and ten minutes. The box has no network: nothing is fetched to install.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from rigs.box import Box, checkout, needed
from rigs.waiting import eventually

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "scripts/package"
SUITES = ("bookworm", "trixie")
MAINTAINER = ROOT / "scripts/debian"
SETTINGS = """
[device]
name = "porch"     # kept through upgrades

[[cameras]]
name = "door"
source = "synthetic:/srv/portraits"
loop = true
"""
LEFT = re.compile(
    r"/etc/((passwd|group|g?shadow|subuid|subgid)-?|\.pwd\.lock)|/var/(log|lib/systemd|lib/dpkg|cache)/.*|/root/.*|/srv/.*"
)
"""left by useradd, dpkg and systemd of every package"""


def test_the_scripts_pass_the_shell_check() -> None:
    for script, shell in [(PACKAGE, "bash"), *((MAINTAINER / name, "sh") for name in SCRIPTS)]:
        done = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


SCRIPTS = ("preinst", "postinst", "prerm", "postrm")


def test_the_package_holds_what_the_installer_puts_in_place() -> None:
    installer, package = (ROOT / "scripts/install").read_text(), PACKAGE.read_text()
    postinst = (MAINTAINER / "postinst").read_text()
    units = set(re.findall(r"edge[a-z-]*\.(?:service|timer|path)", installer))
    credentials = re.search(r'^CREDENTIALS="(.*)"', installer, re.MULTILINE)

    assert credentials
    assert len(units) == 4
    assert units <= set(re.findall(r"edge[a-z-]*\.(?:service|timer|path)", package))
    assert set(credentials[1].split()) <= set(postinst.split())


def test_an_architecture_without_a_runtime_is_refused_before_any_change(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(PACKAGE), "--arch", "riscv64", "--out", str(tmp_path / "out")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    if "dpkg-deb is not installed" not in done.stderr:
        assert "expected amd64 or arm64, got riscv64" in done.stderr
    assert "try: " in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module", params=SUITES)
def box(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    needed()
    with Box(request.param, tmp_path_factory.mktemp("package") / "box") as one:
        checkout(one.shared / "checkout")
        one.sh("cp -r /box/checkout/edge/data/portraits /srv/portraits")
        one.sh("systemctl disable -q --now mosquitto || true")
        yield one


@pytest.fixture(scope="module")
def before(box: Box) -> set[str]:
    """All paths before the install."""
    return listed(box)


@pytest.fixture(scope="module")
def packages(box: Box, before: set[str]) -> tuple[str, str]:
    """Two versions: the second is the first with another version number."""
    assert before
    offline = "PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels"
    box.sh(f"{offline} bash /box/checkout/scripts/package --unpinned --version 1.0 --out /srv/debs", timeout=1500)
    box.sh(
        "dpkg-deb -R /srv/debs/*_1.0_*.deb /srv/second;"
        "sed -i 's/^Version: .*/Version: 1.1/' /srv/second/DEBIAN/control;"
        "dpkg-deb --root-owner-group -Zgzip -z1 -b /srv/second /srv/debs/second.deb; rm -rf /srv/second",
        timeout=900,
    )
    return box.sh("ls /srv/debs/*_1.0_*.deb").strip(), "/srv/debs/second.deb"


def listed(box: Box) -> set[str]:
    return set(box.sh("find /opt /etc /usr /var /home /root /srv -xdev").splitlines())


def install(box: Box, package: str) -> str:
    return box.sh(f"DEBIAN_FRONTEND=noninteractive dpkg -i {package} 2>&1", timeout=600)


def works(box: Box) -> bool:
    return eventually(lambda: re.search(r"door [1-9]\d*\.\d fps", box.show("edge", "StatusText")), 120)


def version(box: Box) -> str:
    return box.sh("dpkg-query -W -f '${Version} ${Status}' rekognition-edge")


@pytest.mark.long
@pytest.mark.timeout(1800)
class TestLife:
    """Steps in the life of one install; they run in this order."""

    def test_installed_it_runs_as_its_user_and_needs_no_network(self, box: Box, packages: tuple[str, str]) -> None:
        box.write("/etc/edge/edge.toml", SETTINGS)  # as scripts/install --uninstall leaves it
        assert "conffile" not in install(box, packages[0]).lower()
        assert box.sh("stat -c '%U %G %a' /etc/edge/edge.toml").strip() == "root edge 640"
        assert works(box), box.journal()
        assert box.sh("ps -o user= -p $(systemctl show edge -p MainPID --value)").strip() == "edge"
        assert box.run("grep", "-rlI", "/tmp/tmp.", "/opt/edge/venv/bin").stdout == ""

    def test_pictures_in_a_home_of_mode_0700_are_enrolled(self, box: Box) -> None:
        box.sh("useradd -m -d /home/kim kim && chmod 700 /home/kim && cp -r /srv/portraits /home/kim/photos")
        assert "2 faces of 2 subjects" in box.sh("cd /home/kim && edge enroll faces photos/ 2>&1", timeout=180)

    def test_the_shell_completes_names_for_root_and_nothing_for_others(self, box: Box) -> None:
        ask = "source /usr/share/bash-completion/completions/edge; COMP_WORDS=(edge forget e); COMP_CWORD=2; "
        ask += '_edge_completion edge; echo "[${COMPREPLY[*]}]"'
        box.write("/usr/local/bin/ask-bash", ask)
        assert box.sh("bash /usr/local/bin/ask-bash 2>&1") == "[eileen-collins]\n"
        assert box.sh("setpriv --reuid kim --regid kim --clear-groups bash /usr/local/bin/ask-bash 2>&1") == "[]\n"
        box.sh("rm /usr/local/bin/ask-bash")

    def test_an_upgrade_asks_nothing_and_keeps_settings_and_faces(self, box: Box, packages: tuple[str, str]) -> None:
        box.sh("systemctl enable -q --now edge-sync.timer")
        assert "conffile" not in install(box, packages[1]).lower()
        assert version(box).startswith("1.1 install ok installed")
        assert works(box), box.journal()
        assert box.show("edge-sync.timer", "ActiveState") == "active"
        assert "kept through upgrades" in box.sh("cat /etc/edge/edge.toml")
        assert "2 faces of 2 subjects" in box.sh("edge collection show faces")

    def test_installing_the_previous_package_rolls_back(self, box: Box, packages: tuple[str, str]) -> None:
        install(box, packages[0])
        assert version(box).startswith("1.0 install ok installed")
        assert works(box), box.journal()
        assert "2 faces of 2 subjects" in box.sh("edge collection show faces")

    def test_removed_it_leaves_state_and_settings_and_purged_nothing(self, box: Box, before: set[str]) -> None:
        box.sh("dpkg -r rekognition-edge 2>&1", timeout=300)
        assert box.run("systemctl", "cat", "edge.service").returncode != 0
        assert box.run("ls", "/etc/edge/edge.toml", "/var/lib/edge/collections.sqlite").returncode == 0

        box.sh("dpkg -P rekognition-edge 2>&1; userdel -r kim", timeout=300)
        left = sorted(path for path in listed(box) - before if not LEFT.fullmatch(path))
        assert left == []
        assert box.run("getent", "passwd", "edge").returncode != 0
