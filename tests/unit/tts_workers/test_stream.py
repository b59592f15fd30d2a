"""Single rules of a stream, one by one; test_stream_machine.py mixes them."""

from __future__ import annotations

import pytest

from base.errors import AtCapacity, Internal
from tts_workers import values as v
from tts_workers.engine import MarkKind, Style
from tts_workers.stream import MAX_CHUNKS, MAX_UNWRITTEN, Stream, StreamConfig

pytestmark = pytest.mark.unit

CONFIG = StreamConfig(frame=10, ahead=100, max_backlog=4000, max_turns=4, reserve_s=30.0, stall_s=120.0, job_s=30.0)


class Driver:
    """Carries out the obvious and keeps what was written."""

    def __init__(self, config: StreamConfig = CONFIG) -> None:
        self.stream = Stream(config)
        self.now = 0.0
        self.done: list[v.Command] = []
        self.frames: list[v.Frame] = []

    def tell(self, *events: v.Event) -> None:
        for event in events:
            self.run(self.stream.handle(event, self.now))

    def run(self, commands: list[v.Command]) -> None:
        for command in commands:
            self.done.append(command)
            if isinstance(command, v.AskSlot):
                self.tell(v.SlotGiven())

    def write(self) -> None:
        while True:
            frame, commands = self.stream.next_frame(self.now)
            self.run(commands)
            if frame is None:
                return
            self.frames.append(frame)

    def tick(self, now: float) -> None:
        self.now = now
        self.run(self.stream.handle_timer(now))

    def job(self) -> v.Job:
        return [c.job for c in self.done if isinstance(c, v.Start)][-1]

    def of(self, kind: type) -> list:
        return [f for f in self.frames if isinstance(f, kind)]

    def commands(self, kind: type) -> list:
        return [c for c in self.done if isinstance(c, kind)]


def pcm(samples: int) -> bytes:
    return b"\1\0" * samples


