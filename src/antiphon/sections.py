"""Every section of the configuration file and the type that it fills."""

from __future__ import annotations

from typing import Any

from antiphon.services import SERVICES
from antiphon.settings import ChatSettings, UpSettings


def sections() -> dict[str, type[Any]]:
    """In the order of the file. Imports the services' settings."""
    return {"up": UpSettings, **{s.section: s.settings() for s in SERVICES.values()}, "chat": ChatSettings}
