"""What two decodes agree on is stable, for good."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from asr.agreement import LONG, Agreement, Cuts, Heard

pytestmark = pytest.mark.unit

RATE = 16_000
SENTENCE_S, WORD_S, FORCED_S = LONG.sentence_s, LONG.word_s, LONG.forced_s
SOUNDS = (" a", " b.", " B,", "c", " …", " d?", "  ", "")


def said(text: str, start_s: float = 0.0, word_s: float = 0.5) -> list[Heard]:
    """The words of `text`, one every `word_s`."""
    times = [round((start_s + n * word_s) * RATE) for n in range(len(text.split()) + 1)]
    return [Heard(f" {w}", times[n], times[n + 1], 0.9) for n, w in enumerate(text.split())]


def stable(agreement: Agreement) -> str:
    return agreement.text[: agreement.stable]


def test_one_decode_alone_makes_nothing_stable() -> None:
    agreement = Agreement()
    agreement.hear(said("what time"))
    assert (agreement.text, agreement.stable) == ("what time", 0)


def test_the_common_beginning_of_two_decodes_is_stable() -> None:
    agreement = Agreement()
    agreement.hear(said("what time is"))
    agreement.hear(said("what time it is"))
    assert stable(agreement) == "what time"
    assert agreement.text == "what time it is"


def test_a_decode_that_says_stable_words_otherwise_does_not_change_them() -> None:
    agreement = Agreement()
    agreement.hear(said("their story is"))
    agreement.hear(said("their story is old"))
    agreement.hear(said("there storey is old and"))
    assert agreement.text == "their story is old and"
    assert stable(agreement) == "their story is old"


def test_where_stable_words_end_is_told_by_time_if_the_text_says_nothing() -> None:
    agreement = Agreement()
    agreement.hear(said("one two"))
    agreement.hear(said("one two"))
    agreement.hear(said("won too three"))
    assert agreement.text == "one two three"


def test_a_word_said_three_times_is_heard_three_times() -> None:
    agreement = Agreement()
    for text in ("no", "no no", "no no no", "no no no"):
        agreement.hear(said(text))
    agreement.settle(said("no no no"))
    assert agreement.text == "no no no"


def test_case_and_punctuation_do_not_keep_words_from_agreeing() -> None:
    agreement = Agreement()
    agreement.hear(said("hello there."))
    agreement.hear(said("Hello, there I"))
    assert stable(agreement) == "Hello, there"


def test_what_follows_the_last_stable_word_stays_open_until_the_next_is_stable() -> None:
    agreement = Agreement()
    agreement.hear(said("tell me."))
    agreement.hear(said("tell me."))
    assert (agreement.text, stable(agreement)) == ("tell me.", "tell me")
    agreement.hear(said("tell me, a"))
    assert agreement.text == "tell me, a"
    agreement.hear(said("tell me, a story"))
    assert stable(agreement) == "tell me, a"


def test_what_has_no_letters_belongs_to_the_word_before_it() -> None:
    agreement = Agreement()
    agreement.settle([*said("well"), Heard(" –", 8_000, 8_100, 0.5), *said("yes", 0.6)])
    assert agreement.text == "well – yes"
    assert [w.text for w in agreement.words] == [" well –", " yes"]


def test_a_script_without_spaces_is_joined_without_any() -> None:
    agreement = Agreement()
    agreement.settle([Heard("你好", 0, 8_000, 1.0), Heard("吗", 8_000, 9_000, 1.0)])
    assert agreement.text == "你好吗"


def test_the_last_decode_settles_everything() -> None:
    agreement = Agreement()
    agreement.hear(said("tell me a"))
    agreement.settle(said("tell me a story"))
    assert stable(agreement) == agreement.text == "tell me a story"


def test_without_a_last_decode_the_one_before_counts() -> None:
    agreement = Agreement()
    agreement.hear(said("tell me"))
    agreement.settle(None)
    assert agreement.text == "tell me"


def test_a_last_decode_that_heard_nothing_takes_no_stable_word_back() -> None:
    agreement = Agreement()
    agreement.hear(said("tell me"))
    agreement.hear(said("tell me"))
    agreement.settle([])
    assert agreement.text == "tell me"


def test_long_speech_is_cut_at_the_end_of_a_stable_sentence() -> None:
    agreement = Agreement()
    text = " ".join(["one two three four."] * 6 + ["and so on"])
    for _ in range(2):
        agreement.hear(said(text))
    agreement.trim(round((SENTENCE_S + 1.5) * RATE))
    assert agreement.cut == 12 * RATE


def test_a_model_may_want_shorter_clips() -> None:
    agreement = Agreement(cuts=Cuts(4.0, 6.0, 8.0))
    for _ in range(2):
        agreement.hear(said("one two three four. five six seven"))
    agreement.trim(round(3.9 * RATE))
    assert agreement.cut == 0
    agreement.trim(4 * RATE)
    assert agreement.cut == 2 * RATE


def test_without_a_sentence_it_is_cut_at_the_last_stable_word() -> None:
    agreement = Agreement()
    for _ in range(2):
        agreement.hear(said(" ".join(["word"] * 30)))
    agreement.trim(round((WORD_S - 1) * RATE))
    assert agreement.cut == 0
    agreement.trim(round(WORD_S * RATE))
    assert agreement.cut == 15 * RATE


def test_where_no_two_decodes_agree_the_newest_counts_in_the_end() -> None:
    agreement = Agreement()
    end = round(FORCED_S * RATE)
    for n in range(5):
        agreement.hear(said(" ".join(f"w{n}x{i}" for i in range(48))))
    agreement.trim(end)
    assert agreement.cut == 20 * RATE
    assert stable(agreement).startswith("w4x0 w4x1 ")


def test_long_noise_without_words_is_cut_off_as_well() -> None:
    agreement = Agreement()
    agreement.hear([])
    agreement.trim(round((FORCED_S + 1) * RATE))
    assert agreement.cut > 0


def test_the_rest_of_a_word_that_was_cut_off_is_not_heard_again() -> None:
    agreement = Agreement()
    words = " ".join(f"w{n}" for n in range(33))
    for _ in range(2):
        agreement.hear(said(words))
    agreement.trim(round(WORD_S * RATE))
    at = agreement.cut
    assert at == agreement.words[-1].end
    agreement.settle([Heard(" w32", at, at + 2_000, 0.3), Heard(" and", at + 4_000, at + 9_000, 0.9)])
    assert agreement.text == f"{words} and"


def test_it_is_cut_at_a_word_whose_time_is_sure() -> None:
    agreement = Agreement()
    for _ in range(2):
        agreement.hear(said(" ".join(["one two three."] * 9)))
    agreement.trim(round(13.5 * RATE))
    assert agreement.cut == 12 * RATE
    other = Agreement()
    for _ in range(2):
        other.hear(said(" ".join(["word"] * 36)))
    other.trim(round(WORD_S * RATE))
    assert other.cut == 16.5 * RATE


def test_a_stable_word_gets_the_time_that_a_later_decode_has() -> None:
    agreement = Agreement()
    for _ in range(2):
        agreement.hear(said("tell me a"))
    later = [replace(w, start=w.start + 3_000, end=w.end + 3_000) for w in said("Tell me, a story")]
    agreement.hear(later)
    assert [w.start for w in agreement.words] == [w.start for w in later]
    assert agreement.text == "tell me a story"


@given(st.integers(0, 2**32), st.integers(1, 120))
@settings(max_examples=60, deadline=None)
def test_a_decoder_that_is_right_but_for_the_newest_words_is_understood_whole(seed: int, count: int) -> None:
    """Decodes every 0.7 s of up to a minute, whose last two words may be anything and whose times shake a little."""
    chance = random.Random(seed)
    truth = [f"w{n}" + chance.choice(["", "", ",", "."]) for n in range(count)]
    agreement = Agreement()
    longest = 0
    for end in range(round(0.7 * RATE), count * RATE // 2, round(0.7 * RATE)):
        agreement.hear(_decode(truth, agreement.cut, end, chance))
        agreement.trim(end)
        longest = max(longest, end - agreement.cut)
    agreement.settle(_decode(truth, agreement.cut, count * RATE // 2, None))
    assert [_letters(w) for w in agreement.text.split()] == [_letters(w) for w in truth]
    assert longest <= (WORD_S + 1) * RATE


def _decode(truth: list[str], cut: int, end: int, chance: random.Random | None) -> list[Heard]:
    shake = (lambda: chance.randint(-1_500, 1_500)) if chance else (lambda: 0)
    first, last = round(cut / RATE * 2), end * 2 // RATE
    words = [
        Heard(f" {w}", n * RATE // 2 + shake(), (n + 1) * RATE // 2 + shake(), 0.9)
        for n, w in enumerate(truth[first:last], first)
    ]
    if chance and words:
        words[-1] = Heard(f" {chance.choice(['um', 'x', 'wx'])}", words[-1].start, words[-1].end, 0.2)
    return words


def _letters(word: str) -> str:
    return word.rstrip(".,")


class Anything(RuleBasedStateMachine):
    """Whatever decodes say, and whenever audio is cut off: what was published as stable stays the beginning."""

    def __init__(self) -> None:
        super().__init__()
        self.agreement = Agreement(1_000)
        self.end = 1_000
        self.published = ""
        self.cut = 1_000
        self.over = False

    @precondition(lambda self: not self.over)
    @rule(
        more=st.integers(0, 4 * RATE),
        words=st.lists(
            st.tuples(
                st.sampled_from([" a", " b.", " B,", "c", " …", " d?", "  ", ""]), st.floats(0, 1), st.floats(0, 1)
            ),
            max_size=12,
        ),
        last=st.booleans(),
        trim=st.booleans(),
    )
    def decode(self, more: int, words: list[tuple[str, float, float]], last: bool, trim: bool) -> None:
        self.end += more
        room = self.end - self.agreement.cut
        starts = sorted(self.agreement.cut + round(a * room) for _, a, _ in words)
        decoded = [
            Heard(text, start, min(self.end, start + round(length * 8_000)), 0.5)
            for (text, _, length), start in zip(words, starts, strict=True)
        ]
        self.over = last and more % 5 == 0
        if self.over:
            self.agreement.settle(decoded)
            return
        self.agreement.hear(decoded)
        if trim:
            self.agreement.trim(self.end)
            assert self.end - self.agreement.cut < FORCED_S * RATE

    @precondition(lambda self: self.over)
    @rule()
    def another_utterance(self) -> None:
        self.agreement = Agreement(self.end)
        self.cut = self.end
        self.published = ""
        self.over = False

    @invariant()
    def what_is_stable_stays(self) -> None:
        text = self.agreement.text
        assert text.startswith(self.published)
        assert 0 <= self.agreement.stable <= len(text)
        assert self.agreement.stable >= len(self.published)
        self.published = text[: self.agreement.stable]

    @invariant()
    def cuts_go_forward(self) -> None:
        assert self.cut <= self.agreement.cut <= self.end
        self.cut = self.agreement.cut


TestAnything = Anything.TestCase
TestAnything.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
