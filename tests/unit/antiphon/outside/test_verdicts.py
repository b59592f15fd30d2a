"""What doctor makes of what it found outside."""

from __future__ import annotations

import pytest

from antiphon.outside.media import named
from antiphon.outside.verdicts import (
    Candidate,
    Route,
    certificate,
    dns,
    figures,
    plain,
    tcp,
    tcp_media,
    turn,
    turn_servers,
    udp,
)

pytestmark = pytest.mark.unit

HERE = Candidate("udp", "192.168.1.20", 50_000, "host")
UDP = Candidate("udp", "203.0.113.7", 7882, "host")
TCP = Candidate("tcp", "203.0.113.7", 7881, "host")
RELAY = Candidate("udp", "203.0.113.7", 30_001, "relay", "turns:turn.example:5349?transport=tcp")


def test_a_name_without_an_address_needs_a_record() -> None:
    check = dns("talk.example", [], "Name or service not known")
    assert not check.ok
    assert check.needed
    assert "Name or service not known" in check.detail
    assert "A record of talk.example" in check.help


def test_a_private_address_is_told() -> None:
    assert "private" in dns("talk.example", ["10.0.0.7"]).detail
    assert "private" not in dns("talk.example", ["8.8.8.8", "10.0.0.7"]).detail
    assert "private" not in dns("localhost", ["127.0.0.1"]).detail


def test_one_address_of_two_is_a_flaw_and_none_is_a_failure() -> None:
    check = tcp(443, {"8.8.8.8": 0.012}, {"2001:db8::1": "no answer"})
    assert (check.ok, check.needed) == (False, False)
    assert "12 ms" in check.detail
    assert "2001:db8::1" in check.help
    check = tcp(443, {}, {"8.8.8.8": "connection refused"})
    assert (check.ok, check.needed) == (False, True)
    assert "443/TCP" in check.help
    assert tcp(443, {"8.8.8.8": 0.1}, {}).ok


def test_a_certificate_that_runs_out_is_told_before_it_has() -> None:
    assert certificate("talk.example", "Let's Encrypt R11", 61.4).ok
    old = certificate("talk.example", "Let's Encrypt R11", 5.0)
    assert (old.ok, old.needed) == (False, False)
    assert "5 days left" in old.detail
    assert certificate("localhost", "Caddy Local Authority - ECC Intermediate", 0.4).ok
    broken = certificate("talk.example", "", 0, "certificate has expired")
    assert (broken.ok, broken.needed) == (False, True)


def test_without_tls_only_this_machine_is_safe() -> None:
    assert plain("localhost", loopback=True).ok
    assert not plain("talk.example", loopback=False).ok
    assert "microphone" in plain("talk.example", loopback=False).detail


def test_figures_are_nobodys_business_outside() -> None:
    assert figures(404, loopback=False).ok
    assert figures(401, loopback=False).ok
    assert figures(200, loopback=True).ok
    assert not figures(200, loopback=False).ok


def test_udp_is_what_media_should_have_gone_by() -> None:
    good = udp(Route(HERE, UDP, (HERE,), (UDP, TCP), 0.023))
    assert good.ok
    assert good.detail == "UDP 203.0.113.7:7882, 23 ms there and back"
    by_tcp = udp(Route(Candidate("tcp", "192.168.1.20", 9, "host"), TCP, (), (UDP, TCP)))
    assert not by_tcp.ok
    assert "media went by TCP 203.0.113.7:7881" in by_tcp.detail
    assert "LiveKit told UDP 203.0.113.7:7882" in by_tcp.detail
    assert "7882/UDP" in by_tcp.help
    relayed = udp(Route(RELAY, UDP, (RELAY,), (UDP,)))
    assert not relayed.ok
    assert "TURN turns:turn.example" in relayed.detail
    assert not udp(Route(None, None)).ok


def test_tcp_is_judged_by_a_connection() -> None:
    good = tcp_media(7881, {"172.30.77.10": "no answer", "203.0.113.7": ""})
    assert good.ok
    assert "172.30" not in good.detail
    closed = tcp_media(7881, {"203.0.113.7": "connection refused"})
    assert not closed.ok
    assert "7881/TCP" in closed.help
    assert "told no address" in tcp_media(7881, {}).detail


def test_an_address_that_the_sdk_hides_is_the_one_that_was_told() -> None:
    hidden = Candidate("udp", "", 7882, "prflx")
    six = Candidate("udp", "2001:db8::7", 7882, "host")
    assert named(hidden, (hidden, six, TCP, UDP)).address == UDP.address
    assert named(hidden, (hidden, six)).address == six.address
    assert named(hidden, (hidden, TCP)) == hidden
    assert named(UDP, (UDP, six)) == UDP


def test_turn_is_asked_after_only_where_there_is_some() -> None:
    assert turn_servers(Route(HERE, UDP, (HERE,), (UDP,))) == ()
    servers = turn_servers(Route(HERE, UDP, (HERE, RELAY, RELAY), (UDP,)))
    assert servers == (RELAY.url,)
    assert turn(servers, Route(RELAY, UDP)).ok
    failed = turn(servers, None, "joining failed")
    assert (failed.ok, failed.needed) == (False, False)
    assert RELAY.url in failed.detail
