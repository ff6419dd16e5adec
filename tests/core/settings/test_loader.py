"""Reading the settings: what wins, and what each mistake is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.errors import SettingsError
from edge.core.settings import loader as config
from edge.core.settings.vision import FACE


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str | bytes) -> Path:
        path = tmp_path / "edge.toml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def refusal(path: Path | None) -> str:
    with pytest.raises(SettingsError) as caught:
        config.read(path)
    assert caught.value.hint
    return caught.value.message


def mistakes(path: Path) -> str | None:
    try:
        config.read(path)
    except SettingsError as error:
        return error.message
    return None


def test_without_a_file_the_defaults_are_a_complete_configuration() -> None:
    settings = config.read()
    assert settings.cameras[0].source == "auto"
    assert settings.labels["face"].collection == "faces"


def test_the_file_named_by_the_environment_is_read_unless_one_is_given(write, monkeypatch, tmp_path) -> None:
    other = tmp_path / "other.toml"
    other.write_text("[mqtt]\nhost = 'other'\n")
    monkeypatch.setenv("EDGE_CONFIG", str(other))
    assert config.read().mqtt.host == "other"
    assert config.read(write("[mqtt]\nhost = 'given'\n")).mqtt.host == "given"


def test_the_environment_wins_over_the_file_key_by_key(write, monkeypatch) -> None:
    monkeypatch.setenv("EDGE_MQTT__HOST", "broker.lan")
    monkeypatch.setenv("EDGE_MODELS__PATH", '["/models"]')
    mqtt = config.read(write("[mqtt]\nhost = 'file'\nport = 1884\n")).mqtt
    assert (mqtt.host, mqtt.port) == ("broker.lan", 1884)
    assert config.read().models.path == (Path("/models"),)


def test_a_threshold_for_faces_keeps_their_embedder_and_collection(write) -> None:
    face = config.read(write("[labels.face]\nsimilarity = 90\n")).labels["face"]
    assert (face.similarity, face.embedder, face.collection) == (90, FACE.embedder, "faces")


def test_faces_may_be_detected_without_being_recognized(write) -> None:
    face = config.read(write('[labels.face]\nembedder = ""\ncollection = ""\n')).labels["face"]
    assert (face.embedder, face.collection) == ("", "")


# what each mistake is told: file, line, key, value, rule


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[mqtt]\n\nhots = 'x'\n", "edge.toml:3: mqtt.hots: unknown setting"),
        ("color = 1\n", "edge.toml:1: color: unknown setting"),
        ("[device]\nhost = 'x'\n", "edge.toml:2: device.host: unknown setting; host belongs in [mqtt] or [api]"),
        (
            "[labels.face]\nfps = 2\n",
            "labels.face.fps: unknown setting; fps belongs in [[cameras]] or [page]",
        ),
        ("[[cameras]]\nrotation = 7\n", "edge.toml:2: cameras[0].rotation: expected one of 0, 90, 180 or 270 (got 7)"),
        ("[mqtt]\n[device]\n[mqtt]\n", "twice (at line 3, column 6)"),
        ("[mqqt]\nhost = 'x'\n", "edge.toml:1: mqqt: unknown setting"),
        ("[mqtt]\nport = 'many'\n", "edge.toml:2: mqtt.port: expected a whole number (got 'many')"),
        ("mqtt = 5\n", "edge.toml:1: mqtt: expected a table"),
        ("mqtt.port = 70000\n", "edge.toml:1: mqtt.port: expected at most 65535 (got 70000)"),
        (
            "[[cameras]]\nname = 'a b'\n",
            "edge.toml:2: cameras[0].name: expected 1 to 64 letters, digits, ",
        ),
        ("[[cameras]]\nname = 'a'\n[[cameras]]\nname = 'b'\nfps = 0\n", "edge.toml:5: cameras[1].fps: "),
        ("[[cameras]]\nname = 'a'\n[[cameras]]\nname = 'a'\n", "settings: two cameras are named 'a'"),
        ("[[cameras]]\nlabels = ['cat']\n", "camera 'camera' wants label 'cat', which has no [labels] section"),
        ("[[cameras]]\nrequired_zones = ['mat']\n", "edge.toml:1: cameras[0]: required_zones names 'mat'"),
        ("[labels.face]\nmin_size = 0.5\nmax_size = 0.4\n", "edge.toml:1: labels.face: min_size 0.5 must be below"),
        ("[labels.dog]\nembedder = 'x'\n", "edge.toml:1: labels.dog: embedder and collection go together"),
        ("[mqtt]\nca = '/ca.pem'\n", "edge.toml:1: mqtt: ca, certificate, key and insecure need tls = true"),
        ("[tracking]\nlost_seconds = nan\n", "edge.toml:2: tracking.lost_seconds: expected a finite number"),
        ("[tracking]\nlost_seconds = inf\n", "edge.toml:2: tracking.lost_seconds: expected a finite number"),
        ("[device]\nname = '../x'\n", "edge.toml:2: device.name: expected 1 to 63 of a-z, 0-9 and '-'"),
    ],
)
def test_a_mistake_is_told_with_its_line_key_and_rule(write, text, expected) -> None:
    assert expected in refusal(write(text))


def test_a_zone_outside_the_frame_is_told_with_its_corner(write) -> None:
    text = """
