"""What an operator can set on a registry; read once, by whoever starts it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    host: Annotated[str, Meta(description="Address to serve gRPC on.")] = "127.0.0.1"
    port: Annotated[int, Meta(description="Port to serve on; 0 picks a free one.", ge=0, le=65535)] = 50050
    worker_token_file: Annotated[
        str,
        Meta(description="File with the token that all services share; needed to serve others than this machine."),
    ] = ""
    max_ttl_s: Annotated[float, Meta(description="Longest lease that a worker gets.", ge=1)] = 120.0
    max_workers: Annotated[int, Meta(description="Workers at once; one more is refused.", ge=1)] = 4096
    drain_s: Annotated[float, Meta(description="How long open calls may finish at shutdown.", ge=0)] = 1.0
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Meta(description="How much is logged.")] = "info"
