"""Who may talk here, and how often: pure.

In order: whoever shows a key or a token is judged by it alone, wherever they come from. Whoever shows none is served
if their address may (`Policy.without_key`, `open_networks`): loopback, unless keys were made. What came through a
proxy never counts as loopback, whatever address the connection has.

A key that is good is never locked out by others' failures from the same address: only what is wrong is counted, and
answered "later" when there was too much of it. (Keys are 256 bits; the count is against noise. Pairing codes are short;
there it is against guessing, and a right code counts like a wrong one.)

Two clocks: `now` is monotonic, for rates; `today` is the time of day, for what expires.
"""

from __future__ import annotations

import ipaddress
from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from base.errors import AtCapacity, BadRequest, Denied, Misconfigured
from orchestrator.edge import Allowance
from orchestrator.keys import SCOPES, TALK, KeyRecord, Keys
from orchestrator.tokens import Signer, Token, looks_like_token, verify

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LOCAL = "local"
"""The address of whoever is on this machine."""
EXPIRED = "TOKEN_EXPIRED"
GUESSES = frozenset({"KEY_UNKNOWN", "TOKEN_FORGED"})


PROXY_HEADERS = frozenset({
    "x-forwarded", "forwarded", "forwarded-for", "x-original-forwarded-for", "x-original-host", "x-real-ip",
    "x-client-ip", "x-cluster-client-ip", "via", "cf-connecting-ip", "cf-ray", "cdn-loop", "true-client-ip",
    "fastly-client-ip", "fly-client-ip", "x-azure-clientip", "x-envoy-external-address", "x-amzn-trace-id",
    "tailscale-user-login",
})  # fmt: skip
"""What proxies and tunnels add, besides whatever begins with x-forwarded-. A client's own request has none of them."""


@dataclass(frozen=True, slots=True)
class Policy:
    """`without_key`: auto is loopback as long as there are no keys. A limit of 0 is none; those of addresses are not
    for loopback."""

    without_key: Literal["auto", "loopback", "nobody"] = "auto"
    open_networks: tuple[Network, ...] = ()
    sessions: int = 20
    """At once, from one address."""
    per_minute: int = 60
    """Sessions opened, from one address."""
    tokens_per_minute: int = 60
    """Of one key, or one address without a key."""
    token_sessions: int = 4
    """At once, with one token."""
    tries_per_minute: int = 10
    """Wrong keys, tokens and pairing codes from one address."""
    pairings_per_minute: int = 60
    """Pairing codes tried, from all addresses."""
    addresses: int = 10_000
    """Remembered at once."""


