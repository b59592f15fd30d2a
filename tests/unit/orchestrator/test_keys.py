"""Keys as values, and the text of their file."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from base.errors import BadRequest, Misconfigured, NotFound
from orchestrator.keys import (
    CODE_ALPHABET,
    MAX_PAIRINGS,
    SCOPES,
    KeyRecord,
    Keys,
    Pairing,
    checked_scopes,
    clean_name,
    code_text,
    digest,
    encode,
    key_text,
    parse,
    plain_code,
    plain_keys,
)
from orchestrator.tokens import looks_like_token

pytestmark = pytest.mark.unit

NOW = 1_800_000_000.0
times = st.integers(1, 2_000_000_000).map(float)
records = st.builds(
    KeyRecord,
    id=st.text("0123456789abcdef", min_size=8, max_size=8),
    digest=st.binary(min_size=4).map(lambda b: digest(b.hex())),
    name=st.text(max_size=40).map(clean_name),
    created=times,
    scopes=st.sets(st.sampled_from(sorted(SCOPES)), min_size=1).map(frozenset),
    expires=st.none() | times,
    revoked=st.none() | times,
    sessions=st.none() | st.integers(1, 1000),
    per_minute=st.none() | st.integers(1, 1000),
    device=st.booleans(),
)


def some(name: str = "a", *, id: str = "0a", **more: object) -> KeyRecord:
    return KeyRecord(id=id, digest=digest(name + id), name=name, created=NOW, **more)  # type: ignore[arg-type]


@given(
    st.lists(records, max_size=6, unique_by=(lambda r: r.id, lambda r: r.digest)),
    st.lists(st.builds(Pairing, st.text().map(digest), times), max_size=3),
)
def test_what_is_written_is_read_again(found: list[KeyRecord], pairings: list[Pairing]) -> None:
    keys = Keys(tuple(found), tuple(pairings))
    assert parse(encode(keys)) == keys
    assert all(keys.by_id[r.id] is r for r in found)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_a_file_is_read_or_refused(content: bytes) -> None:
    if not content.strip():
        assert parse(content) == Keys()
        return
    with pytest.raises(Misconfigured, match="no file of keys"):
        parse(content)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": 2}, "version 2"),
        ({"sha256": "12"}, "64 hexadecimal"),
        ({"scopes": ["fly"]}, "scope 'fly'"),
        ({"scopes": []}, "without a scope"),
        ({"sessions": 0}, "sessions is 0"),
        ({"twice": True}, "are the same"),
    ],
)
def test_a_file_that_is_wrong_says_what(change: dict[str, object], says: str) -> None:
    import json

    file = json.loads(encode(Keys((some(),))))
    entry = file["keys"][0]
    if "version" in change:
        file.update(change)
    elif "twice" in change:
        file["keys"].append({**entry, "id": "0b"})
    else:
        entry.update(change)
    with pytest.raises(Misconfigured, match=says):
        parse(json.dumps(file).encode())


@given(st.binary(min_size=32, max_size=32))
def test_a_key_is_found_by_itself_alone(random: bytes) -> None:
    key = key_text(random)
    keys = Keys((some(), KeyRecord("0b", digest(key), "mine", NOW)))
    found = keys.find(key)
    assert found is not None
    assert found.name == "mine"
    assert keys.find(key[:-1]) is None
    assert not looks_like_token(key)
    assert key not in encode(keys).decode()
    assert repr(found).count(found.digest) == 0


@given(st.binary(min_size=5, max_size=5), st.data())
def test_a_code_is_read_as_it_is_meant(random: bytes, data: st.DataObject) -> None:
    code = code_text(random)
    assert len(plain_code(code)) == 8
    assert set(plain_code(code)) <= set(CODE_ALPHABET)
    typed = "".join(data.draw(st.sampled_from([c, c.lower(), f" {c}", f"{c}-"])) for c in code.replace("-", ""))
    typed = typed.replace("0", data.draw(st.sampled_from("0oO"))).replace("1", data.draw(st.sampled_from("1iIlL")))
    keys = Keys().with_pairing(code, NOW + 60, NOW)
    assert keys.is_pairing(typed, NOW + 59)
    assert not keys.is_pairing(typed, NOW + 60)
    assert not keys.without_pairing(typed).is_pairing(code, NOW)
    assert code not in encode(keys).decode()


def test_different_chance_gives_different_codes() -> None:
    assert code_text(bytes(5)) == "0000-0000"
    assert code_text(b"\xff" * 5) == "ZZZZ-ZZZZ"
    assert code_text(b"\x00\x00\x00\x00\x01") == "0000-0001"


def test_pairings_are_bounded() -> None:
    keys = Keys()
    for number in range(2 * MAX_PAIRINGS):
        keys = keys.with_pairing(f"code{number:04}", NOW + 60, NOW)
    assert len(keys.pairings) == MAX_PAIRINGS
    assert keys.is_pairing(f"code{2 * MAX_PAIRINGS - 1:04}", NOW)
    assert len(keys.with_pairing("another", NOW + 90, NOW + 61).pairings) == 1


def test_who_is_meant() -> None:
    keys = Keys((some("a", id="1"), some("a", id="2", revoked=NOW), some("b", id="3"), some("b", id="4")))
    assert keys.named("2").id == "2"
    assert keys.named("a").id == "1"
    with pytest.raises(BadRequest, match="3, 4"):
        keys.named("b")
    with pytest.raises(NotFound, match="'c'"):
        keys.named("c")
    with pytest.raises(BadRequest, match="already"):
        keys.with_key(some("z", id="1"))


def test_plain_keys_are_good_for_everything() -> None:
    first, second = plain_keys(["one", "two", "one"], NOW)
    assert (first.digest, second.digest) == (digest("one"), digest("two"))
    assert first.scopes == set(SCOPES)
    assert Keys((first, second)).find("two") is second


def test_names_are_of_one_line() -> None:
    assert clean_name("  Ida's\n\tphone\x1b[31m ") == "Ida's phone [31m"
    assert len(clean_name("x" * 500)) == 60


def test_scopes() -> None:
    assert checked_scopes(["talk", "token", "talk"]) == {"talk", "token"}
    with pytest.raises(BadRequest, match="talk, token, monitor"):
        checked_scopes(["admin"])


class KeysOverTime(RuleBasedStateMachine):
    """Adding, expiring and revoking, against what a person would write down."""

    def __init__(self) -> None:
        super().__init__()
        self.keys = Keys()
        self.now = NOW
        self.known: dict[str, tuple[float | None, bool]] = {}

    @rule(life=st.none() | st.integers(1, 100))
    def add(self, life: int | None) -> None:
        id = f"{len(self.known):02x}"
        expires = None if life is None else self.now + life
        self.keys = self.keys.with_key(some(id, id=id, expires=expires))
        self.known[id] = (expires, False)

    @rule(data=st.data(), forget=st.booleans())
    def revoke(self, data: st.DataObject, forget: bool) -> None:
        if self.keys.records:
            id = data.draw(st.sampled_from([r.id for r in self.keys.records]))
            self.keys, _ = self.keys.revoked(id, self.now, forget=forget)
            self.known[id] = (self.known[id][0], True)

    @rule(by=st.integers(0, 50))
    def wait(self, by: int) -> None:
        self.now += by

    @invariant()
    def each_is_what_it_should_be(self) -> None:
        self.keys = parse(encode(self.keys))
        for id, (expires, revoked) in self.known.items():
            found = self.keys.find(id + id)
            state = found.state(self.now) if found is not None else "forgotten"
            if revoked:
                assert state in ("revoked", "forgotten")
            else:
                assert state == ("expired" if expires is not None and self.now >= expires else "good")


TestKeysOverTime = KeysOverTime.TestCase
TestKeysOverTime.settings = settings(max_examples=30, stateful_step_count=30)


def test_a_record_is_a_value() -> None:
    assert dataclasses.replace(some(), revoked=1.0).state(NOW) == "revoked"
