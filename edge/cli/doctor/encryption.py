"""Whether the state folder is encrypted, and whether its key is at hand."""

from __future__ import annotations

from collections.abc import Iterator

from edge.cli.doctor.finding import DoctorContext, Finding, Level
from edge.core.storage import keys as vault_keys
from edge.core.storage import vault


def encryption(context: DoctorContext) -> Iterator[Finding]:
    """Nothing is said where it is off and no key is set."""
    found = vault.state(context.state)
    vault.of(context.state)  # raises the error that is shown
    if found is not None:
        yield Finding(Level.OK, "encryption", f"what is stored is encrypted with key {found.key}")
    elif vault_keys.given():
        yield Finding(
            Level.NOTE, "encryption", "a storage key is set, and the state folder is not encrypted",
            "the key alone does nothing", "stop the daemon, then edge encryption on",
        )  # fmt: skip
