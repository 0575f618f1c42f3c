"""What the templates of this room are given."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import Request

from gesso.web.shell import NavItem

SECTIONS = (
    NavItem("Profile", "/settings", "user-round"),
    NavItem("Password", "/settings/password", "key-round"),
    NavItem("Sessions", "/settings/sessions", "monitor"),
)
"""The parts of Settings, in the order they stand beside the page."""
_KEYS = NavItem("Provider keys", "/settings/provider-keys", "plug")
_AGE = NavItem("Age", "/settings/age", "badge-check")


def sections(request: Request) -> tuple[NavItem, ...]:
    """The parts of Settings here; one's age is asked for only where adult models are offered, and own keys only where
    a plan has them."""
    found = (*SECTIONS, _KEYS) if request.app.state.own_keys() else SECTIONS
    return (*found, _AGE) if request.app.state.adult() else found


_BROWSERS = (
    ("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"), ("Chrome/", "Chrome"), ("Safari/", "Safari"), ("curl/", "curl"),
)  # fmt: skip
_SYSTEMS = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"),
    ("CrOS", "ChromeOS"), ("Mac OS X", "macOS"), ("Macintosh", "macOS"), ("Linux", "Linux"),
)  # fmt: skip


@dataclass(frozen=True)
class SessionView:
    """One session as its owner sees it. `ip` is "" when unknown."""

    id: UUID
    device: str
    icon: str
    ip: str
    created_at: datetime
    last_seen_at: datetime
    current: bool


def session_view(row: Mapping[str, Any], current: UUID) -> SessionView:
    """From a row of `repository.list_sessions`; `current` is the session that asks."""
    agent = row["user_agent"]
    return SessionView(
        id=row["id"],
        device=device(agent),
        icon="smartphone" if re.search(r"iPhone|iPad|Android|Mobile", agent) else "monitor",
        ip=row["ip"] or "",
        created_at=row["created_at"],
        last_seen_at=row["last_seen_at"],
        current=row["id"] == current,
    )


def device(user_agent: str) -> str:
    """ "Firefox on Linux" from a User-Agent header; its first word when neither part is known."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    if browser and system:
        return f"{browser} on {system}"
    program = re.match(r"[\w .+-]{1,40}", user_agent)
    return browser or system or (program[0].strip() if program else "") or "Unknown device"
