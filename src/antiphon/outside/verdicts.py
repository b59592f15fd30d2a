"""What to make of what was found: pure. A `Check` a path, with what to do where it fails."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from antiphon.checks import Check

WARN_DAYS = 14
"""Caddy renews a certificate of 90 days when 30 are left; one with less than this is not being renewed."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way of reaching a peer, as ICE has it. `protocol`: udp or tcp. `kind`: host, srflx, prflx or relay."""

    protocol: str
    address: str
    port: int
    kind: str
    url: str = ""
    """Of the TURN server behind a relay, where the SDK tells."""

    def words(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.protocol.upper()} {host}:{self.port}" + (" (relayed)" if self.kind == "relay" else "")


@dataclass(frozen=True, slots=True)
class Route:
    """How media went in a room: the pair that carried it, and all that both sides had to offer."""

    local: Candidate | None
    remote: Candidate | None
    locals: tuple[Candidate, ...] = ()
    remotes: tuple[Candidate, ...] = ()
    round_trip_s: float | None = None


def dns(host: str, addresses: Sequence[str], error: str = "") -> Check:
    if not addresses:
        return Check("DNS", False, f"{host}: {error}", f"make an A record of {host} with the host's public address")
    try:
        private = host != "localhost" and all(not ipaddress.ip_address(a).is_global for a in addresses)
    except ValueError:
        private = False
    note = "; an address of a private network, or of this machine" if private else ""
    return Check("DNS", True, ", ".join(addresses) + note)


def tcp(port: int, reached: Mapping[str, float], failed: Mapping[str, str]) -> Check:
    """`reached`: seconds by address; `failed`: why, by address."""
    good = [f"{address} in {seconds * 1000:.0f} ms" for address, seconds in reached.items()]
    bad = [f"{address}: {why}" for address, why in failed.items()]
    how = f"open port {port}/TCP in the host's and the provider's firewall, and see that caddy runs (docker compose ps)"
    if reached and failed:
        how = f"take the record of {', '.join(failed)} out of the DNS, or let port {port}/TCP in there as well"
    return Check(f"TCP {port}", not failed, "; ".join([*good, *bad]), how, needed=not reached)


def certificate(host: str, issuer: str, days: float, error: str = "") -> Check:
    if error:
        how = (
            "see `docker compose logs caddy`: port 80 must be open, and the DNS right; for a CA of your own, --ca FILE"
        )
        return Check("TLS", False, error, how)
    left = f"{days:.0f} days" if days >= 2 else f"{days * 24:.0f} hours"
    detail = f"by {issuer}, {left} left"
    how = "it is not being renewed: see `docker compose logs caddy`; port 80 must be reachable"
    # The local CA's are of 12 hours, and are always being renewed.
    short = days < WARN_DAYS and "Local Authority" not in issuer
    return Check("TLS", not short, detail, how, needed=False)


def plain(host: str, loopback: bool) -> Check:
    how = "put Caddy in front (docs/deployment.md), or `./antiphon up --lan` at home"
    detail = (
        "none, as it is on this machine" if loopback else "none: browsers give no microphone, and anybody can listen"
    )
    return Check("TLS", loopback, detail, how, needed=False)


def figures(status: int, loopback: bool) -> Check:
    hidden = status != 200 or loopback
    detail = {200: "served to everybody" if not loopback else "served on this machine"}.get(
        status, f"not served ({status})"
    )
    return Check("/metrics", hidden, detail, "the Caddyfile answers 404 there: is it the one of this version?", False)


def udp(route: Route) -> Check:
    """Of the route that media took by itself: UDP where it can."""
    remote = route.remote
    ports = sorted({c.port for c in route.remotes if c.protocol == "udp"})
    open_ = f"open {', '.join(f'{p}/UDP' for p in ports) or '7882/UDP'} in the host's and the provider's firewall"
    how = f"{open_}; and see that LiveKit tells an address that is reached from here (ANTIPHON_NODE_IP)"
    if remote is None or route.local is None:
        return Check("media, UDP", False, "the SDK did not tell which way media went", how, False)
    if remote.protocol != "udp" or route.local.kind == "relay":
        told = ", ".join(c.words() for c in route.remotes if c.protocol == "udp") or "no UDP address"
        return Check("media, UDP", False, f"media went by {_way(route)}; LiveKit told {told}", how, False)
    trip = f", {route.round_trip_s * 1000:.0f} ms there and back" if route.round_trip_s else ""
    return Check("media, UDP", True, f"{_way(route)}{trip}", needed=False)


def _way(route: Route) -> str:
    assert route.local is not None
    assert route.remote is not None
    via = f" over TURN {route.local.url}".rstrip() if route.local.kind == "relay" else ""
    return route.remote.words() + via


def tcp_media(port: int, reached: Mapping[str, str]) -> Check:
    """`reached`: of each address that LiveKit told, why its TCP port could not be connected to; empty: it could.

    Judged by a connection alone: the SDK can neither be made to send its media by TCP, nor does it tell of such ways.
    """
    good = [address for address, why in reached.items() if not why]
    if good:
        return Check("media, TCP", True, f"{', '.join(good)} takes connections on port {port}", needed=False)
    told = "; ".join(f"{address}: {why}" for address, why in reached.items()) or "LiveKit told no address"
    how = f"open port {port}/TCP in the firewalls (rtc.tcp_port of livekit.yaml; --media-tcp names another)"
    return Check("media, TCP", False, told, how, False)


def turn_servers(route: Route) -> tuple[str, ...]:
    """Those that LiveKit told of and that answered, as far as ICE's candidates tell."""
    return tuple(sorted({c.url or "a TURN server" for c in route.locals if c.kind == "relay"}))


def turn(servers: Sequence[str], relayed: Route | None, error: str = "") -> Check:
    """`relayed`: how media went when it might go by TURN alone; None: it did not, for `error`."""
    if relayed is None:
        how = "open 5349/TCP and 3478/UDP, and see that LiveKit has TURN's certificate (docs/deployment.md)"
        return Check("TURN", False, f"{', '.join(servers)}: {error}", how, False)
    used = relayed.local.url if relayed.local and relayed.local.url else ", ".join(servers)
    return Check("TURN", True, f"media went by {used}", needed=False)
