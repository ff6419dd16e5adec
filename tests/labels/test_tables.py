"""Tables as spreadsheets save them: separators, marks of an encoding, headers, space, decimal commas."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.core.errors import InputError
from edge.labels.manifests import Read, read

ROWS = [(f"pictures/{number}.png", label) for number, label in enumerate(["Hund", "Kätzchen"] * 3)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    for name, _ in ROWS:
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def table(between: str = ",", end: str = "\r\n") -> str:
    return end.join(between.join(row) for row in ROWS) + end


def labels(found: Read) -> list[str]:
    return [next(iter(one.labels)) for one in found.examples]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        pytest.param(table(), "utf-8", id="plain"),
        pytest.param(table(", "), "utf-8", id="space after commas"),
        pytest.param(table(" , "), "utf-8", id="space around commas"),
        pytest.param(table(), "utf-8-sig", id="mark of UTF-8"),
        pytest.param(table("\t"), "utf-16", id="UTF-16 with tabs ('Unicode text')"),
        pytest.param(table(), "utf-16-be", id="UTF-16, big-endian"),
        pytest.param("picture;label\r\n" + table(";"), "utf-8-sig", id="semicolons"),
        pytest.param("sep=;\r\n" + table(";"), "utf-8", id="sep="),
        pytest.param("image,label\r\n" + table(), "utf-8", id="header image"),
        pytest.param("File Name,Class\r\n" + table(), "utf-8", id="any header"),
        pytest.param(table(end=",,,\r\n"), "utf-8", id="empty columns"),
        pytest.param(table() + ",\r\n,\r\n", "utf-8", id="empty rows"),
        pytest.param(table(end="\r"), "utf-8", id="old line ends"),
        pytest.param("\r\n".join(f'"{a}","{b}"' for a, b in ROWS), "utf-8", id="quoted"),
        pytest.param(table().replace("ä", "a\u0308"), "utf-8", id="decomposed"),
        pytest.param("\r\n".join(f"'{a}','{b}'" for a, b in ROWS), "utf-8", id="single quotes"),
        pytest.param(table("|"), "utf-8", id="bars"),
        pytest.param(table().replace("/", "\\"), "utf-8", id="paths of Windows"),
        pytest.param(table().replace("Hund", '"Hund\n"'), "utf-8", id="line ends within quotes"),
        pytest.param(table(), "utf-16-le", id="UTF-16 without a mark"),
        pytest.param(
            ",file_name,class\n" + "".join(f"{i},{a},{b}\n" for i, (a, b) in enumerate(ROWS)), "utf-8", id="an index"
        ),
        pytest.param("label,filename\n" + "".join(f"{b},{a}\n" for a, b in ROWS), "utf-8", id="label first"),
        pytest.param(
            "filename\twidth\theight\tclass\n" + "".join(f"{a}\t8\t8\t{b}\n" for a, b in ROWS),
            "utf-8",
            id="named columns",
        ),
    ],
)
def test_a_table_is_read_as_it_was_saved(folder: Path, text: str, encoding: str) -> None:
    mark = "\ufeff".encode("utf-16-be") if encoding == "utf-16-be" else b""
    (folder / "table.csv").write_bytes(mark + text.encode(encoding))
    found = read(folder / "table.csv")
    assert found.problems == ()
    assert labels(found) == [label for _, label in ROWS]


def test_boxes_with_decimal_commas(folder: Path) -> None:
    (folder / "table.csv").write_text("\n".join(f"{name};{label};0,1;0,2;0,5;0,75" for name, label in ROWS))
    found = read(folder / "table.csv")
    assert len(found.examples) == 6
    (mark,) = found.examples[0].marks
    assert mark.box is not None
    assert (mark.box.left, mark.box.bottom) == (0.1, 0.75)


def test_another_encoding_is_an_error_with_its_line(folder: Path) -> None:
    (folder / "table.csv").write_bytes(table().encode("cp1252"))
    with pytest.raises(InputError, match="line 2 is not UTF-8") as caught:
        read(folder / "table.csv")
    assert "CSV UTF-8" in caught.value.hint


def test_a_first_picture_is_no_header(folder: Path) -> None:
    (folder / "image").write_bytes(b"x")
    (folder / "table.csv").write_text("image,Hund\n" + table())
    assert len(read(folder / "table.csv").examples) == 7


def line(kind: str, **more: object) -> str:
    return json.dumps({"source-ref": "pictures/0.png", "c": 0, "c-metadata": {"type": kind, **more}})


def test_a_manifest_with_a_mark_is_read(folder: Path) -> None:
    text = line("groundtruth/image-classification", **{"class-name": "Hund"})
    (folder / "a.manifest").write_bytes(text.encode("utf-8-sig"))
    assert labels(read(folder / "a.manifest")) == ["Hund"]


def test_a_type_that_is_not_read_is_named(folder: Path) -> None:
    (folder / "a.manifest").write_text(line("groundtruth/image-classification-multilabel"))
    with pytest.raises(InputError, match="image-classification-multilabel"):
        read(folder / "a.manifest")


def test_hidden_folders_of_a_nas_are_no_labels(folder: Path) -> None:
    for name in ("Hund", "@eaDir", "#recycle", "Hund/@eaDir"):
        (folder / "all" / name).mkdir(parents=True, exist_ok=True)
        (folder / "all" / name / "1.png").write_bytes(b"x")
    assert labels(read(folder / "all")) == ["Hund"]


@pytest.mark.parametrize("name", ["table.tsv", "table.txt", "TABLE.CSV"])
def test_a_table_by_other_names(folder: Path, name: str) -> None:
    (folder / name).write_text(table("\t"))
    assert len(read(folder / name).examples) == 6


def test_boxes_in_pixels_of_named_columns(folder: Path) -> None:
    rows = "".join(f"{name},200,100,{label},20,10,100,75\n" for name, label in ROWS)
    (folder / "table.csv").write_text("filename,width,height,class,xmin,ymin,xmax,ymax\n" + rows)
    (mark,) = read(folder / "table.csv").examples[0].marks
    assert mark.box is not None
    assert (mark.box.left, mark.box.top, mark.box.right, mark.box.bottom) == (0.1, 0.1, 0.5, 0.75)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"PK\x03\x04" + bytes(range(60)), "spreadsheet's own format"),
        (b"pictures/0.png\npictures/1.png\n", "got 1 columns"),
        (b"filename,width,height,class,xmin,ymin,xmax,ymax\npictures/0.png,0,0,Hund,1,1,2,2\n", "width and height"),
        (b'"' + b"x" * 200_000, "field larger"),
    ],
)
def test_what_is_no_such_table_is_told(folder: Path, data: bytes, said: str) -> None:
    (folder / "table.csv").write_bytes(data)
    with pytest.raises(InputError, match=said):
        read(folder / "table.csv")
