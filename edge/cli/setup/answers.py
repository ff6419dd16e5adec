"""Answers of the owner, as changes to the settings."""

from __future__ import annotations

import secrets
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PAGES = ("off", "local", "network")
"""access to the page: disabled, this device only, or the network with a token"""
KEY_ID = "OWNER"


@dataclass
class Answers:
    """Answers to the questions; None: not asked, or unchanged."""

    name: str | None = None
    broker: str | None = None
    username: str | None = None
    password: str | None = None
    homeassistant: bool | None = None
    cameras: dict[str, str] = field(default_factory=dict)
    """name -> source"""
    page: str | None = None
    """one of ``PAGES``"""
    token: str = ""
    """token for browsers, where the page is open to the network"""
    pictures: Path | None = None
    """pictures to enroll: a file or a folder"""
    subject: str | None = None
    """subject in the pictures; None: one subfolder per person"""

    def values(self) -> dict[str, Any]:
        """Section -> key -> value, without secrets; ``cameras`` is a list of tables."""
        sections: dict[str, Any] = {
            "device": {"name": self.name},
            "mqtt": {"host": self.broker, "username": self.username or None},
            "homeassistant": {"enabled": self.homeassistant},
            "api": {
                "enabled": None if self.page is None else self.page != "off",
                "host": {"network": "0.0.0.0", "local": "127.0.0.1"}.get(self.page or ""),  # noqa: S104  # chosen
            },
            "cameras": [{"name": name, "source": source} for name, source in self.cameras.items()],
        }
        sections_set = {
            name: {key: value for key, value in section.items() if value is not None}
            for name, section in sections.items()
            if name != "cameras"
        }
        return {name: section for name, section in {**sections_set, "cameras": sections["cameras"]}.items() if section}

    def secrets(self, has_keys: bool, has_token: bool) -> dict[str, str]:
        """Credential -> its content. ``has_keys``, ``has_token``: whether the settings have api.keys and page.token."""
        found = {"mqtt-password": self.password or ""}
        if self.page == "network":
            if not has_keys:
                found["api-keys"] = f"{KEY_ID} {secrets.token_urlsafe(24)}"
            if not has_token:
                self.token = self.token or secrets.token_urlsafe(9)
                found["page-token"] = self.token
        return {name: text for name, text in found.items() if text}

    def command(self, path: Path) -> str:
        """The command that resumes setup with these answers; it prompts for passwords again."""
        words = ["edge", "--config", str(path), "setup"]
        for option, answer in (
            ("--name", self.name), ("--broker", self.broker), ("--username", self.username), ("--page", self.page),
            ("--enroll", self.pictures), ("--subject", self.subject),
        ):  # fmt: skip
            words += [option, str(answer)] if answer else []
        for name, source in self.cameras.items():
            words += ["--camera", f"{name}={source}"]
        if self.homeassistant is not None:
            words.append("--home-assistant" if self.homeassistant else "--no-home-assistant")
        return shlex.join(words)
