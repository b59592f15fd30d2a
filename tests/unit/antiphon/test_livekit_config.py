"""What a livekit-server of ours is told."""

from __future__ import annotations

import pytest

from antiphon.livekit_config import Ports, config

pytestmark = pytest.mark.unit


def test_it_is_reached_on_loopback_alone_and_asks_nobody_outside() -> None:
    text = config(Ports(7890, 7892), "APIkey", "secret")
    lines = [line.strip() for line in text.splitlines()]
    assert 'bind_addresses: ["127.0.0.1"]' in lines
    assert 'node_ip: "127.0.0.1"' in lines
    assert "use_external_ip: false" in lines
    assert "stun_servers: []" in lines
    assert {"port: 7890", "tcp_port: 0", "udp_port: 7892"} <= set(lines)
    assert '"APIkey": "secret"' in lines
