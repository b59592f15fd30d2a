from __future__ import annotations

from collections.abc import Callable

import pytest

from antiphon.chat.files import Keeper

pytestmark = pytest.mark.unit


class Written:
    """A WavWriter's way of counting, in memory."""

    def __init__(self) -> None:
        self.data = b""

    @property
    def samples(self) -> int:
        return len(self.data) // 2

    def write(self, pcm: bytes) -> None:
        self.data += pcm


def test_kept_is_from_the_first_sound_to_the_last() -> None:
    file = Written()
    heard: Callable[[bytes], None] = Keeper(file).heard
    for pcm in (bytes(4), b"\1\0", bytes(4), b"\2\0", bytes(6)):
        heard(pcm)
    assert file.data == b"\1\0" + bytes(4) + b"\2\0"


def test_nothing_is_kept_without_a_file() -> None:
    Keeper(None).heard(b"\1\0")
