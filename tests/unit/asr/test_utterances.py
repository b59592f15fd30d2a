from dataclasses import dataclass, field

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from asr.ears import Failed
from asr.recognizer import Final, Partial
from asr.utterances import LONGEST_MESSAGE, MOST_LIVE, MOST_NEWS, Utterances
from base.errors import AtCapacity, Internal

pytestmark = pytest.mark.unit

PCM = bytes(640)
LONGEST_S = 1.0


@dataclass
class Heard:
    """A hearing that a test answers for."""

    utterance: int
    sink: object
    size: int = 0
    finished: int = 0
    cancelled: int = 0
    told: bool = False

    def push_nowait(self, pcm):
        assert not self.finished
        assert not self.cancelled
        self.size += len(pcm)

    def finish_nowait(self):
        self.finished += 1

    def cancel_nowait(self):
        self.cancelled += 1

    def partial(self, text="so far"):
        self.sink(Partial(self.utterance, text))

    def final(self, text="all of it"):
        self.told = True
        self.sink(Final(self.utterance, text))

    def fail(self):
        self.told = True
        self.sink(Failed(self.utterance, Internal("it broke")))


@dataclass
class Session:
    warnings: tuple[str, ...] = ()
    hearings: list[Heard] = field(default_factory=list)
    full: bool = False

    def begin_nowait(self, utterance, sample, sink):
        if self.full:
            raise AtCapacity("no decoder is free", retry_after_s=1.0)
        self.hearings.append(Heard(utterance, sink))
        return self.hearings[-1]

    def close_nowait(self):
        pass


@pytest.fixture
def session():
    return Session()


@pytest.fixture
def utterances(session):
    return Utterances(session, longest_s=LONGEST_S, wake=lambda: None)


def taken(utterances):
    out = []
    while (news := utterances.take()) is not None:
        out.append(news)
    return out


def test_an_utterance_goes_from_audio_over_its_end_to_its_final(session, utterances):
    utterances.audio(1, 0, PCM)
    utterances.audio(1, 320, PCM)
    utterances.end(1)
    (heard,) = session.hearings
    assert (heard.size, heard.finished) == (2 * len(PCM), 1)
    heard.final("hello")
    assert taken(utterances) == [Final(1, "hello")]
    assert utterances.hearing == 0


def test_the_next_may_begin_before_the_final_of_the_last(session, utterances):
    utterances.audio(1, 0, PCM)
    utterances.audio(2, 0, PCM)
    one, two = session.hearings
    assert one.finished == 1
    utterances.end(2)
    two.final("two")
    one.final("one")
    assert [n.text for n in taken(utterances)] == ["two", "one"]


def test_one_that_ended_without_audio_has_no_words(utterances):
    utterances.end(4)
    assert taken(utterances) == [Final(4, "")]


def test_a_newer_partial_replaces_one_that_waits_and_a_final_replaces_both(session, utterances):
    utterances.audio(1, 0, PCM)
    (heard,) = session.hearings
    heard.partial("a")
    heard.partial("a b")
    assert taken(utterances) == [Partial(1, "a b")]
    heard.partial("a b c")
    heard.final("a b c d")
    assert taken(utterances) == [Final(1, "a b c d")]


def test_a_full_house_fails_the_utterance_and_not_the_next(session, utterances):
    session.full = True
    utterances.audio(1, 0, PCM)
    utterances.audio(1, 320, PCM)
    utterances.end(1)
    (failed,) = taken(utterances)
    assert isinstance(failed.error, AtCapacity)
    session.full = False
    utterances.audio(2, 0, PCM)
    assert len(session.hearings) == 1


@pytest.mark.parametrize(
    ("pcm", "reason"), [(b"\0\0\0", "ODD_AUDIO"), (bytes(LONGEST_MESSAGE + 2), "AUDIO_TOO_LONG")], ids=["odd", "long"]
)
def test_bad_audio_ends_its_utterance_with_the_reason(session, utterances, pcm, reason):
    utterances.audio(1, 0, PCM)
    utterances.audio(1, 320, pcm)
    (failed,) = taken(utterances)
    assert failed.error.reason == reason
    assert session.hearings[0].cancelled == 1


