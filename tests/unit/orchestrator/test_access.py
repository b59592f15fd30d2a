"""Who may talk, and how often."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from base.errors import AntiphonError, AtCapacity, Denied, Misconfigured
from orchestrator.access import Access, Caller, Grant, Policy, bucket_of, client_address, networks, seen
from orchestrator.keys import MONITOR, TALK, TOKEN, KeyRecord, Keys, digest
from orchestrator.tokens import LEEWAY_S, Signer, mint

pytestmark = pytest.mark.unit

TODAY = 1_800_000_000.0
SIGNER = Signer("a secret of thirty-two characters")
HERE = Caller("127.0.0.1")
AWAY = Caller("192.0.2.7")


def key(name: str = "k", **more: object) -> KeyRecord:
    return KeyRecord(id=name, digest=digest(f"{name}-secret"), name=name, created=TODAY, **more)  # type: ignore[arg-type]


def access(*keys: KeyRecord, **policy: object) -> Access:
    return Access(Policy(**policy), SIGNER, Keys(keys))  # type: ignore[arg-type]


def check(door: Access, caller: Caller, scope: str = TALK, *, now: float = 0.0, after: float = 0.0) -> Grant:
    return door.check(caller, scope, now, TODAY + after)


def why(door: Access, caller: Caller, scope: str = TALK, *, after: float = 0.0) -> str:
    with pytest.raises(AntiphonError) as refused:
        check(door, caller, scope, after=after)
    return refused.value.reason


def showing(credential: str, address: str = "192.0.2.7") -> Caller:
    return Caller(address, credential=credential)


# --- who -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "ipv4:127.0.0.1:4711", "ipv6:[::1]:4711",
     "ipv6:%5B::1%5D:4711", "unix:", "unix:/run/a.sock"],
)  # fmt: skip
def test_without_keys_this_machine_is_served(address: str) -> None:
    grant = check(access(), Caller(address), MONITOR)
    assert (grant.how, grant.bucket) == ("loopback", "local")
    assert why(access(), Caller(address, proxied=True)) == "KEY_MISSING"
    assert why(access(without_key="nobody"), Caller(address)) == "KEY_MISSING"
    assert why(access(key()), Caller(address)) == "KEY_MISSING"
    assert check(access(key(), without_key="loopback"), Caller(address)).how == "loopback"


@pytest.mark.parametrize("address", ["192.0.2.7", "10.0.0.1", "fe80::1", "ipv4:192.0.2.7:99", "", "unknown", "0.0.0.0"])
def test_without_keys_nobody_else_is(address: str) -> None:
    for door in (access(), access(without_key="loopback"), access(without_key="nobody")):
        assert why(door, Caller(address)) == "KEY_MISSING"


def test_it_is_said_what_to_do() -> None:
    for caller, words in ((AWAY, "not 192.0.2.7"), (replace(HERE, proxied=True), "through a proxy")):
        with pytest.raises(Denied, match=words) as refused:
            check(access(), caller)
        assert "antiphon keys add" in refused.value.message


def test_a_key_that_was_revoked_or_is_over_leaves_the_door_shut() -> None:
    """Without its keys a server does not go back to serving whoever is there."""
    door = access(key(revoked=TODAY))
    assert why(door, HERE) == "KEY_MISSING"
    assert why(door, showing("k-secret")) == "KEY_REVOKED"
    door = access(key(expires=TODAY + 10))
    assert check(door, showing("k-secret"), after=9).key == "k"
    assert why(door, showing("k-secret"), after=10) == "KEY_EXPIRED"
    assert why(door, HERE, after=10) == "KEY_MISSING"
    door.keys = Keys()  # the file was deleted, or its last key forgotten
    assert why(door, HERE) == "KEY_MISSING"


def test_networks_that_were_opened() -> None:
    door = access(open_networks=networks(["10.1.0.0/16", "2001:db8::/32"], "open_networks"))
    assert check(door, Caller("10.1.2.3")).how == "network"
    assert check(door, Caller("2001:db8::5"), MONITOR).how == "network"
    assert why(door, Caller("10.2.0.1")) == "KEY_MISSING"
    # By a trusted proxy's word it is the client's address; through another it is nobody's.
    trusted = networks(["10.1.0.1"], "trusted_proxies")
    for via, forwarded, reason in (
        ("10.1.0.1", ["10.1.2.3"], None),
        ("10.1.0.1", ["192.0.2.7"], "KEY_MISSING"),
        ("10.1.0.1", [], "KEY_MISSING"),
        ("10.1.0.2", ["10.1.2.3"], "KEY_MISSING"),
    ):
        caller = Caller(*seen(via, ["Host", "X-Forwarded-For"], forwarded, trusted))
        assert caller.proxied
        if reason:
            assert why(door, caller) == reason
        else:
            assert check(door, caller).how == "network"
    assert seen("10.1.0.1", ["Host", "Origin"], [], trusted) == ("10.1.0.1", False)
    with pytest.raises(Misconfigured, match="neither an address nor a network"):
        networks(["10.1.0.0/33"], "open_networks")


def test_scopes() -> None:
    door = access(key(scopes=frozenset({TALK})), key("m", scopes=frozenset({MONITOR})))
    assert check(door, showing("k-secret")).how == "key"
    assert why(door, showing("k-secret"), TOKEN) == "KEY_SCOPE"
    assert why(door, showing("m-secret")) == "KEY_SCOPE"
    assert check(door, showing("m-secret"), MONITOR).key == "m"


def test_what_is_shown_counts_and_not_where_from() -> None:
    assert why(access(), replace(HERE, credential="nonsense")) == "KEY_UNKNOWN"
    assert why(access(), replace(HERE, credential="a.b.c")) == "TOKEN_FORGED"
    assert check(access(key()), replace(AWAY, credential="k-secret", proxied=True)).how == "key"


def test_a_token_and_the_key_behind_it() -> None:
    token = mint(SIGNER, room="r", identity="i", key="k", now=TODAY, ttl_s=60)
    door = access(key())
    grant = check(door, showing(token))
    assert (grant.how, grant.key, grant.scopes) == ("token", "k", {TALK})
    assert why(door, showing(token), TOKEN) == "KEY_SCOPE"
    assert why(door, showing(token), after=61 + LEEWAY_S) == "TOKEN_EXPIRED"
    assert why(access(key(revoked=TODAY)), showing(token)) == "KEY_REVOKED"
    assert why(access(), showing(token)) == "KEY_UNKNOWN"
    assert door.is_good(grant) is None
    door.keys = Keys((key(revoked=TODAY),))
    assert (door.is_good(grant) or AssertionError()).reason == "KEY_REVOKED"  # type: ignore[union-attr]
    door.keys = Keys()
    assert door.is_good(grant) is not None
    assert door.is_good(check(access(), HERE)) is None


def test_a_session_is_resumed_with_the_token_that_began_it() -> None:
    door = access(key())
    token, other = (mint(SIGNER, room=r, identity="i", now=TODAY, ttl_s=60) for r in ("r", "s"))
    grant = check(door, showing(token))
    later = TODAY + 3600
    assert door.check(showing(token), TALK, 0, later, resuming=grant).token == grant.token
    for shown, begun_by, reason in (
        (token, None, "TOKEN_EXPIRED"),
        (other, grant, "TOKEN_OTHER_ROOM"),
        (token, check(door, showing("k-secret")), "TOKEN_EXPIRED"),
    ):
        with pytest.raises(Denied) as refused:
            door.check(showing(shown), TALK, 0, later, resuming=begun_by)
        assert refused.value.reason == reason
    # Another room's is refused while it is good, too.
    with pytest.raises(Denied) as refused:
        door.check(showing(other), TALK, 0, TODAY, resuming=grant)
    assert refused.value.reason == "TOKEN_OTHER_ROOM"


# --- how often -------------------------------------------------------------------------------------------------------


def test_sessions_of_one_address() -> None:
    door = access(open_networks=networks(["0.0.0.0/0", "::/0"], ""), sessions=2, per_minute=0)
    grants = [check(door, Caller(f"2001:db8::{n}")) for n in range(3)]
    door.open(grants[0], 0)
    door.open(grants[1], 0)
    with pytest.raises(AtCapacity) as refused:
        door.open(grants[2], 0)
    assert refused.value.reason == "TOO_MANY_SESSIONS"
    door.open(check(door, Caller("2001:db8:0:1::1")), 0)
    door.close(grants[0])
    door.open(grants[2], 0)


def test_openings_a_minute() -> None:
    door = access(open_networks=networks(["0.0.0.0/0"], ""), sessions=0, per_minute=6)
    for _ in range(6):
        door.open(check(door, AWAY), 0)
    with pytest.raises(AtCapacity) as refused:
        door.open(check(door, AWAY), 0)
    assert refused.value.reason == "TOO_OFTEN"
    assert refused.value.retry_after_s == pytest.approx(10)
    door.open(check(door, Caller("192.0.2.8")), 0)
    door.open(check(door, AWAY), 10.1)


def test_loopback_has_no_limit_of_an_address() -> None:
    door = access(sessions=1, per_minute=1, tokens_per_minute=1)
    for _ in range(50):
        door.open(check(door, HERE), 0)
        door.take_token(check(door, HERE), 0)


def test_a_keys_own_limits_stand_in_place_of_the_addresss() -> None:
    door = access(key(sessions=3, per_minute=100), key("plain"), sessions=1, per_minute=1)
    for _ in range(3):
        door.open(check(door, showing("k-secret")), 0)
    with pytest.raises(AtCapacity, match="key k has 3 sessions"):
        door.open(check(door, showing("k-secret", "198.51.100.1")), 0)
    door.open(check(door, showing("plain-secret", "198.51.100.1")), 0)
    with pytest.raises(AtCapacity, match=r"address 198\.51\.100\.1 has 1 session already"):
        door.open(check(door, showing("plain-secret", "198.51.100.1")), 0)


def test_a_keys_limits_are_its_tokens_too() -> None:
    door = access(key(sessions=2))
    tokens = [mint(SIGNER, room=f"r{n}", identity="i", key="k", now=TODAY, ttl_s=60) for n in range(3)]
    door.open(check(door, showing(tokens[0])), 0)
    door.open(check(door, showing(tokens[1], "198.51.100.9")), 0)
    with pytest.raises(AtCapacity, match="key k has 2"):
        door.open(check(door, showing(tokens[2])), 0)


def test_a_keys_limits_are_its_rooms_too() -> None:
    """LiveKit lets people in by the key's tokens; where from, it alone knows."""
    door = access(key("a", sessions=1), key("b", revoked=TODAY), key("c", expires=TODAY + 5), sessions=1)
    room = door.admitted("a", TODAY)
    assert (room.how, room.key, room.scopes) == ("room", "a", frozenset({TALK}))
    door.open(room, 0.0)
    with pytest.raises(AtCapacity, match="key a has 1 session already"):
        door.open(check(door, showing("a-secret")), 0.0)
    with pytest.raises(AtCapacity):
        door.open(door.admitted("a", TODAY), 0.0)
    door.close(room)
    door.open(check(door, showing("a-secret")), 0.0)
    door.open(door.admitted("c", TODAY), 0.0)
    door.open(door.admitted("c", TODAY), 0.0)  # no limit of an address
    for id, reason in (("b", "KEY_REVOKED"), ("c", "KEY_EXPIRED"), ("d", "KEY_UNKNOWN")):
        with pytest.raises(Denied) as refused:
            door.admitted(id, TODAY + 5)
        assert refused.value.reason == reason
    assert door.denied == 3


