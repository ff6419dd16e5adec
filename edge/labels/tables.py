"""Tables of pictures and labels (CSV, TSV) as saved by spreadsheets and other tools.

Columns by position (``picture,label`` or ``picture,label,left,top,right,bottom``, fractions), or by the names in the
first line, in any order; with columns ``width`` and ``height`` boxes are in pixels (``xmin,ymin,xmax,ymax``).
Separated by ``,``, ``;``, tabs or ``|``, quoted with ``"`` or ``'``, line breaks within quotes, UTF-8 or UTF-16.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.core.errors import InputError
from edge.core.storage.buckets import Buckets
from edge.labels.examples import NEGATIVE, Annotation, Example, box_of, is_file_there, label_name
from edge.labels.ground_truth import MOST_LINE, located

SUFFIXES = (".csv", ".tsv", ".txt")
DELIMITERS = (",", ";", "\t", "|")
"""delimiters; with ';' the decimal separator may be a comma"""
PICTURES = frozenset(
    {"picture", "path", "image", "file", "filename", "file name", "file_name", "photo", "bild", "datei", "image_path",
     "imagepath", "image path", "filepath", "image_id", "url", "src", "name"}
)  # fmt: skip
"""headers of the picture column"""
LABELS = frozenset(
    {"label", "labels", "class", "classes", "tag", "tags", "category", "class_name", "classname", "target", "klasse",
     "etikett"}
)  # fmt: skip
"""headers of the label column"""
BOXES = (("left", "top", "right", "bottom"), ("xmin", "ymin", "xmax", "ymax"), ("x1", "y1", "x2", "y2"))
SIZE = ("width", "height")
MOST_HEAD = 4096
"""characters of the first line from which the dialect is detected"""
Cells = Sequence[str]


@dataclass(frozen=True, slots=True)
class Columns:
    """Column numbers of a table; None: by position."""

    picture: int = 0
    label: int = 1
    box: tuple[int, ...] = (2, 3, 4, 5)
    size: tuple[int, ...] = ()
    """columns of the picture's width and height for boxes in pixels; empty: boxes are fractions"""
    named: bool = False


@dataclass(frozen=True, slots=True)
class Dialect:
    """Delimiter and quoting of a file."""

    delimiter: str
    quote: str = '"'

    @staticmethod
    def of(line: str) -> Dialect:
        """Detect the dialect of a first line: the delimiter with an expected number of columns, else the most."""
        line = line[:MOST_HEAD]
        counts = {one: len(_cells(next(csv.reader([line], delimiter=one), []))) for one in DELIMITERS}
        delimiter = max(DELIMITERS, key=lambda one: (counts[one] in (2, 6), counts[one] > 1, -DELIMITERS.index(one)))
        quoted = re.match(r"\s*'[^']*'\s*(.)\s*'", line)
        return Dialect(delimiter, "'" if quoted and quoted[1] == delimiter else '"')


def rows(file: Path) -> Iterator[tuple[int, Example | InputError]]:
    """(line number, example) of a table; InputError for an unusable line. Raises InputError for a bad file."""
    lines = _Lines(file)
    columns: Columns | None = None
    for cells in lines.cells():
        if isinstance(cells, InputError):
            yield lines.number, cells
            continue
        row = _cells(cells)
        if not row:
            continue
        if columns is None:
            columns = _columns(row, file.parent)
            if columns is not None:
                continue
            columns = Columns()
        try:
            yield lines.number, _example(row, columns, file.parent, lines.decimal_comma)
        except InputError as error:
            yield lines.number, error
        except ValueError:
            yield lines.number, InputError("expected numbers after the label")


class _Lines:
    """The lines of a table, with the number of the last line read."""

    def __init__(self, file: Path) -> None:
        self.number = 0
        self.decimal_comma = False
        self._file = file

    def cells(self) -> Iterator[Cells | InputError]:
        lines = self._texts()
        first = next(lines, None)
        if first is not None and (told := re.fullmatch(r"sep=(.)\s*", first)):
            dialect = Dialect(told[1])
        elif first is not None:
            dialect, lines = Dialect.of(first), _with(first, lines)
        else:
            return
        self.decimal_comma = dialect.delimiter != ","
        reader = csv.reader(lines, delimiter=dialect.delimiter, quotechar=dialect.quote)
        while True:
            try:
                yield next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield InputError(f"is not CSV: {error}")

    def _texts(self) -> Iterator[str]:
        for number, text in text_lines(self._file):
            self.number = number
            yield text + "\n"


