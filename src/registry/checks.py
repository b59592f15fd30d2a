"""What can be said of a registry's settings without starting it, beyond their types."""

from __future__ import annotations

from base import rpc
from registry.settings import RegistrySettings


def check(settings: RegistrySettings) -> None:
    """Raises Misconfigured for what a registry would refuse."""
    rpc.read_token(settings.worker_token_file, host=settings.host)