[[cameras]]
name = "yard"
[[cameras]]
name = "door"
[cameras.zones]
mat = [
  [0.1, 0.2],
  [0.3, 1.2],
  [0.5, 0.5],
]
"""
    assert "edge.toml:7: cameras[1].zones.mat[1][1]: " in refusal(write(text))
    assert "(got 1.2)" in refusal(write(text))


def test_a_zone_of_two_corners_is_refused(write) -> None:
    assert "a zone or mask needs at least 3 corners, got 2" in refusal(
        write("[[cameras]]\n[cameras.zones]\nmat = [[0, 0], [1, 1]]\n")
    )


def test_a_key_of_the_same_name_in_a_later_table_is_not_blamed(write) -> None:
    text = "[device]\nname = 'ok'\n[[cameras]]\nsource = 5\n[[cameras]]\nname = 'b'\nsource = 'auto'\n"
    assert refusal(write(text)).startswith(f"{write(text)}:4: cameras[0].source")


def test_a_value_that_fits_no_type_of_many_is_told_once(write) -> None:
    message = refusal(write("[[cameras]]\n[cameras.controls]\nAwbMode = [1, [2]]\n"))
    assert message.count("AwbMode") == 1
    assert ":3: cameras[0].controls.AwbMode: " in message


def test_all_mistakes_are_told_at_once(write) -> None:
    message = refusal(write("[mqtt]\nport = -1\n[models]\nthreads = 0\n"))
    assert message.startswith("2 settings break a rule\n")
    assert ":2: mqtt.port" in message
    assert ":4: models.threads" in message


def test_a_broken_variable_is_named_and_not_the_line_of_the_file(write, monkeypatch) -> None:
    monkeypatch.setenv("EDGE_MQTT__PORT", "many")
    message = refusal(write("[mqtt]\nport = 1883\n"))
    assert message.startswith("environment EDGE_MQTT__PORT: mqtt.port: ")


def test_a_variable_that_is_not_json_where_a_list_belongs_is_named(monkeypatch) -> None:
    monkeypatch.setenv("EDGE_MODELS__PATH", "/models")
    assert refusal(None).startswith("environment EDGE_MODELS__PATH: expected JSON")


def test_a_variable_that_reaches_into_the_cameras_is_named(monkeypatch) -> None:
    monkeypatch.setenv("EDGE_CAMERAS__0__SOURCE", "auto")
    assert "environment EDGE_CAMERAS__0__SOURCE: cameras: " in refusal(None)


def test_a_variable_of_no_section_is_refused(monkeypatch) -> None:
    monkeypatch.setenv("EDGE_MQQT__HOST", "x")
    assert "environment EDGE_MQQT__HOST: there is no section 'mqqt'" in refusal(None)


def test_a_variable_of_no_key_is_refused(monkeypatch) -> None:
    monkeypatch.setenv("EDGE_MQTT__HOTS", "x")
    assert "environment EDGE_MQTT__HOTS: mqtt.hots: unknown setting" in refusal(None)


def test_one_table_where_a_list_of_them_belongs_is_told_with_its_brackets(write) -> None:
    text = "[cameras]\nname = 'door'\n"
    assert "edge.toml:1: cameras: expected a list of tables, [[cameras]]" in refusal(write(text))
    text = "[[cameras]]\ndetectors = 'yolo'\n"
    assert "edge.toml:2: cameras[0].detectors: expected a list (got 'yolo')" in refusal(write(text))


# files that cannot be read


def test_a_file_that_begins_with_a_byte_order_mark_is_read(write) -> None:
    assert config.read(write(b"\xef\xbb\xbf[mqtt]\nhost = 'broker.lan'\n")).mqtt.host == "broker.lan"


def test_a_missing_file_is_told(tmp_path) -> None:
    assert "there is no such file" in refusal(tmp_path / "absent.toml")


def test_a_folder_in_place_of_the_file_is_told(tmp_path) -> None:
    assert "cannot be read" in refusal(tmp_path)


@pytest.mark.parametrize("data", [b"\xff\xfe[mqtt]", b"[mqtt]\nhost = '\xe9'", b"\x00"])
def test_a_file_that_is_not_utf8_text_is_told(write, data) -> None:
    assert str(write(data)) in refusal(write(data))


@pytest.mark.parametrize("text", ["[mqtt", "a = ", "[mqtt]\nhost = 'a'\nhost = 'b'\n", "[mqtt]\n[mqtt]\n"])
def test_broken_toml_is_told_with_its_line(write, text) -> None:
    assert "not TOML: " in refusal(write(text))
    assert "line" in refusal(write(text)) or "end of document" in refusal(write(text))


def test_a_file_that_is_nested_without_end_is_refused(write) -> None:
    assert str(write("a = " + "[" * 50_000)) in refusal(write("a = " + "[" * 50_000))


@given(st.binary(max_size=200))
def test_no_bytes_bring_anything_but_settings_or_a_refusal(tmp_path_factory, data) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "edge.toml"
    path.write_bytes(data)
    assert str(path) in (mistakes(path) or str(path))


TOML_VALUE = st.sampled_from(["1", "-1", "1.5", "nan", "'x'", "true", "[]", "[[1]]", "{}", "{a = 1}", "1979-05-27"])


@given(
    st.sampled_from(
        ["mqtt", "device", "models", "cameras", "labels", "labels.face", "tracking", "api", "state", "log"]
    ),
    st.sampled_from(["name", "host", "port", "zones", "controls", "keys", "face", "similarity", "cameras", "level"]),
    TOML_VALUE,
)
def test_any_value_in_any_place_is_read_or_refused_with_its_line(tmp_path_factory, section, name, value) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "edge.toml"
    for text in (f"[{section}]\n{name} = {value}\n", f"[[{section}]]\n{name} = {value}\n", f"{section} = {value}\n"):
        path.write_text(text)
        assert f"{path}:" in (mistakes(path) or f"{path}:")


# secrets


def test_a_secret_is_never_part_of_an_error(write) -> None:
    text = (
        "[mqtt]\npassword = ['hunter2']\npasswrd = 'hunter2'\n"
        "[[cameras]]\nsorce = 'rtsp://u:hunter2@h/'\nfps = 'rtsp://u:hunter2@h/'\n"
    )
    assert "hunter2" not in refusal(write(text))
    assert "fps: expected a number" in refusal(write(text))


def test_a_secret_is_not_in_the_traceback_either(write) -> None:
    with pytest.raises(SettingsError) as caught:
        config.read(write("[mqtt]\npassword = ['hunter2']\n"))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


# credentials


@pytest.fixture
def credentials(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "credentials"
    folder.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    return folder


def test_a_credential_fills_the_password_that_the_file_leaves_empty(write, credentials) -> None:
    (credentials / "mqtt-password").write_text("hunter2\n")
    loaded = config.load(write("[mqtt]\npassword = ''\n"))
    assert loaded.settings.mqtt.password.get_secret_value() == "hunter2"
    assert loaded.origin(("mqtt", "password")) == "credential mqtt-password"


def test_a_password_in_the_file_or_the_environment_wins_over_the_credential(write, credentials, monkeypatch) -> None:
    (credentials / "mqtt-password").write_text("credential")
    path = write("[mqtt]\npassword = 'file'\n")
    assert config.read(path).mqtt.password.get_secret_value() == "file"
    monkeypatch.setenv("EDGE_MQTT__PASSWORD", "variable")
    assert config.read(path).mqtt.password.get_secret_value() == "variable"


def test_a_credential_beside_a_broken_section_does_not_hide_the_mistake(write, credentials) -> None:
    (credentials / "mqtt-password").write_text("hunter2")
    assert "edge.toml:1: mqtt: " in refusal(write("mqtt = 5\n"))


def test_a_credential_that_is_not_text_is_told_without_its_bytes(credentials) -> None:
    (credentials / "mqtt-password").write_bytes(b"hunter2\xff")
    assert refusal(None).endswith("mqtt-password: cannot be read: it is not UTF-8")


def test_a_credential_that_cannot_be_read_is_told_and_no_traceback(credentials) -> None:
    (credentials / "mqtt-password").symlink_to("mqtt-password")
    assert "mqtt-password: cannot be read: " in refusal(None)


def test_an_empty_credentials_folder_changes_nothing(credentials) -> None:
    assert config.read().mqtt.password.get_secret_value() == ""


# where things came from, and where they are kept


def test_the_origin_of_a_setting_is_its_line_its_variable_or_the_default(write, monkeypatch) -> None:
    monkeypatch.setenv("EDGE_MQTT__PORT", "1884")
    path = write("[mqtt]\nhost = 'x'\nport = 1\n\n[[cameras]]\n[[cameras]]\nname = 'b'\n")
    loaded = config.load(path)
    assert loaded.origin(("mqtt", "host")) == f"{path}:2"
    assert loaded.origin(("mqtt", "port")) == "environment EDGE_MQTT__PORT"
    assert loaded.origin(("mqtt", "tls")) == "default"
    assert loaded.origin(("cameras", 1, "name")) == f"{path}:7"


def test_state_is_kept_where_the_settings_systemd_or_xdg_say(write, monkeypatch, tmp_path) -> None:
    assert config.state_folder(config.read()) == tmp_path / "state" / "edge"
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/edge:/other")
    assert config.state_folder(config.read()) == Path("/var/lib/edge")
    assert config.state_folder(config.read(write("state = '/mine'\n"))) == Path("/mine")


# machines as people have them


def test_a_user_without_a_home_folder_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", nobody)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    with pytest.raises(SettingsError, match="no home folder") as caught:
        config.state_folder(config.Settings())
    assert "STATE_DIRECTORY" in caught.value.hint
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/edge")
    assert config.state_folder(config.Settings()) == Path("/var/lib/edge")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("broker.lan", ("broker.lan", 1883, False)),
        (" broker.lan ", ("broker.lan", 1883, False)),
        ("broker.lan:1884", ("broker.lan", 1884, False)),
        ("mqtt://broker.lan", ("broker.lan", 1883, False)),
        ("tcp://192.0.2.4:1884/", ("192.0.2.4", 1884, False)),
        ("mqtts://broker.lan", ("broker.lan", 8883, True)),
        ("ssl://broker.lan:8884", ("broker.lan", 8884, True)),
        ("[2001:db8::1]:1884", ("2001:db8::1", 1884, False)),
        ("2001:db8::1", ("2001:db8::1", 1883, False)),
    ],
)
def test_a_broker_is_written_as_people_write_it(host: str, expected: tuple[str, int, bool]) -> None:
    mqtt = config.Settings.model_validate({"mqtt": {"host": host}}).mqtt
    assert (mqtt.host, mqtt.effective_port, mqtt.tls) == expected


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"host": "mqtt://edge:hunter2@broker.lan"}, "username and password"),
        ({"host": "ws://broker.lan"}, "not supported"),
        ({"host": "broker.lan:1884", "port": 1885}, "port"),
    ],
)
def test_a_broker_that_cannot_be_meant_so_is_refused(write, values: dict[str, object], rule: str) -> None:
    text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
    with pytest.raises(SettingsError, match=rule) as caught:
        config.read(write(f"[mqtt]\n{text}"))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://h/edge/", " https://h/edge ", "https://h/edge//"])
def test_the_address_of_releases_is_trimmed(url: str) -> None:
    settings = config.Settings.model_validate({"sync": {"url": url, "root": "root.json"}})
    assert settings.sync.url == "https://h/edge"


def test_a_system_file_that_this_user_may_not_read_is_told_with_what_to_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "SYSTEM_FILE", Path("a" * 300) / "edge.toml")
    with pytest.raises(SettingsError) as refused:
        config.read()
    assert "cannot be read" in refused.value.message
    assert "sudo" in refused.value.hint