def test_one_that_gets_too_long_is_ended_with_what_was_heard_and_it_is_said_where(session, utterances):
    for number in range(60):
        utterances.audio(1, 800 + number * len(PCM) // 2, PCM)
    (heard,) = session.hearings
    assert (heard.size, heard.finished, heard.cancelled) == (LONGEST_S * 32_000, 1, 0)
    heard.final("a long story")
    utterances.audio(1, 0, PCM)
    utterances.end(1)
    assert taken(utterances) == [Final(1, "a long story", end=800 + LONGEST_S * 16_000)]


def test_a_stream_has_so_many_at_once(session, utterances):
    for utterance in range(1, MOST_LIVE + 2):
        utterances.audio(utterance, 0, PCM)
    (failed,) = taken(utterances)
    assert (failed.utterance, failed.error.reason) == (MOST_LIVE + 1, "AT_CAPACITY")


def test_who_drains_refuses_new_ones_and_finishes_the_rest(session, utterances):
    utterances.audio(1, 0, PCM)
    utterances.drain()
    utterances.audio(1, 320, PCM)
    utterances.end(1)
    session.hearings[0].final("done")
    utterances.audio(2, 0, PCM)
    done, refused = taken(utterances)
    assert done == Final(1, "done")
    assert refused.error.reason == "DRAINING"


def test_one_cancelled_before_its_audio_ends_the_one_before(session, utterances):
    utterances.audio(0, 0, PCM)
    utterances.cancel(1)
    (heard,) = session.hearings
    assert heard.finished == 1
    heard.final("whole")
    utterances.audio(1, 0, PCM)
    assert taken(utterances) == [Final(0, "whole")]


@pytest.mark.parametrize(
    "go_on",
    [lambda u: u.audio(MOST_NEWS + 1, 0, PCM), lambda u: u.end(MOST_NEWS + 1), lambda u: u.cancel(MOST_NEWS + 1)],
    ids=["audio", "end", "cancel"],
)
def test_a_client_that_does_not_read_is_told_so(utterances, go_on):
    for utterance in range(MOST_NEWS + 1):
        utterances.end(utterance)
    with pytest.raises(AtCapacity, match="unread"):
        go_on(utterances)
    assert [utterances.take().utterance for _ in range(MOST_NEWS)] == list(range(MOST_NEWS))
    with pytest.raises(AtCapacity, match="unread"):
        utterances.take()


def test_news_that_nobody_asked_for_is_bounded_too(session, utterances):
    for utterance in range(MOST_NEWS):
        utterances.end(utterance)
    utterances.audio(MOST_NEWS, 0, PCM)
    (heard,) = session.hearings
    heard.partial()
    heard.final()
    assert utterances.hearing == 0
    with pytest.raises(AtCapacity, match="unread"):
        utterances.audio(MOST_NEWS + 1, 0, PCM)


class Protocol(RuleBasedStateMachine):
    """Whatever comes in whatever order: one end for each utterance that had audio or an end, none for a cancelled."""

    def __init__(self):
        super().__init__()
        self.session = Session()
        self.woken = 0
        self.utterances = Utterances(self.session, longest_s=LONGEST_S, wake=self.wake)
        self.ends = {}
        self.seen = set()
        self.cancelled = set()
        self.newest = -1

    def wake(self):
        self.woken += 1

    @rule(
        utterance=st.integers(0, 12),
        pcm=st.sampled_from([PCM, PCM, b"", b"\0", bytes(9_600), bytes(LONGEST_MESSAGE + 2)]),
    )
    def audio(self, utterance, pcm):
        if utterance > self.newest:
            self.newest = utterance
            self.seen.add(utterance)
        self.utterances.audio(utterance, 0, pcm)

    @rule(utterance=st.integers(0, 12))
    def end(self, utterance):
        if utterance > self.newest:
            self.newest = utterance
            self.seen.add(utterance)
        self.utterances.end(utterance)

    @rule(utterance=st.integers(0, 12))
    def cancel(self, utterance):
        self.newest = max(self.newest, utterance)
        if utterance not in self.ends:
            self.cancelled.add(utterance)
        self.utterances.cancel(utterance)

    @rule(full=st.booleans())
    def house(self, full):
        self.session.full = full

    @rule(number=st.integers(0, 12), how=st.sampled_from(["partial", "final", "fail"]))
    def tell(self, number, how):
        live = [h for h in self.session.hearings if not h.told and not h.cancelled]
        if live:
            heard = live[number % len(live)]
            if how != "final" or heard.finished:
                getattr(heard, how)()

    @rule()
    def read(self):
        for news in taken(self.utterances):
            assert news.utterance not in self.ends, "news after the end"
            assert news.utterance not in self.cancelled, "news of a cancelled one"
            assert news.utterance in self.seen
            if not isinstance(news, Partial):
                self.ends[news.utterance] = news

    @invariant()
    def at_most_one_end_and_one_cancel_each(self):
        assert all(h.finished <= 1 and h.cancelled <= 1 for h in self.session.hearings)

    @invariant()
    def few_are_heard_at_once(self):
        assert self.utterances.hearing <= MOST_LIVE

    @invariant()
    def the_count_is_that_of_the_hearings(self):
        assert self.utterances.hearing == sum(not h.told and not h.cancelled for h in self.session.hearings)

    def teardown(self):
        self.utterances.end_last()
        for heard in self.session.hearings:
            assert heard.finished or heard.cancelled or heard.told
            if not heard.told and not heard.cancelled:
                heard.final()
        self.read()
        assert set(self.ends) | self.cancelled >= self.seen
        assert self.utterances.hearing == 0


TestProtocol = Protocol.TestCase
TestProtocol.settings = hypothesis_settings(max_examples=150, stateful_step_count=40, deadline=None)
