"""Credentials in every form in which people write them, in every place that prints."""

from __future__ import annotations

import json
import logging
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from rigs.secret_addresses import FORMS, HOST, assert_hidden

from edge.cli.main import edge, run
from edge.core import credentials
from edge.core.credentials import encoded_address, mask_credentials, split_address
from edge.core.errors import SettingsError, SourceError
from edge.core.settings import loader
from edge.core.settings.address import SecretAddress
from edge.core.settings.schema import Settings
from edge.core.system.log_setup import LineFormatter
from edge.sources.factory import open_source

ADDRESSES = [pytest.param(address.replace("HOST", HOST), secret, id=name) for name, (address, secret) in FORMS.items()]


@pytest.mark.parametrize(("address", "secret"), ADDRESSES)
def test_an_address_prints_masked(address: str, secret: str) -> None:
    hidden = SecretAddress(address)
    assert_hidden(secret, f"{hidden} {hidden!r} {[hidden]} {hidden!s:>40}")
    assert HOST in str(hidden)
    assert hidden.get_secret_value() == address


@pytest.mark.parametrize(("address", "secret"), ADDRESSES)
def test_settings_print_masked(address: str, secret: str) -> None:
    settings = Settings.model_validate(
        {"cameras": [{"source": address}], "sync": {"url": address.replace("rtsp", "https"), "root": "root.json"},
         "hub": {"database": address.replace("rtsp", "postgresql")}}
    )  # fmt: skip
    assert_hidden(secret, f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()}")


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize(("address", "secret"), ADDRESSES)
def test_log_lines_and_errors_are_masked(address: str, secret: str, known: bool) -> None:
    credentials._known.clear()
    if known:
        SecretAddress(address)
    elif "Secret14" in secret:
        pytest.skip("where such a value ends cannot be told from the text alone")
    for text in (f"{address}: nothing came", repr(address), f"cannot open {address!r}", json.dumps({"a": address})):
        record = logging.LogRecord("edge", logging.WARNING, __file__, 1, "lost: %s", (text,), None)
        assert_hidden(secret, LineFormatter(journal=True).format(record))
        error = SourceError(text, f"check {text}")
        assert_hidden(secret, f"{error} {error!r} {error.message} {error.hint} {error.args}")
        assert HOST in error.message or "live" not in error.message


@pytest.mark.parametrize(("address", "secret"), ADDRESSES)
def test_commands_and_the_bundle_print_masked(address: str, secret: str, tmp_path: Path) -> None:
    file, report = tmp_path / "edge.toml", tmp_path / "report.zip"
    file.write_text(f'state = "{tmp_path}/state"\n[[cameras]]\nsource = {json.dumps(address, ensure_ascii=False)}\n')
    commands = (["config", "show"], ["config", "show", "--json"], ["config", "check", str(file)])
    said = [CliRunner().invoke(edge, ["--config", str(file), *words]).output for words in commands]
    from edge.cli.doctor import bundle
    from edge.cli.doctor.cameras import cameras
    from edge.cli.doctor.finding import DoctorContext

    context = DoctorContext(loader.load(file), tmp_path / "state")
    findings = list(cameras(context))
    assert findings[0].wrong
    said += [str(findings)]
    bundle.write(report, context, findings)
    with zipfile.ZipFile(report) as opened:
        said += [opened.read(name).decode() for name in opened.namelist() if name != "log.txt"]
    assert_hidden(secret, "\n".join(said))
    assert any("127.0.0.1" in part for part in said)


