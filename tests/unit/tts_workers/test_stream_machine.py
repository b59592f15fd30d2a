"""Every promise of a stream, under any order of messages, engine news and writes."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from base.errors import AtCapacity, Internal
from tts_workers import values as v
from tts_workers.engine import MarkKind
from tts_workers.stream import Stream, StreamConfig

pytestmark = pytest.mark.unit

FRAME = 10
AHEAD = 200
CONFIG = StreamConfig(frame=FRAME, ahead=AHEAD, max_backlog=60, max_turns=4, reserve_s=30.0, stall_s=120.0, job_s=30.0)
WORDS = ["", "…", "hello", "one two three", "x" * 40, "😀"]
turns = st.one_of(st.integers(0, 2), st.integers(0, 6))
often = st.sampled_from([True, True, True, True, False])


class StreamMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.stream = Stream(CONFIG)
        self.now = 0.0
        self.slot = "none"
        self.running: v.Job | None = None
        self.until = 0
        self.made: dict[int, int] = defaultdict(int)
        self.pads: dict[int, int] = defaultdict(int)
        self.flushes: dict[int, int] = defaultdict(int)
        self.credit: dict[int, int] = defaultdict(int)
        self.sent: dict[int, int] = defaultdict(int)
        self.text: dict[int, int] = defaultdict(int)
        self.marked: dict[int, int] = defaultdict(int)
        self.open_chunks: dict[int, int] = defaultdict(int)
        self.finished: dict[int, v.Finished] = {}
        self.promised: set[int] = set()
        self.paused: set[int] = set()
        self.watermark = -1
        self.half_closed = False
        self.closed = False

    # --- the driver ---------------------------------------------------------------------------------------------------

    def do(self, commands: list[v.Command]) -> None:
        for command in commands:
            match command:
                case v.AskSlot():
                    assert self.slot == "none"
                    self.slot = "asked"
                case v.ReturnSlot():
                    assert self.slot in ("held", "asked")
                    self.slot = "none"
                case v.Start(job=job, until_sample=until):
                    assert self.running is None
                    assert self.slot == "held"
                    assert job.turn not in self.finished
                    assert job.start_sample == self.made[job.turn]
                    assert job.text.strip()
                    self.running, self.until = job, until
                case v.Allow(job=id, until_sample=until):
                    assert self.running is not None
                    assert self.running.id == id
                    assert until > self.until
                    self.until = until
                case v.Cancel(job=id):
                    assert self.running is not None
                    assert self.running.id == id
                    self.running = None
                case v.Abort():
                    pass

    def tell(self, event: v.Event) -> None:
        self.do(self.stream.handle(event, self.now))

    def write(self) -> bool:
        frame, commands = self.stream.next_frame(self.now)
        if frame is None:
            assert not commands
            return False
        self.check(frame)
        self.do(commands)
        return True

    def check(self, frame: v.Frame) -> None:
        turn = frame.turn
        match frame:
            case v.Audio(sample=sample, pcm=pcm):
                samples = len(pcm) // 2
                assert turn not in self.finished
                assert turn not in self.paused
                assert turn > self.watermark
                assert sample == self.sent[turn]
                assert samples % FRAME == 0
                assert samples == FRAME if sample == 0 else 0 < samples <= 5 * FRAME
                self.sent[turn] += samples
                # The last frame before an end, or a flush, is padded.
                self.pads[turn] += max(0, self.sent[turn] - self.made[turn])
                self.made[turn] = max(self.made[turn], self.sent[turn])
                assert self.half_closed or self.sent[turn] <= self.credit[turn]
            case v.Marks(marks=marks):
                assert marks
                assert turn not in self.finished
                assert turn not in self.paused
                assert turn > self.watermark
                for mark in marks:
                    assert mark.sample >= self.marked[turn]
                    assert mark.sample >= self.sent[turn] or mark.kind is not MarkKind.WORD
                    self.marked[turn] = mark.sample
                    self.open_chunks[turn] += {MarkKind.CHUNK_START: 1, MarkKind.CHUNK_END: -1}.get(mark.kind, 0)
                    assert 0 <= self.open_chunks[turn] <= 1
            case v.Finished(reason=reason, samples=samples, spoken=spoken):
                assert turn not in self.finished
                self.finished[turn] = frame
                assert samples == self.sent[turn]
                assert 0 <= spoken <= self.text[turn]
                if reason is v.Reason.COMPLETED:
                    assert spoken == self.text[turn]
                    assert turn not in self.paused
                    assert self.open_chunks[turn] == 0
                    assert self.marked[turn] <= samples
                    assert samples == self.made[turn]
                    assert self.pads[turn] < FRAME * (1 + self.flushes[turn])
                    assert frame.wasted == 0
                else:
                    assert frame.wasted >= 0
            case v.Failed() | v.Reserved():
                pass

    # --- rules --------------------------------------------------------------------------------------------------------

    @precondition(lambda self: not self.half_closed)
    @rule(turn=turns, text=st.sampled_from(WORDS), chunk=st.integers(0, 3))
    def send_text(self, turn: int, text: str, chunk: int) -> None:
        self.promised.add(turn)
        self.tell(v.Text(turn, text, chunk))
        if turn in self.stream.open_turns:
            self.text[turn] += len(text)

    @precondition(lambda self: not self.half_closed)
    @rule(turn=turns, samples=st.integers(0, 400), pieces=st.lists(st.integers(1, 80), min_size=1, max_size=4))
    def speak(self, turn: int, samples: int, pieces: list[int]) -> None:
        """The usual way, so that the unusual meets it half way."""
        self.grant(turn, samples)
        self.send_text(turn, "hello", 0)
        if self.slot == "asked":
            self.answer_slot(True)
        for piece in pieces:
            if self.running is not None and self.made[self.running.turn] < self.until:
                self.produce(min(piece, 60), word=True)
            self.write_some(2)

    @precondition(lambda self: not self.half_closed)
    @rule(turn=turns)
    def end_turn(self, turn: int) -> None:
        self.promised.add(turn)
        self.tell(v.EndOfTurn(turn))

    @precondition(lambda self: not self.half_closed)
    @rule(turn=turns, samples=st.integers(0, 300))
    def grant(self, turn: int, samples: int) -> None:
        self.credit[turn] = max(self.credit[turn], samples)
        self.tell(v.Credit(turn, samples))

    @precondition(lambda self: not self.half_closed)
    @rule(turn=turns)
    def reserve(self, turn: int) -> None:
        self.tell(v.Reserve(turn))

    @rule(turn=turns)
    def flush(self, turn: int) -> None:
        self.flushes[turn] += 1
        self.tell(v.Flush(turn))

    @rule(turn=turns, action=st.sampled_from(list(v.Action)))
    def control(self, turn: int, action: v.Action) -> None:
        self.tell(v.Control(turn, action))
        if action is v.Action.STOP:
            self.watermark = max(self.watermark, turn)
        elif action is v.Action.PAUSE and turn in self.stream.open_turns:
            self.paused.add(turn)
        else:
            self.paused.discard(turn)

    @rule(turn=turns)
    def send_rubbish(self, turn: int) -> None:
        self.tell(v.Invalid(turn, Internal("unreadable")))

    @precondition(lambda self: self.slot == "asked")
    @rule(given=often)
    def answer_slot(self, given: bool) -> None:
        self.slot = "held" if given else "none"
        self.tell(v.SlotGiven() if given else v.SlotRefused(AtCapacity("all taken")))

    @precondition(lambda self: self.running is not None and self.made[self.running.turn] < self.until)
    @rule(samples=st.integers(0, 60), word=st.booleans())
    def produce(self, samples: int, word: bool) -> None:
        job = self.running
        assert job is not None
        words = (v.Word(0, 1, self.made[job.turn]),) if word and samples else ()
        self.made[job.turn] += samples
        self.tell(v.Produced(job.id, b"\1\2" * samples, words, held=7))

    @precondition(lambda self: self.running is not None)
    @rule(well=often)
    def end_job(self, well: bool) -> None:
        job, self.running = self.running, None
        assert job is not None
        self.tell(v.JobDone(job.id) if well else v.JobFailed(job.id, Internal("broken")))

    @rule(job=st.integers(1, 5))
    def late_news_of_a_job(self, job: int) -> None:
        if self.running is None or self.running.id != job:
            self.tell(v.Produced(job, b"\0\0" * 30))
            self.tell(v.JobDone(job))

    @rule(times=st.integers(1, 6))
    def write_some(self, times: int) -> None:
        for _ in range(times):
            if not self.write():
                break

    @rule(seconds=st.sampled_from([0.1, 5.0, 31.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        due = self.stream.next_deadline()
        if due is not None and due <= self.now:
            self.do(self.stream.handle_timer(self.now))
            again = self.stream.next_deadline()
            assert again is None or again > self.now

    @precondition(lambda self: not self.half_closed)
    @rule(really=st.sampled_from([False, False, False, True]))
    def half_close(self, really: bool) -> None:
        if really:
            self.half_closed = True
            self.tell(v.HalfClosed())

    # --- always -------------------------------------------------------------------------------------------------------

    @invariant()
    def bounds_hold(self) -> None:
        assert 0 <= self.stream.backlog <= CONFIG.max_backlog
        if self.running is not None:
            turn = self.running.turn
            assert self.until <= self.sent[turn] + AHEAD
            assert self.made[turn] - self.sent[turn] <= AHEAD + 60

    def teardown(self) -> None:
        """Given all it needs, every turn that was promised an end gets one; then nothing is held."""
        for turn in sorted(self.promised):
            self.tell(v.Control(turn, v.Action.RESUME))
            self.paused.discard(turn)
        if not self.half_closed:
            self.half_closed = True
            self.tell(v.HalfClosed())
        for _ in range(10_000):
            if self.slot == "asked":
                self.answer_slot(True)
            elif self.running is not None and self.made[self.running.turn] < self.until:
                self.produce(30, word=False)
                self.end_job(True)
            elif not self.write():
                break
        assert self.stream.finished
        assert self.slot == "none"
        assert self.promised <= set(self.finished)
        self.tell(v.Closed())
        assert self.stream.next_deadline() is None


StreamMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
TestStream = StreamMachine.TestCase
