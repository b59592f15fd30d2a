"""What a livekit-server of ours is told: pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ports:
    """`signal` serves WebSocket and HTTP; media comes by one UDP port."""

    signal: int
    udp: int


def config(ports: Ports, key: str, secret: str, *, host: str = "127.0.0.1", log_level: str = "info") -> str:
    """LiveKit's configuration (YAML) for one machine: it listens on `host` alone, and asks nobody on the Internet for
    its address. There is no TCP for media: LiveKit would listen for that on every address.
    """
    return f"""\
port: {ports.signal}
bind_addresses: ["{host}"]
rtc:
  udp_port: {ports.udp}
  tcp_port: 0
  node_ip: "{host}"
  ips:
    includes: ["{host}/32"]
  use_external_ip: false
  enable_loopback_candidate: true
  stun_servers: []
keys:
  "{key}": "{secret}"
room:
  departure_timeout: 20
logging:
  level: {log_level}
  json: true
"""
