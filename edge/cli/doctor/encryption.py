"""Check of encryption at rest and its key."""

from __future__ import annotations

from collections.abc import Iterator

from edge.cli.doctor.finding import DoctorContext, Finding, Level
from edge.core.storage import keys as vault_keys
from edge.core.storage import vault


def encryption(context: DoctorContext) -> Iterator[Finding]:
    """Check the key of an encrypted state folder; no finding where encryption is off and no key is set."""
    found = vault.state(context.state)
    vault.of(context.state)  # raises EdgeError, which becomes a finding
    if found is not None:
        yield Finding(Level.OK, "encryption", f"the state folder is encrypted with key {found.key}")
    elif vault_keys.given():
        yield Finding(
            Level.NOTE, "encryption", "a storage key is set, but the state folder is not encrypted",
            "the key is not used", "stop the daemon, then edge encryption on",
        )  # fmt: skip
