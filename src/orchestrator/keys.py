"""Access keys as values: who has one, what it is good for, and the file that they lie in: pure.

A key is 256 random bits, shown once; what is kept is its SHA-256. A slow hash (scrypt, Argon2) protects what people
make up and others can guess; nobody guesses 2²⁵⁶, and a slow hash before each session would be a gift to whoever wants
to keep the server busy.

A pairing code is short, as somebody types it; it is good once, for minutes, and guesses are counted (`access`).

`now` is the time of day in seconds.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from base.errors import BadRequest, Misconfigured, NotFound

TALK, TOKEN, MONITOR = "talk", "token", "monitor"
SCOPES: Mapping[str, str] = {
    TALK: "open sessions, and get tokens for random rooms",
    TOKEN: "get tokens for others: room and identity may be named",
    MONITOR: "read /metrics and /v1/workers",
}
USUAL_SCOPES = frozenset({TALK, TOKEN})
DEVICE_SCOPES = frozenset({TALK})

PREFIX = "antiphon_"
"""So that a key is known for one where it should not be, in a log or a repository."""
VERSION = 1
MAX_KEYS = 10_000
MAX_PAIRINGS = 20
MAX_NAME = 60
CODE_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O or U."""
CODE_LENGTH = 8


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """`digest` is the hex SHA-256. Times are seconds of the day's clock; `revoked` and `expires` None: never.

    `sessions` at once and `per_minute` openings, if set, count for this key in place of its address.
    """

    id: str
    digest: str = field(repr=False)
    name: str
    created: float
    scopes: frozenset[str] = USUAL_SCOPES
    expires: float | None = None
    revoked: float | None = None
    sessions: int | None = None
    per_minute: int | None = None
    device: bool = False

    def state(self, now: float) -> str:
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and now >= self.expires else "good"


@dataclass(frozen=True, slots=True)
class Pairing:
    digest: str = field(repr=False)
    expires: float


@dataclass(frozen=True, slots=True)
class Keys:
    """All there are; `by_digest` and `by_id` find one."""

    records: tuple[KeyRecord, ...] = ()
    pairings: tuple[Pairing, ...] = ()
    by_digest: Mapping[str, KeyRecord] = field(init=False, repr=False, compare=False)
    by_id: Mapping[str, KeyRecord] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_digest", {r.digest: r for r in self.records})
        object.__setattr__(self, "by_id", {r.id: r for r in self.records})

    def find(self, key: str) -> KeyRecord | None:
        """By digest: how long a look-up takes tells nothing of a key."""
        return self.by_digest.get(digest(key))

    def with_key(self, record: KeyRecord) -> Keys:
        if len(self.records) >= MAX_KEYS:
            raise BadRequest(f"there are {MAX_KEYS} keys already; forget some (`antiphon keys revoke --forget`)")
        if record.id in self.by_id:
            raise BadRequest(f"there is a key {record.id!r} already")
        return replace(self, records=(*self.records, record))

    def revoked(self, name: str, now: float, *, forget: bool = False) -> tuple[Keys, KeyRecord]:
        """Without the key of this id, or of this name if only one has it. A revoked key stays on the list, so that who
        still uses it is told; `forget` takes it off."""
        record = self.named(name)
        if forget:
            return replace(self, records=tuple(r for r in self.records if r is not record)), record
        after = record if record.revoked is not None else replace(record, revoked=now)
        return replace(self, records=tuple(after if r is record else r for r in self.records)), after

    def named(self, name: str) -> KeyRecord:
        """By id, or by name if one alone, of those that are not revoked first, has it. Raises NotFound, BadRequest."""
        if name in self.by_id:
            return self.by_id[name]
        found = [r for r in self.records if r.name == name]
        found = [r for r in found if r.revoked is None] or found
        if not found:
            raise NotFound(
                f"there is no key {name!r}; `antiphon keys list` shows which there are", reason="KEY_UNKNOWN"
            )
        if len(found) > 1:
            ids = ", ".join(r.id for r in found)
            raise BadRequest(f"{len(found)} keys are called {name!r}; name one by its id: {ids}")
        return found[0]

    def with_pairing(self, code: str, expires: float, now: float) -> Keys:
        """`code` as it is shown. What is over goes, and the oldest beyond MAX_PAIRINGS."""
        kept = [p for p in self.pairings if p.expires > now][-(MAX_PAIRINGS - 1) :]
        return replace(self, pairings=(*kept, Pairing(digest(plain_code(code)), expires)))

    def is_pairing(self, code: str, now: float) -> bool:
        wanted = digest(plain_code(code))
        return any(p.digest == wanted and p.expires > now for p in self.pairings)

    def without_pairing(self, code: str) -> Keys:
        wanted = digest(plain_code(code))
        return replace(self, pairings=tuple(p for p in self.pairings if p.digest != wanted))


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def key_text(random: bytes) -> str:
    """The key that 32 random bytes make. It has no dot, so that it is never taken for a token."""
    return PREFIX + base64.urlsafe_b64encode(random).rstrip(b"=").decode()


