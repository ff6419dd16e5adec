"""Reads examples from one folder per label, a Ground Truth manifest, or CSV; lists unusable lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge.core.errors import InputError
from edge.core.imaging.folders import files_below, is_left_out
from edge.core.storage.buckets import Buckets
from edge.labels import tables
from edge.labels.examples import NEGATIVE, Annotation, Example, is_file_there, label_name
from edge.labels.ground_truth import parse

MOST_LABELS = 250
"""the limit of a Rekognition dataset"""
MOST_EXAMPLES = 100_000
MOST_INVALID = 0.2
"""maximum share of unusable lines"""


@dataclass(frozen=True, slots=True)
class Read:
    """Examples of a source."""

    examples: tuple[Example, ...]
    problems: tuple[str, ...] = ()
    """unusable lines: file, line number and reason"""


def read(source: Path, buckets: Mapping[str, Path] | None = None) -> Read:
    """The examples of a folder, a manifest or a CSV file. Raises InputError, as does ``checked``."""
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
            f"{where}: {len(found.problems)} of {total} lines are invalid, more than {MOST_INVALID:.0%}:\n  {shown}",
            "correct the lines named above",
            code="manifest",
        )
    if not found.examples:
        raise InputError(f"{where}: contains no examples", "create one subfolder of pictures per label", code="empty")
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
    parsed = tables.rows(file) if _is_table(file) else _manifest_rows(file, buckets)
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


def _is_table(file: Path) -> bool:
    """Whether a file is a table, by its name; ``.txt`` may also be a manifest of JSON lines."""
    if file.suffix.lower() not in tables.SUFFIXES:
        return False
    return not next((text for _, text in tables.text_lines(file)), "").lstrip().startswith("{")


def _manifest_rows(file: Path, buckets: Buckets) -> Iterator[tuple[int, Example | InputError]]:
    for number, text in tables.text_lines(file):
        try:
            yield number, parse(text, file.parent, buckets)
        except InputError as error:
            yield number, error


def _merged(examples: Iterable[Example]) -> list[Example]:
    """One example per picture: lines of the same picture are merged."""
    merged: dict[Path, Example] = {}
    for one in examples:
        before = merged.get(one.path)
        marks = one.marks if before is None else tuple(dict.fromkeys((*before.marks, *one.marks)))
        merged[one.path] = Example(one.path, marks, one.source)
    return list(merged.values())
