"""Under which addresses and names this machine is reached from its own network."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence

from antiphon.lan.authority import Address, is_private
from base.errors import Misconfigured

ELSEWHERE = ("192.0.2.1", "10.255.255.254", "172.31.255.254", "192.168.255.254", "100.127.255.254")
"""Addresses to ask the routing table about; nothing is sent to them."""


def lan_addresses(given: Sequence[str] = ()) -> tuple[Address, ...]:
    """Private IPv4 addresses of this machine, that of the default route first. `given` come before what is found.

    Raises Misconfigured where there is none, and for one given that is not private.
    """
    found: list[Address] = []
    for text in given:
        try:
            address = ipaddress.ip_address(text)
        except ValueError as error:
            raise Misconfigured(f"lan_addresses: {text!r} is no address", reason="BAD_ADDRESS") from error
        if not is_private(address):
            raise Misconfigured(
                f"lan_addresses: {text} is not a private address; for the open internet see docs/deployment.md",
                reason="BAD_ADDRESS",
            )
        found.append(address)
    found += [a for a in (_source(there) for there in ELSEWHERE) if a is not None]
    kept = tuple(dict.fromkeys(a for a in found if is_private(a) and (not a.is_loopback or str(a) in given)))
    if not kept:
        raise Misconfigured(
            "this machine has no private address that other devices could reach; is it in a network? "
            "--lan-addresses names one that was not found",
            reason="NO_LAN",
        )
    return kept


def lan_names(host: str) -> tuple[str, ...]:
    """HOST.local, by which mDNS (Bonjour, Avahi) finds this machine, and localhost."""
    label = re.sub(r"[^a-z0-9-]+", "-", host.partition(".")[0].lower()).strip("-")[:63] or "antiphon"
    return (f"{label}.local", "localhost")


def _source(there: str) -> Address | None:
    """The address that this machine would send from."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((there, 9))
            return ipaddress.ip_address(probe.getsockname()[0])
        except OSError:
            return None
