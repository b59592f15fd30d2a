"""What a token is good for, and what is none."""

from __future__ import annotations

import base64
import json

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import Denied
from orchestrator.tokens import LEEWAY_S, Signer, Token, key_of_room, looks_like_token, mint, verify

pytestmark = pytest.mark.unit

OURS = Signer("a secret of thirty-two characters")
LIVEKIT = Signer("another secret of 32 characters..", issuer="APIabc", agent="antiphon")
NOW = 1_800_000_000.0
UNVERIFIED = {"verify_signature": False}


def why(token: str, *, signer: Signer = OURS, now: float = NOW, room: str | None = None) -> str:
    with pytest.raises(Denied) as refused:
        verify(signer, token, now=now, room=room)
    return refused.value.reason


def signed(**claims: object) -> str:
    whole = {"iss": "antiphon", "sub": "me", "exp": NOW + 60, "video": {"roomJoin": True, "room": "r"}, **claims}
    kept = {name: value for name, value in whole.items() if value is not None}
    return jwt.encode(kept, OURS.secret, algorithm="HS256")


@given(
    room=st.text(min_size=1, max_size=60),
    identity=st.text(max_size=60),
    name=st.text(max_size=60),
    ttl=st.floats(1, 1e6),
    after=st.floats(0, 1),
)
def test_what_is_minted_is_read_again_until_it_expires(
    room: str, identity: str, name: str, ttl: float, after: float
) -> None:
    for signer in (OURS, LIVEKIT):
        token = mint(signer, room=room, identity=identity, name=name, key="k1", now=NOW, ttl_s=ttl)
        assert looks_like_token(token)
        found = verify(signer, token, now=NOW + ttl * after, room=room)
        assert found == Token(room, identity, found.expires, name, "k1")
        assert NOW + ttl <= found.expires < NOW + ttl + 2
        assert why(token, signer=signer, now=found.expires + LEEWAY_S) == "TOKEN_EXPIRED"
        assert why(token, signer=signer, now=NOW - LEEWAY_S - 2) == "TOKEN_EARLY"
        assert why(token, signer=signer, room=room + "x") == "TOKEN_OTHER_ROOM"


def test_another_servers_token_is_forged() -> None:
    token = mint(OURS, room="r", identity="i", now=NOW, ttl_s=60)
    assert why(token, signer=LIVEKIT) == "TOKEN_FORGED"
    assert why(token, signer=Signer("yet another secret, long enough..")) == "TOKEN_FORGED"


@given(st.data())
def test_a_token_that_was_changed_is_forged(data: st.DataObject) -> None:
    token = mint(OURS, room="r", identity="i", now=NOW, ttl_s=60)
    at = data.draw(st.integers(0, len(token) - 1))
    put = data.draw(st.characters(codec="ascii").filter(lambda c: c != token[at]))
    changed = token[:at] + put + token[at + 1 :]
    # The last character of a part may stand for the same bytes: base64 leaves bits over.
    if _bytes(changed) != _bytes(token):
        assert why(changed) == "TOKEN_FORGED"


def _bytes(token: str) -> list[bytes] | None:
    try:
        return [base64.b64decode(p + "=" * (-len(p) % 4), altchars=b"-_", validate=True) for p in token.split(".")]
    except ValueError:
        return None