def test_the_first_message_has_one_frame_and_later_ones_up_to_five_and_the_last_is_padded() -> None:
    d = Driver()
    d.tell(v.Credit(1, 10_000), v.Text(1, "hello"), v.EndOfTurn(1))
    d.tell(v.Produced(1, pcm(83)), v.JobDone(1))
    d.write()
    audio = d.of(v.Audio)
    assert [(a.sample, len(a.pcm) // 2) for a in audio] == [(0, 10), (10, 50), (60, 30)]
    assert audio[-1].pcm == pcm(23) + bytes(14)
    assert d.of(v.Finished) == [v.Finished(1, v.Reason.COMPLETED, 90, 5)]


def test_a_frame_is_whole_before_it_goes_unless_the_turn_is() -> None:
    d = Driver()
    d.tell(v.Credit(1, 10_000), v.Text(1, "hello"))
    d.tell(v.Produced(1, pcm(19)), v.JobDone(1))
    d.write()
    assert sum(len(a.pcm) // 2 for a in d.of(v.Audio)) == 10
    d.tell(v.Text(1, "more", 1))
    d.tell(v.Produced(2, pcm(11)), v.JobDone(2))
    d.write()
    assert sum(len(a.pcm) // 2 for a in d.of(v.Audio)) == 30
    assert not d.of(v.Finished)


def test_a_chunk_end_is_told_before_its_turn_finishes_also_when_all_audio_is_out() -> None:
    d = Driver()
    d.tell(v.Credit(1, 10_000), v.Text(1, "hello"), v.EndOfTurn(1))
    d.tell(v.Produced(1, pcm(20)))
    d.write()
    d.tell(v.JobDone(1))
    d.write()
    kinds = [m.kind for f in d.of(v.Marks) for m in f.marks]
    assert kinds == [MarkKind.CHUNK_START, MarkKind.CHUNK_END]
    assert isinstance(d.frames[-1], v.Finished)


def test_the_end_of_a_paused_turn_waits_too() -> None:
    d = Driver()
    d.tell(v.Credit(1, 10_000), v.Text(1, "hello"))
    d.tell(v.Produced(1, pcm(20)), v.JobDone(1))
    d.write()
    d.tell(v.Control(1, v.Action.PAUSE), v.EndOfTurn(1))
    before = list(d.frames)
    d.write()
    assert d.frames == before
    d.tell(v.Control(1, v.Action.RESUME))
    d.write()
    assert d.of(v.Finished)


def test_an_error_of_a_paused_turn_does_not_wait() -> None:
    d = Driver()
    d.tell(v.Credit(1, 10_000), v.Text(1, "hello"), v.Control(1, v.Action.PAUSE), v.JobFailed(1, Internal("broken")))
    d.write()
    assert [type(f) for f in d.frames] == [v.Failed, v.Finished]


def test_a_turn_can_be_paused_before_its_text_comes() -> None:
    d = Driver()
    d.tell(v.Control(3, v.Action.PAUSE), v.Credit(3, 10_000), v.Text(3, "hello"), v.Produced(1, pcm(50)))
    d.write()
    assert d.frames == []


def test_the_engine_is_started_once_a_chunk_and_told_what_came_before() -> None:
    d = Driver()
    style = Style(rate=2.0)
    d.tell(v.Credit(1, 10_000))
    d.tell(
        v.Text(1, "one", 7, "de", "anna", style), v.Text(1, "…", 8), v.Text(1, "two", 9, voice="bob"), v.EndOfTurn(1)
    )
    first = d.job()
    assert first == v.Job(1, 1, 7, "one", True, False, "", "de", "anna", style, 0)
    d.tell(v.Produced(1, pcm(50)), v.JobDone(1))
    second = d.job()
    assert second == v.Job(2, 1, 9, "two", False, True, "…", "", "anna", style, 50)


def test_the_engine_runs_ahead_so_far_and_no_further() -> None:
    d = Driver()
    d.tell(v.Text(1, "one"), v.Text(1, "two", 1))
    (start,) = d.commands(v.Start)
    assert start.until_sample == 100
    d.tell(v.Produced(1, pcm(120)), v.JobDone(1))
    assert len(d.commands(v.Start)) == 1
    d.tell(v.Credit(1, 30))
    d.write()
    assert len(d.commands(v.Start)) == 2
    assert d.commands(v.Start)[1].until_sample == 130
    assert not d.commands(v.Allow)


def test_a_running_job_is_allowed_more_in_steps_as_audio_goes_out() -> None:
    d = Driver()
    d.tell(v.Credit(1, 10_000), v.Text(1, "one"))
    for _ in range(10):
        d.tell(v.Produced(1, pcm(20)))
        d.write()
    allowed = [a.until_sample for a in d.commands(v.Allow)]
    assert allowed == sorted(allowed)
    assert len(allowed) <= 200 // (100 // 2)
    assert allowed[-1] > 200 + 100 - 50


def test_what_was_made_and_not_sent_is_wasted() -> None:
    d = Driver()
    d.tell(v.Credit(1, 20), v.Text(1, "one two six"))
    d.tell(v.Produced(1, pcm(70), (v.Word(0, 3, 0), v.Word(4, 7, 20), v.Word(8, 11, 30)), held=400))
    d.write()
    d.tell(v.Control(1, v.Action.STOP))
    d.write()
    assert d.of(v.Finished) == [v.Finished(1, v.Reason.STOPPED, 20, 4, 450)]
    assert d.commands(v.Cancel) == [v.Cancel(1)]


def test_a_turn_ended_and_then_given_text_fails() -> None:
    d = Driver()
    d.tell(v.Credit(1, 10_000), v.Text(1, "hello"), v.EndOfTurn(1), v.Text(1, "again"))
    d.write()
    assert [f.error.reason for f in d.of(v.Failed)] == ["TURN_ENDED"]
    assert d.of(v.Finished)[0].reason is v.Reason.FAILED


def test_text_of_a_turn_that_is_over_is_an_error_of_it_once_a_time() -> None:
    d = Driver()
    d.tell(v.EndOfTurn(1))
    d.tell(v.Text(1, "again"), v.EndOfTurn(1), v.Credit(1, 99), v.Control(1, v.Action.PAUSE))
    d.write()
    assert [f.error.reason for f in d.of(v.Failed)] == ["TURN_OVER"]
    assert len(d.of(v.Finished)) == 1


def test_text_of_a_stopped_or_failed_turn_was_on_its_way_and_is_ignored() -> None:
    d = Driver()
    d.tell(v.Text(1, "hello"), v.Control(1, v.Action.STOP), v.Text(1, "more"), v.EndOfTurn(1))
    d.tell(v.Text(2, "hello"), v.JobFailed(2, Internal("broken")), v.Text(2, "more"), v.EndOfTurn(2))
    d.write()
    assert [(f.turn, f.reason) for f in d.of(v.Finished)] == [(1, v.Reason.STOPPED), (2, v.Reason.FAILED)]
    assert len(d.of(v.Failed)) == 1


def test_a_turn_that_was_only_reserved_does_not_hold_up_a_later_one() -> None:
    d = Driver()
    d.tell(v.Reserve(1), v.Credit(2, 10_000), v.Text(2, "hello"), v.EndOfTurn(2))
    d.tell(v.Produced(1, pcm(10)), v.JobDone(1))
    d.write()
    assert d.of(v.Reserved) == [v.Reserved(1)]
    assert [f.turn for f in d.of(v.Finished)] == [2]
    assert d.commands(v.AskSlot) == [v.AskSlot()]
    assert d.commands(v.ReturnSlot) == [v.ReturnSlot()]
    d.tell(v.Text(1, "late"))
    d.write()
    assert [f.error.reason for f in d.of(v.Failed)] == ["TURN_ORDER"]


def test_two_turns_share_the_streams_slot() -> None:
    d = Driver()
    d.tell(v.Credit(1, 100), v.Text(1, "hello"), v.Reserve(2))
    d.write()
    assert d.of(v.Reserved) == [v.Reserved(2)]
    d.tell(v.Control(1, v.Action.STOP))
    assert len(d.commands(v.AskSlot)) == 1
    assert not d.commands(v.ReturnSlot)
    d.tell(v.Control(2, v.Action.STOP))
    assert len(d.commands(v.ReturnSlot)) == 1


def test_a_reservation_lapses_and_text_takes_a_slot_again() -> None:
    d = Driver()
    d.tell(v.Reserve(1))
    assert d.stream.next_deadline() == 30.0
    d.tick(30.0)
    assert len(d.commands(v.ReturnSlot)) == 1
    d.tell(v.Credit(1, 100), v.Text(1, "hello"), v.EndOfTurn(1))
    assert len(d.commands(v.AskSlot)) == 2


def test_a_refused_slot_fails_all_who_wanted_it() -> None:
    full = AtCapacity("full")
    stream = Stream(CONFIG)
    assert stream.handle(v.Text(1, "hello"), 0.0) == [v.AskSlot()]
    assert stream.handle(v.Reserve(2), 0.0) == []
    assert stream.handle(v.EndOfTurn(3), 0.0) == []
    assert stream.handle(v.SlotRefused(full), 0.0) == []
    frames = []
    while (frame := stream.next_frame(0.0)[0]) is not None:
        frames.append(frame)
    assert frames == [
        v.Failed(1, full),
        v.Finished(1, v.Reason.FAILED, 0, 0),
        v.Failed(2, full),
        v.Finished(2, v.Reason.FAILED, 0, 0),
        v.Finished(3, v.Reason.COMPLETED, 0, 0),
    ]


def test_an_engine_that_gives_nothing_fails_its_turn_unless_it_is_we_who_are_full() -> None:
    d = Driver()
    d.tell(v.Text(1, "hello"))
    d.tick(29.0)
    assert d.frames == []
    d.tell(v.Produced(1, pcm(100)))
    assert d.stream.next_deadline() == 29.0 + 120.0
    d.tell(v.Credit(1, 100))
    d.write()
    d.tick(29.0 + 30.0)
    d.write()
    assert [f.error.reason for f in d.of(v.Failed)] == ["ENGINE_STALLED"]
    assert d.commands(v.Cancel) == [v.Cancel(1)]


def test_a_turn_that_stands_still_fails() -> None:
    d = Driver()
    d.tell(v.Credit(1, 1000), v.Text(1, "hello"), v.Produced(1, pcm(20)), v.JobDone(1))
    d.write()
    d.tick(119.0)
    assert not d.of(v.Failed)
    d.tick(120.0)
    d.write()
    assert [f.error.reason for f in d.of(v.Failed)] == ["TURN_STALLED"]
    assert len(d.commands(v.ReturnSlot)) == 1


@pytest.mark.parametrize(("text", "count"), [("x" * 1001, 4), ("", MAX_CHUNKS + 1)])
def test_more_than_may_wait_fails_the_turn_that_exceeds_it(text: str, count: int) -> None:
    d = Driver()
    d.tell(v.Text(1, "hold the line"))
    for _ in range(count):
        d.tell(v.Text(2, text))
    d.write()
    assert [(f.turn, f.error.reason) for f in d.of(v.Failed)] == [(2, "BACKLOG")]
    assert [f.turn for f in d.of(v.Finished)] == [2]


def test_too_many_turns_at_once_are_refused_one_by_one() -> None:
    d = Driver()
    for turn in range(1, 7):
        d.tell(v.Text(turn, "hello"))
    d.write()
    assert [(f.turn, f.error.reason) for f in d.of(v.Failed)] == [(5, "TOO_MANY_TURNS"), (6, "TOO_MANY_TURNS")]


def test_who_does_not_read_is_cut_off() -> None:
    d = Driver()
    for turn in range(MAX_UNWRITTEN + 1):
        d.tell(v.EndOfTurn(turn))
    (abort,) = d.commands(v.Abort)
    assert abort.error.reason == "NOT_READING"
    for turn in range(MAX_UNWRITTEN + 1, 2 * MAX_UNWRITTEN):
        d.tell(v.EndOfTurn(turn))
    d.write()
    assert len(d.frames) == MAX_UNWRITTEN + 1, "nothing more is kept for it"


def test_closing_gives_everything_back_and_what_comes_later_changes_nothing() -> None:
    d = Driver()
    d.tell(v.Credit(1, 1000), v.Text(1, "hello"), v.Closed())
    assert d.done[-2:] == [v.Cancel(1), v.ReturnSlot()]
    d.tell(v.Produced(1, pcm(100)), v.Text(2, "hello"), v.Control(1, v.Action.STOP))
    d.write()
    assert d.frames == []
    stream = Stream(CONFIG)
    stream.handle(v.Text(1, "hello"), 0.0)
    stream.handle(v.Closed(), 0.0)
    assert stream.handle(v.SlotGiven(), 0.0) == [v.ReturnSlot()]


def test_flush_opens_no_turn() -> None:
    d = Driver()
    d.tell(v.Flush(9))
    assert d.stream.open_turns == ()
    d.tell(v.Text(1, "hello"))
    assert d.job().turn == 1


def test_a_flush_lets_everything_sound_to_its_end_and_more_text_goes_on_after_it() -> None:
    d = Driver()
    d.tell(v.Credit(1, 10_000), v.Text(1, "hello"))
    d.tell(v.Produced(1, pcm(15)), v.Flush(1))
    d.write()
    assert sum(len(a.pcm) // 2 for a in d.of(v.Audio)) == 10, "the engine may give more of it"
    d.tell(v.JobDone(1))
    d.write()
    assert sum(len(a.pcm) // 2 for a in d.of(v.Audio)) == 20
    assert [m.sample for ms in d.of(v.Marks) for m in ms.marks if m.kind is MarkKind.CHUNK_END] == [15]
    assert not d.of(v.Finished)
    d.tell(v.Text(1, "more", 1))
    d.tell(v.Produced(2, pcm(15)), v.JobDone(2))
    d.write()
    starts = [m.sample for ms in d.of(v.Marks) for m in ms.marks if m.kind is MarkKind.CHUNK_START]
    assert starts == [0, 20]
    assert sum(len(a.pcm) // 2 for a in d.of(v.Audio)) == 30, "the flush counts for what was there"
    d.tell(v.EndOfTurn(1))
    d.write()
    assert d.of(v.Finished) == [v.Finished(1, v.Reason.COMPLETED, 40, 9)]
