"""Errors, by what to do about them.

EdgeError                 has a message (what was expected, what came, where) and a hint (what to try)
├── SettingsError         the configuration breaks a rule
├── InputError            a picture, file or value from outside that cannot be used
│   └── SpaceError        embeddings of two spaces would meet
├── NotFoundError         a name that does not exist
├── ConflictError         a name that exists already, or a state folder that is in use
├── ModelError            a model or its card cannot be used
├── StoreError            what is kept on disk is damaged, full or read-only
├── TrustError            what was fetched is not what its owner signed: somebody may be tampering
├── ReleaseError          a release that is genuine and yet cannot be used here
└── TransientError        may work later: try again with a pause
    ├── SourceError       a camera or stream does not deliver
    │   └── AccessError   it refuses the user or the password
    ├── DeliveryError     the broker or the hub did not take a message
    ├── FetchError        a server or the network did not deliver a file
    ├── ClockError        the clock cannot be trusted yet
    └── BusyError         more work than fits: come back later
"""

from __future__ import annotations

from edge.core.credentials import mask_credentials


class EdgeError(Exception):
    """An error with a hint.

    ``message`` says what was expected, what came and where; ``hint`` what to try, an imperative sentence. Both are
    masked: errors reach logs, pages, topics and bug reports.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = mask_credentials(message)
        self.hint = mask_credentials(hint)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} (try: {self.hint})" if self.hint else self.message


class SettingsError(EdgeError):
    """The configuration breaks a rule."""


class InputError(EdgeError):
    """A picture, file or value from outside that cannot be used. ``code`` is a word for machines."""

    def __init__(self, message: str, hint: str = "", code: str = "invalid") -> None:
        super().__init__(message, hint)
        self.code = code


class SpaceError(InputError):
    """Embeddings of two spaces would meet."""


class NotFoundError(EdgeError):
    """A name that does not exist."""


class ConflictError(EdgeError):
    """A name that exists already, or a state folder that is in use."""


class ModelError(EdgeError):
    """A model or its card cannot be used."""


class StoreError(EdgeError):
    """What is kept on disk is damaged, full or read-only."""


class TrustError(EdgeError):
    """A fetched file has no valid signature of its owner: an alarm, not to be retried soon."""


class ReleaseError(EdgeError):
    """A release that is genuine and yet cannot be used here."""


class TransientError(EdgeError):
    """May work later."""


class SourceError(TransientError):
    """A camera or stream does not deliver."""


class AccessError(SourceError):
    """A camera refuses the user or the password: trying again soon may make it lock the address out."""


class DeliveryError(TransientError):
    """The broker or the hub did not take a message."""


class FetchError(TransientError):
    """A server or the network did not deliver a file."""


class ClockError(TransientError):
    """The clock cannot be trusted yet."""


class BusyError(TransientError):
    """Too much work is pending."""