def code_text(random: bytes) -> str:
    """The pairing code that 5 random bytes make, as it is shown: 40 bits, K7QM-2XWD."""
    number = int.from_bytes(random[:5], "big")
    letters = "".join(CODE_ALPHABET[number >> 5 * i & 31] for i in reversed(range(CODE_LENGTH)))
    return f"{letters[:4]}-{letters[4:]}"


def plain_code(code: str) -> str:
    """What somebody typed, as it was meant."""
    letters = "".join(c for c in code.upper() if c.isalnum())[: 2 * CODE_LENGTH]
    return letters.replace("O", "0").replace("I", "1").replace("L", "1")


def clean_name(name: str) -> str:
    """Printable, of one line, not too long."""
    return " ".join("".join(c if c.isprintable() else " " for c in name).split())[:MAX_NAME].strip()


def checked_scopes(scopes: Iterable[str]) -> frozenset[str]:
    wanted = frozenset(scopes)
    for scope in sorted(wanted):
        if scope not in SCOPES:
            raise BadRequest(f"scope {scope!r} is not known; there are {', '.join(SCOPES)}", where="scopes")
    if not wanted:
        raise BadRequest(f"a key without a scope is good for nothing; there are {', '.join(SCOPES)}", where="scopes")
    return wanted


# --- the file --------------------------------------------------------------------------------------------------------


class _Entry(Struct, kw_only=True, omit_defaults=True):
    id: str
    sha256: str
    name: str
    created: datetime
    scopes: list[str]
    expires: datetime | None = None
    revoked: datetime | None = None
    sessions: int | None = None
    per_minute: int | None = None
    device: bool = False


class _Pairing(Struct, kw_only=True):
    sha256: str
    expires: datetime


class _File(Struct, kw_only=True):
    version: int
    keys: list[_Entry] = []
    pairings: list[_Pairing] = []


def parse(content: bytes) -> Keys:
    """Raises Misconfigured, which says what is wrong and where."""
    if not content.strip():
        return Keys()
    try:
        file = msgspec.json.decode(content, type=_File)
        if file.version != VERSION:
            raise ValueError(f"it is of version {file.version}; this program knows {VERSION}")
        keys = Keys(tuple(_record(e) for e in file.keys), tuple(_pairing(p) for p in file.pairings))
    except (msgspec.MsgspecError, BadRequest, ValueError, OverflowError) as error:
        raise Misconfigured(f"this is no file of keys: {error}", reason="BAD_KEYS_FILE") from error
    if len(keys.by_id) < len(keys.records) or len(keys.by_digest) < len(keys.records):
        raise Misconfigured("this is no file of keys: two keys in it are the same", reason="BAD_KEYS_FILE")
    return keys


def encode(keys: Keys) -> bytes:
    """One that people can read."""
    file = _File(
        version=VERSION,
        keys=[
            _Entry(
                id=r.id,
                sha256=r.digest,
                name=r.name,
                created=_date(r.created),
                scopes=sorted(r.scopes),
                expires=None if r.expires is None else _date(r.expires),
                revoked=None if r.revoked is None else _date(r.revoked),
                sessions=r.sessions,
                per_minute=r.per_minute,
                device=r.device,
            )
            for r in keys.records
        ],
        pairings=[_Pairing(sha256=p.digest, expires=_date(p.expires)) for p in keys.pairings],
    )
    return msgspec.json.format(msgspec.json.encode(file), indent=1) + b"\n"


def _record(entry: _Entry) -> KeyRecord:
    for name in ("sessions", "per_minute"):
        value = getattr(entry, name)
        if value is not None and value < 1:
            raise ValueError(f"key {entry.id!r}: {name} is {value}; 1 is the least")
    return KeyRecord(
        id=entry.id,
        digest=_checked_digest(entry.sha256, entry.id),
        name=entry.name,
        created=_seconds(entry.created),
        scopes=checked_scopes(entry.scopes),
        expires=None if entry.expires is None else _seconds(entry.expires),
        revoked=None if entry.revoked is None else _seconds(entry.revoked),
        sessions=entry.sessions,
        per_minute=entry.per_minute,
        device=entry.device,
    )


def _pairing(entry: _Pairing) -> Pairing:
    return Pairing(_checked_digest(entry.sha256, "a pairing code"), _seconds(entry.expires))


def _checked_digest(text: str, of: str) -> str:
    if len(text) != 64 or any(c not in "0123456789abcdef" for c in text):
        raise ValueError(f"sha256 of {of!r} is not 64 hexadecimal digits")
    return text


def _date(seconds: float) -> datetime:
    return datetime.fromtimestamp(round(seconds), UTC)


def _seconds(date: datetime) -> float:
    return (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp()


def plain_keys(texts: Iterable[str], now: float) -> tuple[KeyRecord, ...]:
    """The keys of an `access_key_file`, which holds them as they are. They are good for everything."""
    return tuple(
        KeyRecord(
            id=f"plain-{number}",
            digest=digest(text),
            name=f"line {number} of access_key_file",
            created=now,
            scopes=frozenset(SCOPES),
        )
        for number, text in enumerate(dict.fromkeys(texts), 1)
    )
