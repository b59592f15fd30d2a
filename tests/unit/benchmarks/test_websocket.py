"""The client's frames, and the server's read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.websocket import BINARY, TEXT, Frames, encode

pytestmark = pytest.mark.unit


def served(kind: int, payload: bytes) -> bytes:
    """As a server sends it: without a mask."""
    size = len(payload)
    if size < 126:
        return bytes([0x80 | kind, size]) + payload
    if size < 65_536:
        return bytes([0x80 | kind, 126]) + size.to_bytes(2) + payload
    return bytes([0x80 | kind, 127]) + size.to_bytes(8) + payload


@given(
    st.lists(st.tuples(st.sampled_from([TEXT, BINARY]), st.sampled_from([0, 1, 125, 126, 700, 65_535, 65_536]))),
    st.lists(st.integers(1, 5000)),
)
def test_frames_come_whole_however_they_are_cut(frames: list[tuple[int, int]], cuts: list[int]) -> None:
    sent = [(kind, bytes([i % 256]) * size) for i, (kind, size) in enumerate(frames)]
    stream = b"".join(served(kind, payload) for kind, payload in sent)
    parser, found = Frames(), []
    for cut in cuts:
        found += parser.push(stream[:cut])
        stream = stream[cut:]
    assert found + parser.push(stream) == sent


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_a_client_masks_with_zeros(size: int) -> None:
    payload = bytes(range(256)) * 257
    frame = encode(BINARY, payload[:size])
    assert frame[0] == 0x82
    assert frame[1] & 0x80
    assert frame.endswith(bytes(4) + payload[:size])


@pytest.mark.parametrize("head", [b"\x02\x01x", b"\x80\x01x", b"\x82\x81\0\0\0\0x"])
def test_a_fragment_or_a_masked_frame_is_refused(head: bytes) -> None:
    with pytest.raises(ValueError, match="not one whole"):
        Frames().push(head)
