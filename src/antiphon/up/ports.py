"""The next free port."""

from __future__ import annotations

import errno
import socket

from base.errors import Misconfigured

TRIES = 50


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now. Raises `Misconfigured` where the address itself is impossible."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise Misconfigured(f"cannot listen on {host!r}: {error.strerror or error}", reason="BAD_ADDRESS") from error
    family, kind, protocol, _, where = found[0]
    with socket.socket(family, kind, protocol) as probe:
        # As servers do it: what is left of a connection that was closed is not in the way.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(where)
            probe.listen()
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise Misconfigured(f"cannot listen on {host}: {error.strerror}", reason="BAD_ADDRESS") from error
    return True


def next_free(host: str, wanted: int) -> int:
    """`wanted` (0: whatever is free), or the next port above it that is free."""
    if wanted == 0:
        return 0
    for port in range(wanted, min(wanted + TRIES, 65_536)):
        if is_free(host, port):
            return port
    raise Misconfigured(
        f"ports {wanted} to {min(wanted + TRIES, 65_536) - 1} on {host} are all taken; name another with --port"
    )