@dataclass(frozen=True, slots=True)
class Caller:
    """`address` is the client's own, as far as it is known; `proxied`: it came through somebody in between."""

    address: str
    proxied: bool = False
    credential: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a caller was found to be. `how` is loopback, network, key, token or room; `key` the id of the key behind
    it."""

    how: str
    bucket: str
    scopes: frozenset[str]
    key: str = ""
    token: Token | None = None
    held: tuple[tuple[str, int], ...] = field(default=())
    """What sessions of it count in, and how many each lets in at once."""
    paced: tuple[tuple[str, int], ...] = field(default=())
    """What openings of it count in, and how many each lets in a minute."""


class Access:
    """See the module. `keys` may be replaced at any time."""

    def __init__(self, policy: Policy, signer: Signer, keys: Keys | None = None) -> None:
        self.policy = policy
        self.signer = signer
        self._keyed = False
        """Whether there ever was a key: a server that loses its last one does not open itself."""
        self.keys = keys or Keys()
        self.denied = 0
        self._sessions: Counter[str] = Counter()
        """Only what is above zero: bounded by the sessions there are."""
        self._rates: OrderedDict[str, Allowance] = OrderedDict()

    @property
    def keys(self) -> Keys:
        return self._keys

    @keys.setter
    def keys(self, keys: Keys) -> None:
        self._keys = keys
        self._keyed = self._keyed or bool(keys.records)

    # --- who is it ---------------------------------------------------------------------------------------------------

    def check(self, caller: Caller, scope: str, now: float, today: float, *, resuming: Grant | None = None) -> Grant:
        """Raises Denied, or AtCapacity for one who keeps trying. `resuming`: the grant of the session that they go on
        with; the token that began it, or one for the same room, is good for that also when it has expired."""
        bucket = bucket_of(caller)
        if not caller.credential:
            grant = self._without_key(caller, bucket, scope)
        else:
            try:
                grant = self._by_credential(caller.credential, bucket, today, resuming)
            except Denied as error:
                self._failed(bucket, now, error)
                raise
        if scope not in grant.scopes:
            self.denied += 1
            raise Denied(
                f"this {grant.how} is not good for this: it may {_listed(grant.scopes)}; "
                f"a key that may {SCOPES[scope]} has the scope `{scope}` (`antiphon keys add --scope {scope}`)",
                reason="KEY_SCOPE",
                where="key",
            )
        return grant

    def admitted(self, key: str, today: float) -> Grant:
        """Who is in a room of LiveKit's, by a token that was got with the key of this id. It counts in the key's
        limits; their address LiveKit alone knows. Raises Denied."""
        try:
            record = self._good(self.keys.by_id.get(key), today, "the key behind this room")
        except Denied:
            self.denied += 1
            raise
        return self._limited(Grant("room", LOCAL, frozenset({TALK}), key), record)

    def is_good(self, grant: Grant) -> Denied | None:
        """Whether who got this grant may still talk; the key behind it may have been revoked meanwhile."""
        if not grant.key:
            return None
        record = self.keys.by_id.get(grant.key)
        if record is not None and record.revoked is None:
            return None
        return Denied("the key behind this session was revoked", reason="KEY_REVOKED", where="key")

    def _without_key(self, caller: Caller, bucket: str, scope: str) -> Grant:
        everything = frozenset(SCOPES)
        address = _parsed(caller.address)
        if bucket == LOCAL:
            rule = self.policy.without_key
            if rule == "loopback" or (rule == "auto" and not self._keyed):
                return Grant("loopback", bucket, everything)
        elif address is not None and any(address in network for network in self.policy.open_networks):
            return self._limited(Grant("network", bucket, everything), None)
        self.denied += 1
        raise Denied(_what_to_do(caller, bucket, self._keyed), reason="KEY_MISSING", where="key")

    def _by_credential(self, text: str, bucket: str, today: float, resuming: Grant | None) -> Grant:
        if looks_like_token(text):
            token = self._token(text, today, resuming)
            record = None
            if token.key:
                record = self._good(self.keys.by_id.get(token.key), today, "the key behind this token")
            grant = Grant("token", bucket, frozenset({TALK}), token.key, token)
            held: tuple[tuple[str, int], ...] = ()
            if self.policy.token_sessions:
                held = ((f"token {token.room} {token.identity}", self.policy.token_sessions),)
            return self._limited(grant, record, *held)
        record = self._good(self.keys.find(text), today, "this access key")
        return self._limited(Grant("key", bucket, record.scopes, record.id), record)

    def _token(self, text: str, today: float, resuming: Grant | None) -> Token:
        begun = resuming.token if resuming is not None else None
        try:
            return verify(self.signer, text, now=today, room=begun.room if begun is not None else None)
        except Denied as error:
            if error.reason != EXPIRED or begun is None:
                raise
            # It was good when the session began; that it is genuine still counts, and whose it is.
            return verify(self.signer, text, now=begun.expires, room=begun.room)

    def _good(self, record: KeyRecord | None, today: float, what: str) -> KeyRecord:
        if record is None:
            raise Denied(f"{what} is not one of this server's", reason="KEY_UNKNOWN", where="key")
        state = record.state(today)
        if state == "revoked":
            raise Denied(f"{what} was revoked; ask for another one", reason="KEY_REVOKED", where="key")
        if state == "expired":
            raise Denied(f"{what} has expired; ask for another one", reason="KEY_EXPIRED", where="key")
        return record

    def _limited(self, grant: Grant, record: KeyRecord | None, *held: tuple[str, int]) -> Grant:
        """A limit of the key's own stands in place of the address's, for who shows the key itself."""
        p = self.policy
        paced: list[tuple[str, int]] = []
        held_in = list(held)
        own = record is not None and grant.how == "key"
        if record is not None and record.sessions is not None:
            held_in.append((f"key {record.id}", record.sessions))
        if record is not None and record.per_minute is not None:
            paced.append((f"key {record.id}", record.per_minute))
        if grant.bucket != LOCAL:
            if p.sessions and not (own and record is not None and record.sessions is not None):
                held_in.append((f"address {grant.bucket}", p.sessions))
            if p.per_minute and not (own and record is not None and record.per_minute is not None):
                paced.append((f"address {grant.bucket}", p.per_minute))
        return Grant(grant.how, grant.bucket, grant.scopes, grant.key, grant.token, tuple(held_in), tuple(paced))

    # --- how often ---------------------------------------------------------------------------------------------------

    def open(self, grant: Grant, now: float) -> None:
        """One session more; `close` gives it back. Raises AtCapacity, and counts nothing then."""
        for name, limit in grant.held:
            if self._sessions[name] >= limit:
                raise AtCapacity(
                    f"{_whose(name)} has {limit} session{'s' if limit > 1 else ''} already, which is its limit; "
                    "end one first",
                    reason="TOO_MANY_SESSIONS",
                    retry_after_s=10.0,
                )
        self._pace("open", grant.paced, now)
        for name, _ in grant.held:
            self._sessions[name] += 1

    def close(self, grant: Grant) -> None:
        for name, _ in grant.held:
            self._sessions[name] -= 1
            if self._sessions[name] <= 0:
                del self._sessions[name]

    def take_token(self, grant: Grant, now: float) -> None:
        """One token more. Raises AtCapacity."""
        limit = self.policy.tokens_per_minute
        if grant.bucket == LOCAL and not grant.key:
            return
        if limit:
            self._pace("token", ((f"key {grant.key}" if grant.key else f"address {grant.bucket}", limit),), now)

    def take_pairing(self, caller: Caller, now: float) -> None:
        """One try at a pairing code, right or wrong. Raises AtCapacity."""
        bucket = bucket_of(caller)
        for name, limit in ((f"try {bucket}", self.policy.tries_per_minute), ("pair", self.policy.pairings_per_minute)):
            if not self._rate(name, limit, now).take(now):
                raise AtCapacity(
                    "too many pairing codes were tried; wait a little",
                    reason="TOO_MANY_TRIES",
                    retry_after_s=self._rate(name, limit, now).wait_s(now),
                )

    def _pace(self, what: str, paced: Iterable[tuple[str, int]], now: float) -> None:
        rates = [(name, limit, self._rate(f"{what} {name}", limit, now)) for name, limit in paced]
        for name, limit, rate in rates:
            if (wait_s := rate.wait_s(now)) > 0:
                things = "tokens" if what == "token" else "sessions"
                raise AtCapacity(
                    f"{_whose(name)} asked for more than {limit} {things} a minute; try again in {wait_s:.0f} s",
                    reason="TOO_OFTEN",
                    retry_after_s=wait_s,
                )
        for _, _, rate in rates:
            rate.take(now)

    def _failed(self, bucket: str, now: float, error: Denied) -> None:
        self.denied += 1
        # What was good once is what a page has that slept, not a guess.
        if error.reason not in GUESSES:
            return
        rate = self._rate(f"try {bucket}", self.policy.tries_per_minute, now)
        if not rate.take(now):
            raise AtCapacity(
                "too many wrong keys or tokens from this address; wait a little",
                reason="TOO_MANY_TRIES",
                retry_after_s=rate.wait_s(now),
            ) from error

    def _rate(self, name: str, per_minute: int, now: float) -> Allowance:
        """The least recently used go when there are too many."""
        found = self._rates.get(name)
        if found is None:
            found = self._rates[name] = Allowance(per_minute / 60, per_minute, now)
            while len(self._rates) > self.policy.addresses:
                self._rates.popitem(last=False)
        else:
            self._rates.move_to_end(name)
        return found


# --- addresses -------------------------------------------------------------------------------------------------------


def bucket_of(caller: Caller) -> str:
    """Whom a limit counts together: this machine, an IPv4 address, or the /64 of an IPv6 address, which is one
    customer's. What came through a proxy that is not trusted counts as the proxy's."""
    address = _parsed(caller.address)
    if address is None:
        return LOCAL if caller.address.startswith("unix:") and not caller.proxied else caller.address[:100] or "unknown"
    if address.is_loopback:
        return "proxy" if caller.proxied else LOCAL
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((address, 64), strict=False))


def client_address(remote: str, forwarded: Iterable[str], trusted: Iterable[Network]) -> str:
    """The client's own address: of those in X-Forwarded-For (`forwarded`, each header as it came), seen from our side,
    the first that is no trusted proxy's. Who is no trusted proxy is not believed, and is the client."""
    trusted = tuple(trusted)
    hops = [hop.strip() for line in forwarded for hop in line.split(",") if hop.strip()]
    current = remote
    while hops and _is_in(current, trusted):
        hop = hops.pop()
        if _parsed(hop) is None:
            return current
        current = hop
    return current


