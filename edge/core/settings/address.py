"""The type of a setting that holds an address with credentials."""

from __future__ import annotations

import base64

from pydantic import SecretStr

from edge.core.credentials import AddressParts, encoded_address, masked_address, remember_address, split_address


class SecretAddress(SecretStr):
    """An address (URL, or a path where that is allowed) that may hold credentials; printed, they are masked.

    ``get_secret_value()`` is the address as it was written, ``encoded()`` as libraries take it.
    """

    def __init__(self, secret_value: str) -> None:
        super().__init__(secret_value.strip())
        remember_address(self._secret_value)

    def _display(self) -> str:
        return masked_address(self._secret_value)

    def __eq__(self, other: object) -> bool:
        """Also equal to the same address as text."""
        return self._secret_value == other if isinstance(other, str) else super().__eq__(other)

    __hash__ = SecretStr.__hash__

    def __bool__(self) -> bool:
        return bool(self._secret_value)

    @property
    def parts(self) -> AddressParts:
        return split_address(self._secret_value)

    @property
    def has_credentials(self) -> bool:
        return masked_address(self._secret_value) != self._secret_value

    def encoded(self) -> str:
        """With the user percent-encoded where it has to be; what is encoded already stays as it is."""
        return encoded_address(self._secret_value)

    def without_credentials(self) -> str:
        """Without the user. What stands in a query remains: the server wants it there."""
        parts = self.parts
        return f"{parts.scheme}{parts.rest}"

    def basic_authorization(self) -> str:
        """Value of the header ``Authorization`` (RFC 7617); empty where the address has no user."""
        parts = self.parts
        if parts.user is None:
            return ""
        return "Basic " + base64.b64encode(f"{parts.username}:{parts.password}".encode()).decode()
