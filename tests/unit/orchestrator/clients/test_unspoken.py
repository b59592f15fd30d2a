"""A turn that is spoken by one worker after another, each of which dies somewhere."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orchestrator.clients.unspoken import Said, Unspoken
from orchestrator.ports import SpokenMark, SynthAudio, SynthFinished, SynthMarks, VoiceChoice

pytestmark = pytest.mark.unit

CHAR = 10
"""Samples of a code point."""
FRAME = 4


def marks_of(chunk: int, text: str, sample: int) -> list[SpokenMark]:
    """As a worker marks a chunk that begins at `sample`."""
    found = [SpokenMark("chunk_start", chunk, 0, len(text), sample, True)]
    at = 0
    for word in text.split(" "):
        if word:
            found.append(SpokenMark("word", chunk, at, at + len(word), sample + at * CHAR, True))
        at += len(word) + 1
    return [*found, SpokenMark("chunk_end", chunk, 0, len(text), sample + len(text) * CHAR, True)]


def turn(*texts: str) -> Unspoken:
    made = Unspoken(1, VoiceChoice(), FRAME)
    for chunk, text in enumerate(texts):
        made.say(chunk, text, "")
    return made


def give(made: Unspoken, sample: int, samples: int) -> None:
    made.audio(sample, bytes(2 * samples))


def test_nothing_was_heard_of_it():
    made = turn("one two", "three")
    assert made.rest() == [Said(0, "one two", ""), Said(1, "three", "")]


def test_a_word_of_which_a_part_came_is_said_again():
    made = turn("one two three", "four")
    made.marks(marks_of(0, "one two three", 0))
    give(made, 0, 60)  # "one " and half of "two"
    assert made.rest() == [Said(0, "two three", ""), Said(1, "four", "")]
    assert made.base == 60


def test_a_chunk_that_came_whole_is_not_said_again():
    made = turn("one two", "three")
    made.marks(marks_of(0, "one two", 0))
    give(made, 0, 70)
    assert made.backlog == len("three")
    assert made.rest() == [Said(1, "three", "")]


def test_the_last_part_of_a_frame_is_not_waited_for():
    """It comes with the next text, which may be long in coming."""
    made = turn("one two")
    made.marks(marks_of(0, "one two", 0))
    give(made, 0, 66)
    assert made.backlog == len("one two")
    give(made, 66, 1)
    assert made.backlog == 0
    assert made.rest() == []


def test_marks_wait_for_their_sound():
    made = turn("one two")
    assert [m.kind for e in made.marks(marks_of(0, "one two", 0)) for m in e.marks] == ["chunk_start", "word"]
    events = made.audio(0, bytes(2 * 50))
    assert [type(e) for e in events] == [SynthMarks, SynthAudio], "a mark comes before what it marks"
    assert [m.start for m in events[0].marks] == [4]
    assert [type(e) for e in made.audio(50, bytes(2 * 16))] == [SynthAudio]


def test_what_was_marked_and_never_came_is_forgotten():
    made = turn("one two three")
    made.marks(marks_of(0, "one two three", 0))
    give(made, 0, 20)
    assert made.rest() == [Said(0, "one two three", "")]
    made.marks(marks_of(0, "one two three", 0))
    give(made, 0, 50)
    assert made.received == 70
    assert made.rest() == [Said(0, "two three", "")]


def test_the_next_worker_s_marks_are_put_where_they_belong():
    made = turn("one two three")
    made.marks(marks_of(0, "one two three", 0))
    give(made, 0, 60)
    made.rest()
    made.marks(marks_of(0, "two three", 0))
    (marks, audio) = made.audio(0, bytes(2 * 40))
    assert isinstance(audio, SynthAudio)
    assert audio.sample == 60
    assert [(m.start, m.end, m.sample) for m in marks.marks] == [(8, 13, 100)]
    (*_, done) = made.finish(90, 9, 0)
    assert done == SynthFinished(1, 150, 13)


def test_a_second_death_before_anything_came_changes_nothing():
    made = turn("one two three")
    made.marks(marks_of(0, "one two three", 0))
    give(made, 0, 60)
    assert made.rest() == made.rest() == [Said(0, "two three", "")]


def test_a_voice_that_marks_no_words_says_the_chunk_again():
    made = turn("one two", "three four")
    start, *_, end = marks_of(0, "one two", 0)
    made.marks([start, end, SpokenMark("chunk_start", 1, 0, 10, 70, True)])
    give(made, 0, 100)
    assert made.rest() == [Said(1, "three four", "")]


def test_nothing_is_left_where_only_the_end_was_lost():
    made = turn("one")
    made.finished = True
    made.marks(marks_of(0, "one", 0))
    give(made, 0, 30)
    assert made.rest() == []
    assert made.finish(0, 0, 0) == [SynthFinished(1, 30, 3)]


class Workers(RuleBasedStateMachine):
    """Each worker speaks what it is given, marks ahead of its audio, and dies anywhere. The listener writes down what
    of which word it heard."""

    @initialize(texts=st.lists(st.lists(st.sampled_from(("a", "bb", "ccc", "dddd")), min_size=1), min_size=1))
    def begin(self, texts: list[list[str]]) -> None:
        self.made = turn()
        self.texts = [" ".join(words) for words in texts]
        self.given = 0
        self.sent = 0
        self.to_say: list[Said] = []
        self.heard: list[tuple[int, int]] = []
        """(chunk, code point) of every sample heard."""
        self.marks: list[SpokenMark] = []
        self.line: list[tuple[int, int]] = []
        self.over = False

    def _take(self, events: list) -> None:
        for event in events:
            if isinstance(event, SynthMarks):
                self.marks += event.marks
            elif isinstance(event, SynthFinished):
                self.over = True
                assert event.samples == len(self.heard)
                assert event.spoken == sum(map(len, self.texts))

    def _speak(self, said: Said) -> None:
        full = self.texts[said.chunk]
        cut = len(full) - len(said.text)
        self._take(self.made.marks(marks_of(said.chunk, said.text, len(self.line))))
        self.line += [(said.chunk, cut + at // CHAR) for at in range(len(said.text) * CHAR)]

    @rule()
    def wait(self) -> None:
        pass

    @precondition(lambda self: not self.over)
    @rule()
    def write(self) -> None:
        if self.given < len(self.texts):
            self._speak(self.made.say(self.given, self.texts[self.given], ""))
            self.given += 1
        else:
            self.made.finished = True

    @precondition(lambda self: not self.over)
    @rule(samples=st.integers(1, 60))
    def send(self, samples: int) -> None:
        piece = self.line[self.sent : self.sent + samples]
        if piece:
            self._take(self.made.audio(self.sent, bytes(2 * len(piece))))
            self.heard += piece
            self.sent += len(piece)

    @precondition(lambda self: not self.over)
    @rule()
    def die(self) -> None:
        self.line, self.sent = [], 0
        for said in self.made.rest():
            self._speak(said)

    @precondition(lambda self: not self.over and self.made.finished and self.sent == len(self.line))
    @rule()
    def finish(self) -> None:
        self._take(self.made.finish(len(self.line), len(dict.fromkeys(self.line)), 0))
        whole = {(c, at) for c, text in enumerate(self.texts) for at in range(len(text))}
        assert set(self.heard) == whole

    @invariant()
    def every_word_is_heard_in_order_and_none_is_missing(self) -> None:
        for (chunk, at), (next_chunk, next_at) in pairwise(getattr(self, "heard", [])):
            if (next_chunk, next_at) == (chunk, at):
                continue
            text = self.texts[chunk]
            on = (next_chunk, next_at) in ((chunk, at + 1), (chunk + 1, 0))
            word = (chunk, text.rfind(" ", 0, at) + 1)
            assert on or (next_chunk, next_at) == word, "it goes on, or says the word again that broke off"

    @invariant()
    def what_waits_is_what_has_not_ended(self) -> None:
        if hasattr(self, "made"):
            ended = {m.chunk for m in self.marks if m.kind == "chunk_end"}
            assert self.made.backlog == sum(len(s.text) for s in self.made.said if s.chunk not in ended)

    @invariant()
    def a_mark_s_sound_has_come(self) -> None:
        if hasattr(self, "made"):
            assert all(m.sample < len(self.heard) + (FRAME if m.kind == "chunk_end" else 1) for m in self.marks)


TestWorkers = Workers.TestCase
