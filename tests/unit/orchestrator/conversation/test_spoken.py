from __future__ import annotations

import pytest

from orchestrator.conversation.chunker import Chunker
from orchestrator.conversation.spoken import Span, Spoken
from orchestrator.ports import SpokenMark

pytestmark = pytest.mark.unit

RATE = 1000


def spoken(text: str, language: str = "en", *, rate: int = RATE) -> tuple[Spoken, int]:
    """Written and cut; returns how many chunks there are as well."""
    out = Spoken(rate)
    out.wrote(text)
    chunker = Chunker(language)
    chunks = chunker.push(text) + chunker.flush()
    for chunk in chunks:
        out.chunk(chunk)
    return out, len(chunks)


def start(chunk: int, sample: int) -> SpokenMark:
    return SpokenMark("chunk_start", chunk, 0, 0, sample, True)


def end(chunk: int, sample: int) -> SpokenMark:
    return SpokenMark("chunk_end", chunk, 0, 0, sample, True)


def word(chunk: int, first: int, last: int, sample: int) -> SpokenMark:
    return SpokenMark("word", chunk, first, last, sample, True)


def test_a_word_counts_when_the_next_begins() -> None:
    text, chunks = spoken("Five, six, seven, eight.")
    assert chunks == 2
    for mark in [
        *[start(0, 0), word(0, 0, 4, 0), word(0, 6, 9, 500), end(0, 1000)],
        *[start(1, 1000), word(1, 0, 5, 1000), word(1, 7, 12, 1500), end(1, 2000)],
    ]:
        text.mark(mark)
    assert text.heard(0) == ("", "Five, six, seven, eight.")
    assert text.heard(499) == ("", "Five, six, seven, eight.")
    assert text.heard(500) == ("Five,", "six, seven, eight.")
    assert text.heard(1300) == ("Five, six,", "seven, eight.")
    assert text.heard(1999) == ("Five, six, seven,", "eight.")
    assert text.heard(2000) == ("Five, six, seven, eight.", "")


def test_a_chunk_was_heard_with_its_last_whole_frame() -> None:
    """The rest of it comes with what follows; a responder that first waits for it to be heard would wait for ever."""
    text, _ = spoken("Nine, ten.")
    for mark in [start(0, 0), word(0, 0, 4, 0), word(0, 6, 9, 500), end(0, 1019)]:
        text.mark(mark)
    text.received(1000)
    assert text.heard(999) == ("Nine,", "ten.")
    assert not text.heard_up_to(10, 999)
    assert text.heard(1000) == ("Nine, ten.", "")
    assert text.heard_up_to(10, 1000)


def test_words_without_marks_are_reckoned_by_their_characters() -> None:
    text, _ = spoken("aa bbb cccc.")
    text.mark(start(0, 100))
    assert [(s.start, s.end, s.sample, s.exact) for s in text.mark(end(0, 1300))] == [
        (0, 2, 100, False),
        (3, 6, 400, False),
        (7, 12, 800, False),
    ]
    assert text.heard(399)[0] == ""
    assert text.heard(400)[0] == "aa"
    assert text.heard(800)[0] == "aa bbb"
    assert text.heard(1299)[0] == "aa bbb"
    assert text.heard(1300)[0] == "aa bbb cccc."


def test_a_chunk_that_is_still_coming_goes_at_the_pace_so_far() -> None:
    text, _ = spoken("One two three. Four five.")
    text.mark(start(0, 0))
    text.mark(end(0, 1400))
    text.mark(start(1, 1400))
    text.received(1900)
    assert text.heard(1899)[0] == "One two three."
    assert text.heard(1900) == ("One two three. Four", "five.")
    text.received(5000)
    assert text.heard(1900) == ("One two three.", "Four five.")


def test_marks_of_words_come_out_in_the_responders_places() -> None:
    text, _ = spoken("Say **it** now.")
    text.mark(start(0, 0))
    assert text.mark(word(0, 4, 6, 300)) == [Span(6, 8, 300, True)]
    assert text.mark(end(0, 900)) == []


def test_markup_stays_with_the_word_that_it_closes() -> None:
    text, _ = spoken("Say **it** **now** 😀 or *never*.")
    text.mark(start(0, 0))
    length = len("Say it now or never.")
    text.mark(end(0, length * 10))
    assert text.heard(40) == ("Say", "**it** **now** 😀 or *never*.")
    assert text.heard(70) == ("Say **it**", "**now** 😀 or *never*.")
    assert text.heard(110) == ("Say **it** **now**", "😀 or *never*.")
    assert text.heard(length * 10) == ("Say **it** **now** 😀 or *never*.", "")


def test_scripts_without_spaces_are_heard_character_by_character() -> None:
    text, _ = spoken("你好吗。", "zh")
    text.mark(start(0, 0))
    text.mark(end(0, 400))
    assert text.heard(99) == ("", "你好吗。")
    assert text.heard(100) == ("你", "好吗。")
    assert text.heard(399) == ("你好", "吗。")
    assert text.heard(400) == ("你好吗。", "")


def test_what_is_written_and_not_cut_is_not_heard() -> None:
    text, _ = spoken("One two.")
    text.mark(start(0, 0))
    text.mark(end(0, 800))
    text.wrote(" Three")
    assert text.heard(800) == ("One two.", "Three")
    assert text.heard_up_to(8, 800)
    assert not text.heard_up_to(8, 799)
    assert not text.heard_up_to(text.written, 800)


def test_what_nobody_can_say_counts_with_its_neighbour() -> None:
    text, chunks = spoken("One two. 😀")
    assert chunks == 1
    text.mark(start(0, 0))
    text.mark(end(0, 800))
    assert text.heard_up_to(text.written, 800)
    assert text.heard(800) == ("One two. 😀", "")


def test_the_end_of_the_turn_is_the_end_of_the_text_even_without_marks() -> None:
    text, _ = spoken("One two. Three.")
    text.received(700)
    text.finished(700)
    assert text.heard(700) == ("One two. Three.", "")
    assert text.heard(699)[1] != ""


def test_nothing_to_speak_is_heard_when_the_turn_has_ended() -> None:
    text, chunks = spoken("😀")
    assert chunks == 0
    assert text.heard(0) == ("", "😀")
    text.finished(0)
    assert text.heard(0) == ("😀", "")


def test_marks_that_make_no_sense_are_left_out() -> None:
    text, _ = spoken("One two three.")
    assert text.mark(word(7, 0, 3, 0)) == []
    assert text.unknown_marks == 1
    text.mark(start(0, 0))
    assert text.mark(word(0, 4, 7, 500))
    assert text.mark(word(0, 0, 3, 600)) == []
    assert text.mark(word(0, 8, 13, 100)) == []
    assert text.mark(word(0, 9, 9, 700)) == []
    assert text.mark(word(0, 50, 60, 700)) == []
    text.mark(end(0, 400))
    assert text.heard(400)[1] == ""