def _with(first: str, others: Iterator[str]) -> Iterator[str]:
    yield first
    yield from others


def _columns(row: Cells, base: Path) -> Columns | None:
    """The columns named by a header line; None if the line is data."""
    names = [cell.casefold() for cell in row]
    if is_file_there(base / row[0]) or (Path(row[0]).suffix and names[0] not in PICTURES):
        return None
    found = [next((i for i, name in enumerate(names) if name in words), None) for words in (PICTURES, LABELS)]
    if found[0] is None or found[1] is None or (len(row) == 2 and found == [0, 1]):
        return Columns()  # boxes may follow where only picture and label are named
    box = next((tuple(names.index(one) for one in four) for four in BOXES if set(four) <= set(names)), ())
    size = tuple(names.index(one) for one in SIZE) if box and set(SIZE) <= set(names) else ()
    return Columns(found[0], found[1], box, size, named=True)


def _example(row: Cells, columns: Columns, base: Path, decimal_comma: bool) -> Example:
    if columns.named and len(row) <= max(columns.picture, columns.label):
        raise InputError(f"expected the columns of the first line, got {len(row)}")
    if not columns.named and len(row) not in (2, 6):
        raise InputError(
            f"expected picture,label or picture,label,left,top,right,bottom, got {len(row)} columns "
            "(separated by ',', ';', tabs or '|'); or name the columns in the first line"
        )
    source, label = row[columns.picture], row[columns.label]
    path = located(source, base, Buckets({}))
    if "\\" in source and not is_file_there(path):
        path = located(source.replace("\\", "/"), base, Buckets({}))
    if label in ("", NEGATIVE):
        return Example(path, (), source)
    corners = [row[i] for i in columns.box if i < len(row)]
    numbers = [float(value.replace(",", ".") if decimal_comma else value) for value in corners if value]
    if columns.size and len(numbers) == 4:
        width, height = (float(row[i]) for i in columns.size)
        if not (width > 0 and height > 0):
            raise InputError("expected the picture's width and height in pixels, more than 0")
        numbers = [numbers[0] / width, numbers[1] / height, numbers[2] / width, numbers[3] / height]
    box = box_of(*numbers) if len(numbers) == 4 else None
    return Example(path, (Annotation(label_name(label), box),), source)


def _cells(row: Cells) -> list[str]:
    """Strip whitespace, and drop trailing empty cells after the label."""
    cells = [" ".join(cell.split("\n")).strip() for cell in row]
    while cells and not cells[-1] and (len(cells) > 2 or not any(cells)):
        cells.pop()
    return cells


def text_lines(file: Path) -> Iterator[tuple[int, str]]:
    """(number, text) of the lines that are not empty. Raises InputError for a file that is neither UTF-8 nor UTF-16."""
    try:
        with file.open(encoding=_encoding(file), errors="surrogateescape") as lines:
            number = 0
            while text := lines.readline(MOST_LINE + 2):
                number += 1
                if any(0xDC80 <= ord(character) <= 0xDCFF for character in text):
                    raise InputError(
                        f"{file}: line {number} is not UTF-8",
                        "save it as 'CSV UTF-8', or as UTF-8 text",
                        code="manifest",
                    )
                if text.strip():
                    yield number, text.rstrip("\n")
    except OSError as error:
        raise InputError(
            f"{file}: cannot be read: {error.strerror}", "check its owner and mode", code="unreadable"
        ) from error
    except UnicodeError as error:
        raise InputError(f"{file}: is not text: {error}", "save it as UTF-8 text", code="manifest") from error


def _encoding(file: Path) -> str:
    """Encoding by byte order mark, or by the zero bytes of UTF-16. Raises InputError for a spreadsheet file."""
    with file.open("rb") as opened:
        head = opened.read(64)
    if head[:4] == b"PK\x03\x04":
        raise InputError(f"{file}: is a spreadsheet's own format", "save it as 'CSV UTF-8'", code="manifest")
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    if len(head) >= 4 and not any(head[1:16:2]):
        return "utf-16-le"
    return "utf-16-be" if len(head) >= 4 and not any(head[0:16:2]) else "utf-8-sig"
