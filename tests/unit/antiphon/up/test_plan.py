from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from antiphon.up.plan import Command, Crashed, Finish, Kill, Phase, Plan, Policy, Service, Start, Terminate

pytestmark = pytest.mark.unit

SERVICES = (
    Service("registry", vital=True),
    Service("tts", needs=("registry",)),
    Service("asr", needs=("registry",)),
    Service("orchestrator", needs=("registry",), uses=("tts", "asr"), vital=True),
)
POLICY = Policy(base_s=1.0, cap_s=8.0, stable_s=30.0, ready_s=60.0, stop_s=10.0, first_tries=3)


def plan(jitter: float = 0.999999) -> Plan:
    return Plan(SERVICES, POLICY, lambda: jitter)


def all_up(p: Plan) -> None:
    p.start(0.0)
    for name in ("registry", "tts", "asr", "orchestrator"):
        p.ready(name, 1, f"{name}:1", 1.0)


def test_each_starts_when_what_it_needs_is_ready() -> None:
    p = plan()
    assert p.start(0.0) == [Start("registry", 1)]
    assert p.ready("registry", 1, "127.0.0.1:1", 1.0) == [Start("tts", 1), Start("asr", 1), Start("orchestrator", 1)]
    assert p.address("registry") == "127.0.0.1:1"


def test_a_crash_is_followed_by_a_pause_that_doubles_and_starts_anew_once_stable() -> None:
    p = plan()
    all_up(p)
    now, pauses = 2.0, []
    for life in range(1, 7):
        (crash,) = p.exited("tts", life, -9, now)
        assert isinstance(crash, Crashed)
        assert crash.again_s is not None
        pauses.append(round(crash.again_s, 3))
        deadline = p.next_deadline()
        assert deadline is not None
        assert p.handle_timer(deadline - 0.01) == []
        assert p.handle_timer(deadline) == [Start("tts", life + 1)]
        p.ready("tts", life + 1, "x", deadline)
        now = deadline + 1
    assert pauses == [1, 2, 4, 8, 8, 8]
    (crash,) = p.exited("tts", 7, 1, now + 31)
    assert isinstance(crash, Crashed)
    assert crash.again_s == pytest.approx(1.0, abs=0.01)


def test_a_registry_that_crashes_takes_nobody_along() -> None:
    p = plan()
    all_up(p)
    assert [type(c) for c in p.exited("registry", 1, 1, 2.0)] == [Crashed]
    assert p.phase("tts") is Phase.READY


def test_stop_goes_from_the_front_to_the_back() -> None:
    p = plan()
    all_up(p)
    assert p.stop(5.0) == [Terminate("orchestrator", 1)]
    assert p.exited("orchestrator", 1, 0, 6.0) == [Terminate("tts", 1), Terminate("asr", 1)]
    assert p.exited("asr", 1, 0, 6.0) == []
    assert p.exited("tts", 1, -15, 6.0) == [Terminate("registry", 1)]
    assert p.exited("registry", 1, 0, 6.0) == [Finish(0)]


def test_what_does_not_stop_is_killed_and_a_second_stop_kills_at_once() -> None:
    p = plan()
    all_up(p)
    p.stop(5.0)
    assert p.handle_timer(14.9) == []
    assert p.handle_timer(15.0) == [Kill("orchestrator", 1)]
    assert {c.name for c in p.stop(15.1) if isinstance(c, Kill)} == {s.name for s in SERVICES}


def test_a_wrong_setting_ends_everything_with_its_code() -> None:
    p = plan()
    p.start(0.0)
    p.ready("registry", 1, "a", 1.0)
    assert p.exited("asr", 1, 78, 2.0) == [Crashed("asr", 78, None), Terminate("orchestrator", 1)]
    p.exited("orchestrator", 1, 0, 3.0)
    p.exited("tts", 1, 0, 3.0)
    assert p.exited("registry", 1, 0, 3.0) == [Finish(78)]


