"""The authority and what it vouches for."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from antiphon.lan.addresses import lan_names
from antiphon.lan.authority import (
    AUTHORITY_LIFE,
    AUTHORITY_SPARE,
    BEFORE,
    LIFE,
    SPARE,
    authority_fits,
    fingerprint,
    is_private,
    make_authority,
    make_server,
    server_fits,
)

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 27, tzinfo=UTC)
NAMES = ("pc.local", "localhost")
AT = (ipaddress.ip_address("192.168.1.10"), ipaddress.ip_address("10.0.0.3"))
ELSEWHERE = (ipaddress.ip_address("192.168.1.11"),)


def test_a_server_is_vouched_for_as_long_as_it_fits() -> None:
    authority = make_authority("pc", NOW)
    server = make_server(authority, NAMES, AT, NOW)
    ends = NOW - BEFORE + LIFE
    assert server_fits(server, authority, NAMES, AT, NOW)
    assert server_fits(server, authority, NAMES, AT[:1], NOW)
    assert server_fits(server, authority, NAMES, AT, ends - SPARE)
    assert not server_fits(server, authority, NAMES, AT, ends - SPARE + timedelta(seconds=1))
    assert not server_fits(server, authority, NAMES, AT, NOW - 2 * BEFORE)
    assert not server_fits(server, authority, (*NAMES, "mac.local"), AT, NOW)
    assert not server_fits(server, authority, NAMES, (*AT, *ELSEWHERE), NOW)
    other = make_authority("pc", NOW)
    assert not server_fits(server, other, NAMES, AT, NOW)
    mixed = type(server)(server.certificate, other.key)
    assert not server_fits(mixed, authority, NAMES, AT, NOW)


def test_an_authority_outlives_what_it_signs() -> None:
    authority = make_authority("pc", NOW)
    ends = NOW - BEFORE + AUTHORITY_LIFE
    assert authority_fits(authority, NOW)
    assert authority_fits(authority, ends - AUTHORITY_SPARE)
    assert not authority_fits(authority, ends - AUTHORITY_SPARE + timedelta(seconds=1))
    assert AUTHORITY_SPARE > LIFE
    assert timedelta(days=825) > LIFE


def test_a_device_sees_what_it_is_and_how_far_it_goes() -> None:
    authority = make_authority("pc", NOW).certificate
    assert authority.subject.rfc4514_string() == "CN=Antiphon on pc"
    constraints = authority.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    permitted = constraints.value.permitted_subtrees
    assert permitted is not None
    assert x509.DNSName("local") in permitted
    assert x509.IPAddress(ipaddress.ip_network("192.168.0.0/16")) in permitted
    shown = fingerprint(authority)
    assert len(shown) == 95
    assert shown.count(":") == 31


@given(st.ip_addresses())
def test_private_is_what_the_internet_does_not_route(address: ipaddress.IPv4Address) -> None:
    if is_private(address):
        assert not address.is_global


@given(st.text(max_size=100))
def test_any_host_has_a_name_for_a_certificate(host: str) -> None:
    name, here = lan_names(host)
    assert here == "localhost"
    label, _, rest = name.partition(".")
    assert rest == "local"
    assert 0 < len(label) <= 63
    assert x509.DNSName(name).value == name


def test_the_first_label_counts() -> None:
    assert lan_names("Idas-MacBook.fritz.box")[0] == "idas-macbook.local"
    assert lan_names("живот")[0] == "antiphon.local"