def test_one_token_is_not_for_everybody() -> None:
    door = access(token_sessions=2, sessions=0, per_minute=0)
    token = mint(SIGNER, room="r", identity="i", now=TODAY, ttl_s=60)
    for n in range(2):
        door.open(check(door, showing(token, f"192.0.2.{n}")), 0)
    with pytest.raises(AtCapacity, match="this token has 2"):
        door.open(check(door, showing(token, "192.0.2.9")), 0)


def test_tokens_a_minute() -> None:
    door = access(key(), key("other"), tokens_per_minute=2)
    grant = check(door, showing("k-secret"))
    door.take_token(grant, 0)
    door.take_token(grant, 0)
    with pytest.raises(AtCapacity) as refused:
        door.take_token(grant, 0)
    assert refused.value.reason == "TOO_OFTEN"
    door.take_token(check(door, showing("other-secret")), 0)


def test_wrong_keys_are_told_to_wait_and_right_ones_never() -> None:
    door = access(key(), tries_per_minute=3)
    reasons = [why(door, showing(f"guess {n}")) for n in range(6)]
    assert reasons == ["KEY_UNKNOWN"] * 3 + ["TOO_MANY_TRIES"] * 3
    assert check(door, showing("k-secret")).key == "k"
    assert why(door, showing("guess", "198.51.100.1")) == "KEY_UNKNOWN"
    assert door.denied == 7