@given(st.text(max_size=300))
def test_what_is_no_token_is_forged(text: str) -> None:
    assert why(text) == "TOKEN_FORGED"


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("algorithm", ["none", "None", "HS384", "RS256", ""])
def test_a_token_does_not_say_how_it_is_checked(algorithm: str) -> None:
    claims = {"iss": "antiphon", "sub": "me", "exp": NOW + 60, "video": {"roomJoin": True, "room": "r"}}
    token = f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims)}."
    assert why(token) == "TOKEN_FORGED"
    if algorithm == "HS384":
        assert why(jwt.encode(claims, OURS.secret, algorithm=algorithm)) == "TOKEN_FORGED"


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": None},
        {"exp": "soon"},
        {"exp": True},
        {"exp": 1e400},
        {"sub": None},
        {"iss": None},
        {"iss": "somebody"},
        {"video": None},
        {"video": "yes"},
        {"video": {"room": "r"}},
        {"video": {"roomJoin": "true", "room": "r"}},
        {"video": {"roomJoin": True}},
        {"video": {"roomJoin": True, "room": ""}},
        {"nbf": "later"},
    ],
)
def test_a_signed_token_that_lacks_something_is_forged(claims: dict[str, object]) -> None:
    assert verify(OURS, signed(), now=NOW).room == "r"
    assert why(signed(**claims)) == "TOKEN_FORGED"


@pytest.mark.parametrize("grants", [{"canPublish": False}, {"hidden": True}, {"canPublishSources": ["camera"]}])
def test_a_listener_may_not_speak(grants: dict[str, object]) -> None:
    assert why(signed(video={"roomJoin": True, "room": "r", **grants})) == "TOKEN_LISTENS"


@pytest.mark.parametrize("sources", [[], ["camera", "microphone"]])
def test_whoever_may_use_a_microphone_may_speak(sources: list[str]) -> None:
    video = {"roomJoin": True, "room": "r", "canPublishSources": sources}
    assert verify(OURS, signed(video=video), now=NOW).room == "r"


def test_livekit_is_told_of_the_agent_and_reads_the_token() -> None:
    api = pytest.importorskip("livekit.api", exc_type=ImportError)
    import time

    token = mint(LIVEKIT, room="r", identity="i", name="Ida", key="k", now=time.time(), ttl_s=60)
    claims = api.TokenVerifier(LIVEKIT.issuer, LIVEKIT.secret).verify(token)
    assert (claims.identity, claims.name, claims.video.room, claims.video.room_join) == ("i", "Ida", "r", True)
    assert claims.attributes == {"antiphon.protocol": "1"}
    assert [a.agent_name for a in claims.room_config.agents] == ["antiphon"]


def test_a_token_that_livekit_renewed_is_still_its_keys() -> None:
    """LiveKit keeps what it knows of a token, and leaves out the rest."""
    token = mint(LIVEKIT, room="r", identity="i", key="k", now=NOW, ttl_s=60)
    claims = jwt.decode(token, options=UNVERIFIED)
    assert claims.pop("antiphon_key") == "k"
    renewed = jwt.encode({**claims, "identity": "i", "exp": NOW + 600}, LIVEKIT.secret, algorithm="HS256")
    assert verify(LIVEKIT, renewed, now=NOW + 300).key == "k"


def test_a_room_says_whose_key_made_it() -> None:
    claims = jwt.decode(mint(LIVEKIT, room="r", identity="i", key="k", now=NOW, ttl_s=60), options=UNVERIFIED)
    assert key_of_room(claims["roomConfig"]["metadata"]) == "k"
    claims = jwt.decode(mint(LIVEKIT, room="r", identity="i", now=NOW, ttl_s=60), options=UNVERIFIED)
    assert "metadata" not in claims["roomConfig"]


@given(st.text() | st.sampled_from(['{"antiphon_key": 5}', "[]", '"antiphon_key"', "[" * 100_000, "NaN"]))
def test_other_metadata_names_no_key(metadata: str) -> None:
    assert key_of_room(metadata) == ""


def test_what_livekits_own_tools_mint_is_good_here() -> None:
    api = pytest.importorskip("livekit.api", exc_type=ImportError)
    import time

    made = api.AccessToken(LIVEKIT.issuer, LIVEKIT.secret).with_identity("i")
    token = made.with_grants(api.VideoGrants(room_join=True, room="r")).to_jwt()
    assert verify(LIVEKIT, token, now=time.time(), room="r").identity == "i"