def test_a_wrong_address_is_refused_without_its_password(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "edge.toml"
    file.write_text('[[cameras]]\nsource = "gopher://cam:Secret\'One@127.0.0.1/video"\n')
    assert run(["config", "check", str(file)]) == 1
    assert_hidden("Secret'One", capsys.readouterr().err)


def test_a_wrong_sync_url_is_refused_without_its_password(tmp_path: Path) -> None:
    file = tmp_path / "edge.toml"
    file.write_text('[sync]\nurl = "ftp://device:TheSecret@h/x"\nroot = "r"\n')
    with pytest.raises(SettingsError, match="https://") as caught:
        loader.read(file)
    assert_hidden("TheSecret", str(caught.value))


@pytest.mark.parametrize(
    ("address", "user", "rest"),
    [
        ("rtsp://cam:p/w#1@host/live", "cam:p/w#1", "host/live"),
        ("rtsp://cam:p@ss/w@host.lan/live", "cam:p@ss/w", "host.lan/live"),
        ("rtsp://u:p@host/cam@1/main", "u:p", "host/cam@1/main"),
        ("rtsp://192.0.2.3:554/cam@1", None, "192.0.2.3:554/cam@1"),
        ("rtsp://host/cam@1", None, "host/cam@1"),
        ("rtsp://u:p@[2001:db8::1]:554/a@b", "u:p", "[2001:db8::1]:554/a@b"),
        ("rtsp://[2001:db8::1]:554/a@b", None, "[2001:db8::1]:554/a@b"),
        ("rtsp://cam:1234@192.0.2.3/live", "cam:1234", "192.0.2.3/live"),
    ],
)
def test_the_user_of_an_address_ends_where_its_host_begins(address: str, user: str | None, rest: str) -> None:
    parts = split_address(address)
    assert (parts.user, parts.rest) == (user, rest)


@pytest.mark.parametrize(
    ("address", "encoded"),
    [
        ("rtsp://cam:p/w#1@host/live", "rtsp://cam:p%2Fw%231@host/live"),
        ("rtsp://cam:p w?@host/live?a=b", "rtsp://cam:p%20w%3F@host/live?a=b"),
        ("rtsp://cam:p%23w@host/live", "rtsp://cam:p%23w@host/live"),
        ("rtsp://cam:100%@host/live", "rtsp://cam:100%25@host/live"),
        ("rtsp://host/live", "rtsp://host/live"),
    ],
)
def test_what_must_be_percent_encoded_is(address: str, encoded: str) -> None:
    assert encoded_address(address) == encoded


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rtsp://admin:hunter2@10.0.0.1/s", "rtsp://***@10.0.0.1/s"),
        ("cannot open 'rtsp://admin:hun@ter2@host/s'", "cannot open 'rtsp://***@host/s'"),
        ("rtsp://host/s?user=admin&password=hunter2&channel=1", "rtsp://host/s?user=***&password=***&channel=1"),
        ("rtsp://admin@host/s", "rtsp://***@host/s"),
        ("http://u:p@a/ and http://v:q@b/", "http://***@a/ and http://***@b/"),
        ("host=db user=edge password='my secret' dbname=x", "host=db user=*** password=*** dbname=x"),
        ("Authorization: Basic ZGV2aWNl", "Authorization: ***"),
        ("rtsp://host/s", "rtsp://host/s"),
        (
            "http://127.0.0.1:8480/ mail me@b.org",
            "http://127.0.0.1:8480/ mail me@b.org",
        ),
        ("mail to me@example.org", "mail to me@example.org"),
    ],
)
def test_text_is_masked_by_pattern(text: str, expected: str) -> None:
    credentials._known.clear()
    assert mask_credentials(text) == expected


def test_basic_authorization_is_that_of_the_user() -> None:
    assert SecretAddress("https://device:a%23b@h/x").basic_authorization() == "Basic ZGV2aWNlOmEjYg=="
    assert SecretAddress("https://h/x").basic_authorization() == ""
    assert SecretAddress("https://device:a%23b@h/x").without_credentials() == "https://h/x"


def test_a_source_does_not_show_credentials() -> None:
    source = open_source(Settings.model_validate({"cameras": [{"source": "rtsp://admin:hunter2@h/s"}]}).cameras[0])
    assert "hunter2" not in f"{source.name} {source!r} {source}"
