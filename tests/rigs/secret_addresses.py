"""Addresses of cameras with a secret in every form in which people write them."""

from __future__ import annotations

import json

HOST = "127.0.0.1:9"  # discard: nothing listens there
FORMS = {
    "plain": ("rtsp://cam:Secret1Plain@HOST/live", "Secret1Plain"),
    "at sign": ("rtsp://cam:Secret2@Sign@HOST/live", "Secret2@Sign"),
    "slash": ("rtsp://cam:Secret3/Slash@HOST/live", "Secret3/Slash"),
    "hash": ("rtsp://cam:Secret4#Hash@HOST/live", "Secret4#Hash"),
    "question mark": ("rtsp://cam:Secret5?Mark@HOST/live", "Secret5?Mark"),
    "space": ("rtsp://cam:Secret6 Space@HOST/live", "Secret6 Space"),
    "apostrophe": ("rtsp://cam:Secret7'Apostrophe@HOST/live", "Secret7'Apostrophe"),
    "quote": ('rtsp://cam:Secret8"Quote@HOST/live', 'Secret8"Quote'),
    "colon": ("rtsp://cam:Secret9:Colon@HOST/live", "Secret9:Colon"),
    "percent-encoded": ("rtsp://cam:Secret10%23Hash@HOST/live", "Secret10%23Hash"),
    "not ASCII": ("rtsp://cam:Secret11Schlüssel@HOST/live", "Secret11Schlüssel"),
    "without a user": ("rtsp://:Secret12Alone@HOST/live", "Secret12Alone"),
    "query": ("rtsp://HOST/live?user=cam&password=Secret13Query&channel=1", "Secret13Query"),
    "query with a space": ("rtsp://HOST/live?password=Secret14 Query&channel=1", "Secret14 Query"),
    "digits and slash": ("rtsp://cam:1234/Secret15@HOST/live", "1234/Secret15"),
}
"""form -> the address, with HOST for host and port, and the secret in it"""


def pieces(secret: str) -> set[str]:
    """The secret as it is, as others quote it, and each part of it that is told apart by a separator."""
    words = {word for separator in " /#?@:'\"" for word in secret.split(separator) if len(word) > 4}
    return {secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], *words}


def assert_hidden(secret: str, said: str) -> None:
    assert not [piece for piece in pieces(secret) if piece in said], said