def test_a_vital_service_that_never_comes_up_ends_everything() -> None:
    p = plan()
    p.start(0.0)
    for life in (1, 2):
        assert isinstance(p.exited("registry", life, 1, 1.0)[0], Crashed)
        deadline = p.next_deadline()
        assert deadline is not None
        p.handle_timer(deadline)
    assert p.exited("registry", 3, 1, 9.0) == [Crashed("registry", 1, None), Finish(1)]


def test_a_start_that_hangs_is_killed_and_tried_again() -> None:
    p = plan()
    p.start(0.0)
    assert p.handle_timer(60.0) == [Kill("registry", 1)]
    (crash,) = p.exited("registry", 1, -9, 60.1)
    assert isinstance(crash, Crashed)
    assert crash.hung


def test_a_service_that_needs_a_stranger_is_refused() -> None:
    with pytest.raises(ValueError, match="nobody"):
        Plan((Service("a", needs=("nobody",)),), POLICY, lambda: 0.0)


@given(failures=st.integers(1, 10_000), jitter=st.floats(0, 1, exclude_max=True))
def test_a_pause_is_never_longer_than_the_cap(failures: int, jitter: float) -> None:
    assert 0 < plan(jitter).pause_s(failures) <= POLICY.cap_s


class PlanMachine(RuleBasedStateMachine):
    """Processes that become ready, crash, hang and stop in any order; nothing may be left and nothing run twice."""

    def __init__(self) -> None:
        super().__init__()
        self.plan = plan(0.5)
        self.now = 0.0
        self.running: dict[str, int] = {}
        self.ready: set[str] = set()
        self.ever_ready: set[str] = set()
        self.killed: set[tuple[str, int]] = set()
        self.stopping = False
        self.finished: list[int] = []
        self.carry_out(self.plan.start(self.now))

    def carry_out(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case Start(name, life):
                    assert not self.stopping, "nothing starts while stopping"
                    assert name not in self.running, "one process a service"
                    needs = next(s.needs for s in SERVICES if s.name == name)
                    assert self.ever_ready.issuperset(needs)
                    self.running[name] = life
                case Terminate(name, life) | Kill(name, life):
                    assert self.running.get(name) == life
                    if isinstance(command, Kill):
                        self.killed.add((name, life))
                case Crashed(_, code, None) if code in (2, 78):
                    pass
                case Finish(code):
                    assert not self.running
                    self.finished.append(code)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def becomes_ready(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.running)))
        self.ready.add(name)
        if not self.stopping:
            self.ever_ready.add(name)
        self.carry_out(self.plan.ready(name, self.running[name], "a:1", self.now))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), code=st.sampled_from([0, 1, -9, -15, 75, 78]))
    def exits(self, data: st.DataObject, code: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.running)))
        life = self.running.pop(name)
        self.ready.discard(name)
        never = name not in self.ever_ready
        commands = self.plan.exited(name, life, code, self.now)
        if any(isinstance(c, Crashed) and c.again_s is None for c in commands) and never:
            self.stopping = True
        self.carry_out(commands)
        assert self.plan.exited(name, life, code, self.now) == [], "old news"

    @rule(seconds=st.floats(0.01, 70))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.carry_out(self.plan.handle_timer(self.now))

    @precondition(lambda self: not self.stopping)
    @rule()
    def stop(self) -> None:
        self.stopping = True
        self.carry_out(self.plan.stop(self.now))

    @invariant()
    def no_deadline_lies_behind(self) -> None:
        deadline = self.plan.next_deadline()
        assert deadline is None or deadline >= self.now

    @invariant()
    def finishes_once_and_only_when_all_is_down(self) -> None:
        assert len(self.finished) <= 1
        if self.stopping and not self.running:
            assert self.finished

    def teardown(self) -> None:
        """Whatever state it is in, a stop comes to an end, also when nobody listens to SIGTERM."""
        if not self.stopping:
            self.stop()
        for _ in range(2 * len(SERVICES)):
            self.time_passes(POLICY.stop_s + 0.1)
            for name, life in list(self.running.items()):
                if (name, life) in self.killed:
                    del self.running[name]
                    self.carry_out(self.plan.exited(name, life, -9, self.now))
        assert not self.running
        assert len(self.finished) == 1


TestPlanMachine = PlanMachine.TestCase
TestPlanMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
