"""Queries of the hub: the state of the fleet, and events by time, device, camera, label and subject."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from edge.core import subjects
from edge.core.errors import InputError, SettingsError
from edge.core.storage import files
from edge.hub.databases import HubDatabase
from edge.hub.store import Document

PAGE = 5000
"""rows per query"""
WINDOWS = (1.0, 8.0, 64.0, 40_000.0)
"""days before now in which the latest event of a device is looked for, one window after the other"""
CHUNK = 400
"""devices per query"""
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Filter of events; empty or None: no restriction. Times are seconds since the epoch, ``until`` is exclusive."""

    device: str = ""
    camera: str = ""
    subject: str = ""
    label: str = ""
    type: str = ""
    since: float | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A stored event, as one flat row. Times are seconds since the epoch, ``similarity`` is a cosine."""

    device: str
    epoch: int
    seq: int
    type: str
    camera: str
    track: str
    label: str
    state: str
    subject: str | None
    similarity: float | None
    time: float
    started: float
    ended: float | None
    received: float


@dataclass(frozen=True, slots=True)
class DeviceState:
    """A device as last reported to the hub."""

    device: str
    online: bool | None
    """None: never reported"""
    release: str
    version: str
    phase: str
    """update phase of ``up/reported``"""
    desired: str
    problem: str
    """error of the last update"""
    backlog: int | None
    """events in its outbox"""
    lost: int | None
    """total of events dropped by its outbox"""
    cameras: dict[str, str]
    """camera -> its status"""
    last_event: float | None
    """seconds since the epoch"""
    heard: float | None
    """time of the last document, seconds since the epoch"""
    group: str = "all"
    temperature: float | None = None
    """degrees Celsius"""
    troubles: list[str] = field(default_factory=list)
    """of ``offline``, ``update`` (failed, or rolled back), ``camera`` (not live), ``lost`` (events), ``hot``"""


def events(
    database: HubDatabase, wanted: EventQuery, limit: int | None = None, *, latest: bool = False
) -> Iterator[Row]:
    """Events that match ``wanted``, oldest first; with ``latest`` newest first. ``limit``: at most so many."""
    after: tuple[object, ...] = ()
    while limit is None or limit > 0:
        page = min(PAGE, limit) if limit is not None else PAGE
        query, values = page_query(wanted, after, page, latest)
        with database.transaction(reading=True) as transaction:
            found = [Row(*row) for row in transaction.execute(query, values)]
        yield from found
        if len(found) < page:
            return
        limit = None if limit is None else limit - page
        last = found[-1]
        after = (last.time, last.device, last.epoch, last.seq)


def page_query(
    wanted: EventQuery, after: Sequence[object], page: int, latest: bool = False
) -> tuple[str, list[object]]:
    """Statement and values for the next ``page`` events after the key ``after`` (time, device, epoch, seq).

    Keyset pagination along an index, so the cost does not depend on the size of the table.
    """
    condition, values = _condition(wanted)
    columns = ", ".join(field.name for field in fields(Row))
    order, sign = ("DESC", "<") if latest else ("ASC", ">")
    past = f"AND (time, device, epoch, seq) {sign} (?, ?, ?, ?) " if after else ""
    query = f"SELECT {columns} FROM events WHERE {condition} {past}"  # noqa: S608 - only constant names
    query += f"ORDER BY time {order}, device {order}, epoch {order}, seq {order} LIMIT ?"
    return query, [*values, *after, page]


def _condition(wanted: EventQuery) -> tuple[str, list[object]]:
    parts, values = ["1 = 1"], []
    for name in ("device", "camera", "label", "type"):
        if value := getattr(wanted, name):
            parts.append(f"{name} = ?")
            values.append(value)
    if wanted.subject:
        forms = subjects.forms(wanted.subject)  # older devices report names that are not normalized
        parts.append(f"subject IN ({', '.join('?' * len(forms))})")
        values += forms
    for name, sign in (("since", ">="), ("until", "<")):
        if (moment := getattr(wanted, name)) is not None:
            parts.append(f"time {sign} ?")
            values.append(moment)
    return " AND ".join(parts), values


def fleet(database: HubDatabase) -> list[DeviceState]:
    """State of every device that has reported to the hub, sorted by name."""
    last = last_events(database)
    found: dict[str, dict[str, Any]] = {device: {} for device in last}
    heard: dict[str, float] = {}
    for one in documents(database):
        found.setdefault(one.device, {})[one.kind] = json.loads(one.body)
        heard[one.device] = max(one.received, heard.get(one.device, 0.0))
    return [device_state(name, found[name], last.get(name), heard.get(name)) for name in sorted(found)]


def documents(database: HubDatabase, since: float = float("-inf")) -> list[Document]:
    """The latest documents of all devices that were received at ``since`` (seconds since the epoch) or later."""
    query, values = "SELECT device, kind, body, received FROM documents", ()
    where = (f"{query} WHERE received >= ?", (since,)) if since > float("-inf") else (query, values)
    with database.transaction(reading=True) as transaction:
        return [Document(*row) for row in transaction.execute(*where)]


def last_events(database: HubDatabase) -> dict[str, float | None]:
    """Device -> time of its latest event, seconds since the epoch; None: it has sent documents alone.

    Looks into the newest partitions first: most devices have sent something lately.
    """
    with database.transaction(reading=True) as transaction:
        rows = transaction.execute("SELECT device FROM documents UNION SELECT device FROM marks")
        found: dict[str, float | None] = dict.fromkeys(device for (device,) in rows)
        now, until = time.time(), float("inf")
        for days in WINDOWS:
            since = now - days * 86400
            left = [device for device, moment in found.items() if moment is None]
            for start in range(0, len(left), CHUNK):
                part = left[start : start + CHUNK]
                found.update(transaction.execute(_last_query(len(part)), [since, until, *part]))
            until = since
    return found


def last_events_since(database: HubDatabase, since: float) -> dict[str, float]:
    """Device -> time of its latest event, of those with events after ``since`` (seconds since the epoch)."""
    with database.transaction(reading=True) as transaction:
        query = "SELECT device, max(time) FROM events WHERE time > ? GROUP BY device"
        return dict(transaction.execute(query, [since]))


def _last_query(count: int) -> str:
    """The latest event between two times of each of ``count`` devices."""
    named = " UNION ALL ".join(["SELECT CAST(? AS TEXT) AS device"] * count)
    one = "SELECT max(time) FROM events WHERE events.device = known.device AND time >= ? AND time < ?"
    return f"SELECT device, ({one}) FROM ({named}) AS known"  # noqa: S608 - only constant names


def device_state(device: str, documents: dict[str, Any], last_event: float | None, heard: float | None) -> DeviceState:
    """The state of a device. ``documents``: kind -> the latest document; times in seconds since the epoch."""
    info, stats, reported = (documents.get(kind, {}) for kind in ("info", "stats", "reported"))
    outbox, cameras = stats.get("outbox", {}), stats.get("cameras", {})
    online = documents["status"]["online"] if "status" in documents else None
    found = {
        "offline": online is False,
        "update": reported.get("phase") in ("failed", "rolled_back"),
        "camera": any(one.get("status") not in ("live", "", None) for one in cameras.values()),
        "lost": bool(outbox.get("lost")),
        "hot": bool(stats.get("throttled")) or bool(stats.get("shed", {}).get("level")),
    }
    return DeviceState(
        device=device,
        online=online,
        release=reported.get("release") or info.get("release", ""),
        version=info.get("version", ""),
        phase=reported.get("phase", ""),
        desired=reported.get("desired", ""),
        problem=reported.get("error", ""),
        backlog=outbox.get("waiting"),
        lost=outbox.get("lost"),
        cameras={name: camera.get("status", "") for name, camera in cameras.items()},
        last_event=last_event,
        heard=heard,
        group=reported.get("group") or "all",
        temperature=stats.get("temperature"),
        troubles=[name for name, is_so in found.items() if is_so],
    )


def reported(database: HubDatabase) -> dict[str, dict[str, Any]]:
    """Device -> its last ``up/reported``."""
    with database.transaction(reading=True) as transaction:
        rows = transaction.execute("SELECT device, body FROM documents WHERE kind = 'reported'")
    return {device: json.loads(body) for device, body in rows}


def moment(text: str, now: float | None = None) -> float:
    """Seconds since the epoch of ``2h``, ``3d`` (ago), ``2026-11-22``, ``2026-11-22 13:00`` or a number of seconds.

    Raises InputError.
    """
    now = time.time() if now is None else now
    if ago := re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text):
        return now - float(ago[1]) * UNITS[ago[2]]
    if re.fullmatch(r"\d{9,}(\.\d+)?", text):
        return float(text)
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError as error:
        raise InputError(
            f"time: expected 2h, 3d or 2026-11-22 13:00, got {text[:40]!r}", "use one of these forms"
        ) from error


def write_csv(path: Path, rows: Iterator[Row]) -> int:
    """Write ``rows`` as CSV, atomically. Returns the number of rows."""
    count = 0
    with files.replacing(path, 0o644) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        writer = csv.writer(text)
        writer.writerow([field.name for field in fields(Row)])
        for row in rows:
            writer.writerow([_cell(value) for value in asdict(row).values()])
            count += 1
        text.flush()
        text.detach()
    return count


def _cell(value: object) -> object:
    """Quote text that a spreadsheet would evaluate as a formula (CSV injection)."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def write_parquet(path: Path, rows: Iterator[Row]) -> int:
    """Write ``rows`` as Parquet, atomically. Returns the number of rows.

    Raises SettingsError where pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise SettingsError(
            "Parquet needs pyarrow, which is not installed", "pip install 'rekognition-edge[hub]'"
        ) from error
    kinds = {"int": pa.int64(), "float": pa.float64(), "float | None": pa.float64()}
    schema = pa.schema([(field.name, kinds.get(str(field.type), pa.string())) for field in fields(Row)])
    count = 0
    with files.replacing(path, 0o644) as file, parquet.ParquetWriter(file, schema) as writer:
        for page in _pages(rows):
            writer.write_table(pa.Table.from_pylist([asdict(row) for row in page], schema=schema))
            count += len(page)
    return count


def _pages(rows: Iterator[Row]) -> Iterator[Sequence[Row]]:
    page: list[Row] = []
    for row in rows:
        page.append(row)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page
