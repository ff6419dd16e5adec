"""A card as a TOML table, and that as text."""

from __future__ import annotations

import json
import re
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from edge.inference.card import Card


def to_table(card: Card) -> dict[str, Any]:
    """The card as a TOML table that ``parse_card`` reads back; labels inline, defaults left out."""
    table = _told(card)
    if card.decoder:
        for key in ("width", "height", "labels_file"):
            table["decoder"].pop(key, None)
    return table


def dumps(table: dict[str, Any]) -> str:
    """TOML that reads back as ``table``: plain keys first, then a section for each table in it."""
    plain = [f"{_key(key)} = {_value(item)}" for key, item in table.items() if not isinstance(item, dict)]
    return "\n".join([*plain, *_sections(table, ())]) + "\n"


def _sections(table: dict[str, Any], path: tuple[str, ...]) -> list[str]:
    lines: list[str] = []
    for key, item in table.items():
        if isinstance(item, dict):
            here = (*path, key)
            lines += ["", f"[{'.'.join(_key(part) for part in here)}]"]
            lines += [f"{_key(k)} = {_value(v)}" for k, v in item.items() if not isinstance(v, dict)]
            lines += _sections(item, here)
    return lines


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _value(item: Any) -> str:
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, str):
        return _text(item)
    if isinstance(item, list | tuple):
        return f"[{', '.join(_value(part) for part in item)}]"
    if isinstance(item, dict):
        return f"{{{', '.join(f'{_key(key)} = {_value(part)}' for key, part in item.items())}}}"
    return repr(item)


def _text(text: str) -> str:
    """A JSON string is a TOML string, but for DEL and the halves of a pair, which JSON writes and TOML refuses."""
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return json.dumps(whole, ensure_ascii=False).replace("\x7f", "\\u007f")


def _told(value: Any) -> dict[str, Any]:
    told = {}
    for key in fields(value):
        item = getattr(value, key.name)
        default = key.default if key.default is not MISSING else None
        if item is None or (item == default and default is not None) or item in ((), {}, ""):
            continue
        told[key.name] = _plain(item)
    return told


def _plain(item: Any) -> Any:
    if is_dataclass(item):
        return _told(item)
    if isinstance(item, tuple | list):
        return [_plain(part) for part in item]
    if isinstance(item, dict):
        return {key: _plain(part) for key, part in item.items()}
    return item