def test_pairing_codes_are_counted_right_or_wrong() -> None:
    door = access(tries_per_minute=2, pairings_per_minute=5)
    for n in range(3):
        if n == 2:
            with pytest.raises(AtCapacity):
                door.take_pairing(AWAY, 0)
        else:
            door.take_pairing(AWAY, 0)
    for n in range(3):
        door.take_pairing(Caller(f"198.51.100.{n}"), 0)
    with pytest.raises(AtCapacity):
        door.take_pairing(Caller("203.0.113.1"), 0)


def test_what_is_remembered_is_bounded() -> None:
    door = access(open_networks=networks(["::/0"], ""), addresses=100)
    for n in range(1000):
        grant = check(door, Caller(f"2001:db8:{n:x}::1"))
        door.open(grant, 0)
        door.close(grant)
        with pytest.raises(Denied):
            check(door, showing("guess", f"2001:db8:{n:x}::1"))
    assert len(door._rates) == 100
    assert not door._sessions


class Doors(RuleBasedStateMachine):
    """Sessions come and go; no count is ever above its limit, and none is left when all have gone."""

    def __init__(self) -> None:
        super().__init__()
        self.door = access(
            key(sessions=3), key("b"), open_networks=networks(["192.0.2.0/24"], ""), sessions=4, per_minute=30
        )
        self.now = 0.0
        self.live: list[tuple[str, Grant]] = []

    @rule(who=st.sampled_from(["k-secret", "b-secret", ""]), address=st.sampled_from(["192.0.2.1", "192.0.2.2"]))
    def open(self, who: str, address: str) -> None:
        try:
            grant = check(self.door, showing(who, address), now=self.now)
            self.door.open(grant, self.now)
        except AtCapacity:
            return
        self.live.append((address, grant))

    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        if self.live:
            _, grant = self.live.pop(data.draw(st.integers(0, len(self.live) - 1)))
            self.door.close(grant)

    @rule(by=st.floats(0, 30))
    def wait(self, by: float) -> None:
        self.now += by

    @invariant()
    def counts_hold(self) -> None:
        of_key = sum(1 for _, g in self.live if g.key == "k")
        assert of_key <= 3
        assert self.door._sessions["key k"] == of_key
        for address in ("192.0.2.1", "192.0.2.2"):
            count = sum(1 for a, g in self.live if a == address and g.key != "k")
            assert count <= 4
            assert self.door._sessions[f"address {address}"] == count

    def teardown(self) -> None:
        for _, grant in self.live:
            self.door.close(grant)
        assert not +self.door._sessions


