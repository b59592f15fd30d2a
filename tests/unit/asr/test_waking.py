import pytest

from asr.waking import WakingJudge

pytestmark = pytest.mark.unit

FRAME, WINDOW = 640, 1024


class Listens:
    """Keeps what it was given; its answer is how many windows it has heard since it was woken."""

    frame_samples = WINDOW // 2

    def __init__(self):
        self.windows = []
        self.calls = []
        self.resets = 0

    def probability(self, pcm):
        assert pcm
        assert len(pcm) % WINDOW == 0
        self.calls.append(len(pcm) // WINDOW)
        self.windows += [pcm[at : at + WINDOW] for at in range(0, len(pcm), WINDOW)]
        return float(len(self.windows))

    def reset(self):
        self.windows.clear()
        self.resets += 1


@pytest.fixture
def judge():
    return Listens()


def frame(number):
    return bytes([number % 256]) * FRAME


def feed(waking, numbers, *, sounding, steady=False):
    return [waking.push(frame(number), sounding=sounding, steady=steady) for number in numbers]


def test_it_is_not_asked_while_nothing_sounds(judge):
    assert feed(WakingJudge(judge), range(100), sounding=False) == [0.0] * 100
    assert judge.windows == []


def test_woken_it_hears_what_led_to_the_sound_up_to_the_present_frame(judge):
    waking = WakingJudge(judge)
    feed(waking, range(50), sounding=False)
    assert feed(waking, [50], sounding=True) == [3.0]
    stream = b"".join(frame(number) for number in range(51))
    assert b"".join(judge.windows) == stream[-3 * WINDOW :]


def test_from_then_on_it_hears_everything_once(judge):
    waking = WakingJudge(judge)
    feed(waking, range(50), sounding=False)
    feed(waking, range(50, 55), sounding=True)
    feed(waking, range(55, 70), sounding=False)
    stream = b"".join(frame(number) for number in range(70))
    begin = 51 * FRAME - 3 * WINDOW
    heard = b"".join(judge.windows)
    assert heard == stream[begin : begin + len(heard)]
    assert len(stream) - begin - len(heard) < WINDOW


def test_it_sleeps_again_after_half_a_second_and_forgets(judge):
    waking = WakingJudge(judge)
    feed(waking, range(3), sounding=True)
    feed(waking, range(3, 28), sounding=False)
    asked = len(judge.windows)
    assert feed(waking, range(28, 60), sounding=False) == [0.0] * 32
    assert len(judge.windows) == asked
    feed(waking, [60], sounding=True)
    assert judge.resets == 2
    assert len(judge.windows) == 3


def test_a_stream_that_begins_with_sound_has_silence_before_it(judge):
    assert feed(WakingJudge(judge), range(1, 4), sounding=True) == [3.0, 3.0, 4.0]
    assert judge.windows[0] == bytes(WINDOW)
    assert judge.windows[2] == bytes(WINDOW - FRAME) + frame(1)


def test_while_somebody_is_known_to_speak_it_hears_two_windows_at_a_time(judge):
    waking = WakingJudge(judge)
    feed(waking, range(8), sounding=True)
    before = len(judge.calls)
    feed(waking, range(8, 40), sounding=True, steady=True)
    assert judge.calls[before:] == [2] * 10
    feed(waking, range(40, 48), sounding=True)
    assert judge.calls[before + 10 :] == [1] * 5
    stream = bytes(3 * WINDOW - FRAME) + b"".join(frame(number) for number in range(48))
    assert b"".join(judge.windows) == stream[: len(judge.windows) * WINDOW]


@pytest.mark.parametrize("sounding", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("quiet", range(24, 30))
def test_woken_soon_after_it_fell_asleep_it_has_missed_nothing(judge, sounding, quiet):
    waking = WakingJudge(judge)
    feed(waking, range(50), sounding=False)
    feed(waking, range(50, 50 + sounding), sounding=True)
    end = 50 + sounding + quiet
    feed(waking, range(50 + sounding, end), sounding=False)
    feed(waking, range(end, end + 2), sounding=True)
    heard = b"".join(judge.windows)
    stream = b"".join(frame(number) for number in range(end + 2))
    at = stream.rfind(heard[-WINDOW:])
    assert stream[:at].endswith(heard[:-WINDOW])
    assert at + WINDOW > len(stream) - WINDOW
    assert len(heard) >= 3 * WINDOW
