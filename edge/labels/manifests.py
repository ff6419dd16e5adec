"""Examples from a folder a label, a Ground Truth manifest, or CSV; what cannot be used is told with its place."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.core.errors import InputError
from edge.core.imaging.folders import files_below, is_left_out
from edge.core.storage.buckets import Buckets
from edge.labels.examples import NEGATIVE, Annotation, Example, box_of, is_file_there, label_name
from edge.labels.ground_truth import MOST_LINE, located, parse

MOST_LABELS = 250
"""a dataset of Rekognition has no more either"""
MOST_EXAMPLES = 100_000
MOST_INVALID = 0.2
"""share of lines that may be unusable"""


@dataclass(frozen=True, slots=True)
class Read:
    """What a source of examples held."""

    examples: tuple[Example, ...]
    problems: tuple[str, ...] = ()
    """lines that could not be used, each with its place"""


def read(source: Path, buckets: Mapping[str, Path] | None = None) -> Read:
    """The examples of a folder, a manifest or a CSV file. Raises InputError where too little of it can be used."""
    if source.is_dir():
        found = Read(tuple(_of_folder(source)))
    elif source.is_file():
        found = _of_lines(source, Buckets(buckets or {}))
    else:
        raise InputError(f"{source}: there is no such file or folder", "check the path", code="unreadable")
    return checked(found, str(source))


def checked(found: Read, where: str) -> Read:
    """``found`` itself. Raises InputError for nothing, too many unusable lines, or too many labels or examples."""
    total = len(found.examples) + len(found.problems)
    if found.problems and len(found.problems) > MOST_INVALID * total:
        shown = "\n  ".join(found.problems[:5])
        raise InputError(
            f"{where}: {len(found.problems)} of {total} lines cannot be used, more than {MOST_INVALID:.0%}:\n  {shown}",
            "correct the lines named above",
            code="manifest",
        )
    if not found.examples:
        raise InputError(f"{where}: holds no examples", "give it a folder of pictures for each label", code="empty")
    if len(found.examples) > MOST_EXAMPLES:
        raise InputError(f"{where}: expected at most {MOST_EXAMPLES} examples", "train with fewer", code="too_many")
    count = len({label for example in found.examples for label in example.labels})
    if count > MOST_LABELS:
        raise InputError(f"{where}: expected at most {MOST_LABELS} labels, got {count}", "split them", code="too_many")
    return found


def _of_folder(folder: Path) -> Iterator[Example]:
    for below in sorted(path for path in folder.iterdir() if path.is_dir() and not is_left_out(path.name)):
        marks = () if below.name == NEGATIVE else (Annotation(label_name(below.name)),)
        for file in files_below(below):
            yield Example(file, marks, str(file.relative_to(folder)))


def _of_lines(file: Path, buckets: Buckets) -> Read:
    examples: list[Example] = []
    problems: list[str] = []
    parsed = _csv_rows(file) if file.suffix.lower() == ".csv" else _manifest_rows(file, buckets)
    for number, one in parsed:
        if isinstance(one, InputError):
            problems.append(f"{file.name}:{number}: {one.message}")
        elif not is_file_there(one.path):
            problems.append(f"{file.name}:{number}: there is no picture {one.source[:200]}")
        else:
            examples.append(one)
        if len(examples) + len(problems) > MOST_EXAMPLES:
            break
    return Read(tuple(_merged(examples)), tuple(problems))


def _manifest_rows(file: Path, buckets: Buckets) -> Iterator[tuple[int, Example | InputError]]:
    for number, text in _lines(file):
        try:
            yield number, parse(text, file.parent, buckets)
        except InputError as error:
            yield number, error


HEADERS = frozenset(
    {"picture", "path", "image", "file", "filename", "file name", "file_name", "photo", "bild", "datei"}
)
"""words that head the column of pictures"""
DELIMITERS = (",", ";", "\t")
"""what spreadsheets put between columns: ';' where the decimal sign is a comma"""


def _csv_rows(file: Path) -> Iterator[tuple[int, Example | InputError]]:
    """``picture,label`` or ``picture,label,left,top,right,bottom`` (fractions); a header is passed.

    As spreadsheets save it: separated by ``,``, ``;`` or tabs, UTF-8 or UTF-16, empty columns at the end.
    """
    delimiter, first = "", True
    for number, text in _lines(file):
        if first and (told := re.fullmatch(r"sep=(.)\s*", text)):
            delimiter = told[1]
            continue
        try:
            delimiter = delimiter or _delimiter(text)
            row = _cells(next(csv.reader([text], delimiter=delimiter), []))
            if row and not (first and _is_header(row, file.parent)):
                yield number, _row(row, file.parent, decimal_comma=delimiter != ",")
        except InputError as error:
            yield number, error
        except ValueError:
            yield number, InputError("expected numbers after the label")
        except csv.Error as error:
            yield number, InputError(f"is not CSV: {error}")
        first = False


def _delimiter(text: str) -> str:
    """What separates the columns of the first line: the one that gives as many as expected, else the most."""
    counts = {one: len(_cells(next(csv.reader([text], delimiter=one), []))) for one in DELIMITERS}
    return max(DELIMITERS, key=lambda one: (counts[one] in (2, 6), counts[one] > 1, -DELIMITERS.index(one)))


def _cells(row: Sequence[str]) -> list[str]:
    """Without the space around them, and without the empty ones at the end past the label."""
    cells = [cell.strip() for cell in row]
    while cells and not cells[-1] and (len(cells) > 2 or not any(cells)):
        cells.pop()
    return cells


def _is_header(row: Sequence[str], base: Path) -> bool:
    """The first line names its columns where it names no picture."""
    known = row[0].lower() in HEADERS
    return (known or not Path(row[0]).suffix) and not is_file_there(base / row[0])


def _row(row: Sequence[str], base: Path, decimal_comma: bool) -> Example:
    if len(row) not in (2, 6):
        raise InputError(
            f"expected picture,label or picture,label,left,top,right,bottom, got {len(row)} columns "
            "(separated by ',', ';' or tabs)"
        )
    path = located(row[0], base, Buckets({}))
    if row[1] in ("", NEGATIVE):
        return Example(path, (), row[0])
    numbers = [value.replace(",", ".") if decimal_comma else value for value in row[2:]]
    box = box_of(*(float(value) for value in numbers)) if len(row) == 6 else None
    return Example(path, (Annotation(label_name(row[1]), box),), row[0])


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """The lines that hold something, by number. Raises InputError for a file that is neither UTF-8 nor UTF-16."""
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
        raise InputError(f"{file}: cannot be read: {error.strerror}", "check its owner", code="unreadable") from error
    except UnicodeError as error:
        raise InputError(f"{file}: is not text: {error}", "save it as UTF-8 text", code="manifest") from error


def _encoding(file: Path) -> str:
    """By the mark that some programs begin a file with."""
    with file.open("rb") as opened:
        head = opened.read(4)
    return "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def _merged(examples: Iterable[Example]) -> list[Example]:
    """One example a picture: several lines of one picture are several marks of it."""
    merged: dict[Path, Example] = {}
    for one in examples:
        before = merged.get(one.path)
        marks = one.marks if before is None else tuple(dict.fromkeys((*before.marks, *one.marks)))
        merged[one.path] = Example(one.path, marks, one.source)
    return list(merged.values())