TestDoors = Doors.TestCase


# --- addresses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("remote", "forwarded", "trusted", "client"),
    [
        ("10.0.0.1", ["192.0.2.7"], ["10.0.0.1"], "192.0.2.7"),
        ("10.0.0.1", ["192.0.2.7"], [], "10.0.0.1"),
        ("10.0.0.1", ["6.6.6.6, 192.0.2.7"], ["10.0.0.0/8"], "192.0.2.7"),
        ("10.0.0.1", ["6.6.6.6", "192.0.2.7, 10.0.0.2"], ["10.0.0.0/8"], "192.0.2.7"),
        ("10.0.0.1", ["6.6.6.6, nonsense"], ["10.0.0.0/8"], "10.0.0.1"),
        ("10.0.0.1", [""], ["10.0.0.0/8"], "10.0.0.1"),
        ("10.0.0.1", [], ["10.0.0.0/8"], "10.0.0.1"),
        ("127.0.0.1", ["2001:db8::7"], ["127.0.0.1"], "2001:db8::7"),
        ("10.0.0.1", ["10.0.0.3"], ["10.0.0.0/8"], "10.0.0.3"),
    ],
)
def test_whose_word_counts(remote: str, forwarded: list[str], trusted: list[str], client: str) -> None:
    assert client_address(remote, forwarded, networks(trusted, "")) == client


@given(st.lists(st.text(max_size=30), max_size=5), st.ip_addresses())
def test_a_header_makes_nobody_local(forwarded: list[str], remote: ipaddress.IPv4Address) -> None:
    """Whatever a client writes there, through a proxy it is not loopback."""
    for trusted in ((), networks(["0.0.0.0/0", "::/0"], "")):
        caller = Caller(*seen(str(remote), ["x-forwarded-for"], [*forwarded, "127.0.0.1"], trusted))
        assert bucket_of(caller) != "local"
        assert why(access(without_key="loopback"), caller) == "KEY_MISSING"


@given(st.text(max_size=60))
def test_any_text_is_an_address_to_count_by(text: str) -> None:
    assert bucket_of(Caller(text))
    assert bucket_of(Caller(text, proxied=True)) != "local"
