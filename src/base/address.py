"""Addresses of servers, as settings and flags have them: pure."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from base.errors import Misconfigured


def split_address(address: str) -> tuple[str, int]:
    """ "host:port" or "[v6]:port" in two; raises `Misconfigured` for anything else."""
    host, _, port = address.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65_535 or (":" in host and host[0] != "["):
        raise Misconfigured(f"address {address!r} is not host:port, such as 127.0.0.1:50051", reason="BAD_ADDRESS")
    return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    """Of a host name or an address in figures, brackets, zone and final dot or not: whether it is this machine's own.
    A name other than localhost may be anybody's."""
    host = host.strip("[]").rstrip(".").lower()
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def check_address(address: str) -> None:
    """For settings (`Meta(extra={"check": …})`): raises as `split_address` does."""
    split_address(address)


def check_address_or_none(address: str) -> None:
    """The same where empty means none."""
    if address:
        split_address(address)


def check_url_or_none(url: str) -> None:
    """For settings that hold the address of a web server; raises `Misconfigured`."""
    _check_url(url, ("http", "https"), "http://127.0.0.1:11434/v1")


def check_socket_or_none(url: str) -> None:
    """For settings that hold the address of a WebSocket server; raises `Misconfigured`."""
    _check_url(url, ("ws", "wss"), "ws://127.0.0.1:7880")


def _check_url(url: str, schemes: tuple[str, ...], example: str) -> None:
    if not url:
        return
    try:
        parts = urlsplit(url)
        good = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise Misconfigured(f"{url!r} is no address, such as {example}", reason="BAD_ADDRESS")
