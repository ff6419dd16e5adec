"""Mapping of the error classes of ``edge.core.errors`` to Rekognition's exceptions and HTTP statuses.

Clients choose the exception class by ``__type`` alone; Rekognition returns 400 for every error that is not internal.
"""

from __future__ import annotations

from edge.core.errors import (
    BusyError,
    ConflictError,
    EdgeError,
    InputError,
    ModelError,
    NotFoundError,
    SettingsError,
    StoreError,
    TransientError,
)

STATUS = {"InternalServerError": 500, "NotImplementedException": 501}
"""all other names have status 400"""

NO_FACES = "There are no faces in the image. Should be at least 1."
UNKNOWN_FACE = "faceId was not found in the collection."

BY_CODE = {
    "incomplete": ("RequestTimeoutException", "The request body did not arrive."),
    "too_large": ("ImageTooLargeException", "Image size is too large."),
    "empty": ("InvalidImageFormatException", "Request has invalid image format."),
    "truncated": ("InvalidImageFormatException", "Request has invalid image format."),
    "unsupported": ("InvalidImageFormatException", "Request has invalid image format."),
}
"""InputError.code -> (name, message)"""

SIGNATURE_ERRORS = {
    "missing": "MissingAuthenticationTokenException",
    "incomplete": "IncompleteSignatureException",
    "unknown_key": "UnrecognizedClientException",
    "mismatch": "InvalidSignatureException",
    "expired": "InvalidSignatureException",
    "repeated": "InvalidSignatureException",
}
"""SignatureError.reason -> name"""
COME_BACK = frozenset({"ProvisionedThroughputExceededException", "ThrottlingException", "RequestTimeoutException"})
"""nothing was changed, and the same request may succeed later"""

BY_CLASS: tuple[tuple[type[EdgeError], str], ...] = (
    (BusyError, "ProvisionedThroughputExceededException"),
    (TransientError, "ThrottlingException"),
    (InputError, "InvalidParameterException"),
    (NotFoundError, "ResourceNotFoundException"),
    (ConflictError, "ResourceInUseException"),
    (SettingsError, "NotImplementedException"),  # not configured on this device: retries do not help
    (ModelError, "InternalServerError"),
    (StoreError, "InternalServerError"),
    (EdgeError, "InternalServerError"),
)
"""the first matching class counts"""


class ApiError(Exception):
    """An error response: ``name`` becomes ``__type``."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message

    @property
    def status(self) -> int:
        return STATUS.get(self.name, 400)


def translated(error: EdgeError) -> ApiError:
    """The response to an EdgeError. Details of internal errors are logged, not sent to the client."""
    if isinstance(error, InputError) and error.code in BY_CODE:
        return ApiError(*BY_CODE[error.code])
    name = next(name for kind, name in BY_CLASS if isinstance(error, kind))
    inside = name == "InternalServerError"
    return ApiError(name, "Internal server error" if inside else str(error))
