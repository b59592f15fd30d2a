"""The next free port."""

from __future__ import annotations

import errno
import socket

from base.errors import Misconfigured

TRIES = 50


def is_free(host: str, port: int, *, udp: bool = False) -> bool:
    """Whether a server could listen there now. Raises `Misconfigured` where the address itself is impossible."""
    wanted = socket.SOCK_DGRAM if udp else socket.SOCK_STREAM
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=wanted, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise Misconfigured(f"cannot listen on {host!r}: {error.strerror or error}", reason="BAD_ADDRESS") from error
    family, kind, protocol, _, where = found[0]
    with socket.socket(family, kind, protocol) as probe:
        if not udp:
            # As servers do it: what is left of a connection that was closed is not in the way.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(where)
            if not udp:
                probe.listen()
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise Misconfigured(f"cannot listen on {host}: {error.strerror}", reason="BAD_ADDRESS") from error
    return True


def any_free(host: str) -> int:
    """Whichever the system gives; another may take it before it is used."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host.strip("[]"), 0))
        port: int = probe.getsockname()[1]
        return port


def next_free(host: str, wanted: int, *, udp: bool = False) -> int:
    """`wanted` (0: whatever is free), or the next port above it that is free."""
    if wanted == 0:
        return 0
    for port in range(wanted, min(wanted + TRIES, 65_536)):
        if is_free(host, port, udp=udp):
            return port
    raise Misconfigured(
        f"ports {wanted} to {min(wanted + TRIES, 65_536) - 1} on {host} are all taken; name another with --port"
    )
