from dataclasses import replace

import pytest

from asr.scores import FRAME_SAMPLES, LONGEST_PHONE, Decoded, Evidence, Segment, evidence, words

pytestmark = pytest.mark.unit

PHONES = {"what": 3, "time": 3, "a": 1, "the": 2}.get


def phones(word):
    return PHONES(word, 3)


def seg(word, start, end, posterior=0.9, fit=-50.0):
    return Segment(word, start, end, posterior, fit)


END = seg("</s>", 90, 100)


def test_fillers_are_no_words_and_pronunciations_have_no_number():
    found = words(
        [seg("<s>", 0, 9), seg("the(2)", 9, 20), seg("[NOISE]", 20, 30), seg("<sil>", 30, 90), END], 0, phones, 0.1
    )
    assert [w.text for w in found] == ["the"]


def test_words_are_timed_in_media_samples():
    (word,) = words([seg("what", 10, 35), END], 1_000, phones, 0.1)
    assert (word.start, word.end) == (1_000 + 10 * FRAME_SAMPLES, 1_000 + 35 * FRAME_SAMPLES)


def test_a_word_below_the_floor_does_not_count():
    assert not words([seg("what", 10, 35, posterior=0.05), END], 0, phones, 0.1)


def test_a_word_longer_than_anybody_says_it_does_not_count():
    longest = LONGEST_PHONE * 3
    assert words([seg("what", 0, longest), END], 0, phones, 0.1)
    assert not words([seg("what", 0, longest + 1), END], 0, phones, 0.1)


def test_a_last_word_without_silence_after_it_is_as_sure_as_those_before():
    found = words([seg("what", 0, 30, posterior=0.4), seg("time", 30, 60, posterior=1.0)], 0, phones, 0.1)
    assert [w.confidence for w in found] == [0.4, 0.4]


SAID = Decoded((seg("<sil>", 0, 30), seg("what", 30, 55), seg("time", 55, 85), seg("<sil>", 85, 100)), -100.0, 100)
HEARD = Decoded((seg("<s>", 0, 30), seg("what", 30, 55), seg("time", 55, 85), seg("</s>", 85, 100)), -400.0, 100)


def test_what_was_said_speaks_for_its_phrase():
    assert evidence(SAID, HEARD, phones).confidence() > 0.9


def test_what_fits_worse_than_what_was_heard_speaks_against_it():
    bad = replace(SAID, segments=(SAID.segments[0], replace(SAID.segments[1], fit=-250.0), *SAID.segments[2:]))
    found = evidence(bad, HEARD, phones)
    assert found.loss == pytest.approx(8.0)
    assert found.confidence() < evidence(SAID, HEARD, phones).confidence()


def test_words_around_a_phrase_speak_against_it():
    more = replace(HEARD, segments=(seg("the", 0, 30), *HEARD.segments[1:3], seg("time", 85, 100)))
    found = evidence(SAID, more, phones)
    assert found.outside == 45
    assert found.confidence() < 0.5


def test_a_hole_in_a_phrase_speaks_against_it():
    holed = replace(SAID, segments=(seg("what", 0, 20), seg("<sil>", 20, 80), seg("time", 80, 100)))
    assert evidence(holed, HEARD, phones).gap == 60


def test_no_words_are_no_phrase():
    assert evidence(Decoded((seg("<sil>", 0, 100),), -10.0, 100), HEARD, phones) is None


def test_words_drawn_out_longer_than_anybody_says_them_are_no_phrase():
    assert Evidence(9.0, 0.0, 0, 0, LONGEST_PHONE, 3).confidence() > 0.9
    assert Evidence(9.0, 0.0, 0, 0, LONGEST_PHONE + 1, 3).confidence() == 0.0


def test_confidence_stays_between_0_and_1():
    for extreme in (1e9, -1e9):
        assert 0.0 <= Evidence(extreme, -extreme, 0, 0, 10.0, 3).confidence() <= 1.0