def seen(remote: str, headers: Iterable[str], forwarded: Iterable[str], trusted: Iterable[Network]) -> tuple[str, bool]:
    """Whose a request is, and whether it came through a proxy. `headers` are the names of those it has, `forwarded`
    what X-Forwarded-For says. The address of a proxy that is not trusted is nobody's: it opens no door, and limits
    count all who come through it together."""
    if not any(name.lower() in PROXY_HEADERS or name.lower().startswith("x-forwarded-") for name in headers):
        return remote, False
    client = client_address(remote, forwarded, trusted)
    return (client if client != remote else f"proxy:{remote}"), True


def networks(texts: Iterable[str], what: str) -> tuple[Network, ...]:
    """Of "10.0.0.0/8", "192.168.1.5", "fd00::/8". Raises Misconfigured."""
    found: list[Network] = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text.strip()))
        except ValueError as error:
            raise Misconfigured(
                f"{what}: {text!r} is neither an address nor a network, such as 10.1.0.0/16 ({error})",
                reason="BAD_ADDRESS",
            ) from error
    return tuple(found)


def _is_in(address: str, trusted: tuple[Network, ...]) -> bool:
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in trusted)


def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address in figures, also as "1.2.3.4:80", "[::1]:80", and as gRPC has it, "ipv4:1.2.3.4:80"."""
    text = text.strip()
    for prefix in ("ipv4:", "ipv6:"):
        text = text.removeprefix(prefix)
    text = text.replace("%5B", "[").replace("%5D", "]")
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _what_to_do(caller: Caller, bucket: str, keys: bool) -> str:
    make = "`antiphon keys add` on the server makes one, `antiphon keys pair` lets a device in"
    if keys:
        return f"this server asks for an access key: send it as `key` of session_start, or as a bearer token; {make}"
    if caller.proxied:
        return (
            "this came through a proxy, and without an access key only this machine itself is served; "
            f"{make}; send it as `key` of session_start, or as a bearer token"
        )
    if bucket == LOCAL:
        return f'this server serves nobody without an access key (without_key = "nobody"); {make}'
    return (
        f"without an access key only this machine itself is served, not {caller.address[:100]}; {make}; "
        "send it as `key` of session_start, or as a bearer token"
    )


def _listed(scopes: frozenset[str]) -> str:
    return " and ".join(SCOPES[s] for s in sorted(scopes)) or "nothing"


def _whose(name: str) -> str:
    kind, _, which = name.partition(" ")
    return "this token" if kind == "token" else f"{kind} {which}"


def require_named(grant: Grant, scope: str, what: str) -> None:
    """Raises Denied where a grant lacks a scope that only part of a request takes."""
    if scope not in grant.scopes:
        raise Denied(f"{what} takes a key with the scope `{scope}`", reason="KEY_SCOPE", where=what)


def checked_text(value: str, what: str, most: int = 200) -> str:
    """A name that a client chose. Raises BadRequest."""
    if len(value) > most or not value.isprintable():
        raise BadRequest(f"{what} is to be printable and of at most {most} characters", where=what)
    return value
