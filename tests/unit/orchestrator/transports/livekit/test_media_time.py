"""Which sample a frame begins at, when frames do not say."""

from __future__ import annotations

import pytest

from orchestrator.transports.livekit.media_time import MediaTime

pytestmark = pytest.mark.unit


def run(time: MediaTime, frames: int, begin_s: float, late_s: float = 0.0) -> list[int]:
    """Frames as they come every 20 ms from `begin_s`."""
    return [time.frame(begin_s + n * 0.02 + late_s) for n in range(frames)]


def test_frames_follow_each_other_from_where_media_time_goes_on() -> None:
    assert run(MediaTime(0), 3, 100.0) == [0, 320, 640]
    assert run(MediaTime(1000), 2, 5.0) == [1280, 1600]


def test_a_burst_that_was_taken_late_changes_nothing() -> None:
    time = MediaTime(0)
    run(time, 120, 0.0)
    late = [time.frame(2.4 + 0.8) for _ in range(40)]
    after = run(time, 60, 3.2)
    assert late + after == [320 * n for n in range(120, 220)]
    assert time.lost == 0


def test_what_was_dropped_is_skipped_once_it_is_clear_that_it_was() -> None:
    time = MediaTime(0)
    run(time, 150, 0.0)
    after = run(time, 200, 3.5)
    assert after[-1] == pytest.approx((3.5 + 199 * 0.02) * 16_000, abs=320)
    assert time.lost == pytest.approx(8000, abs=320)


def test_a_clock_that_goes_a_little_slower_is_followed() -> None:
    time = MediaTime(0)
    samples = [time.frame(n * 0.02004) for n in range(3000)]
    assert samples == [320 * n for n in range(3000)]
    assert time.lost == 0


def test_after_a_time_without_a_track_the_clock_says_how_long_it_was() -> None:
    time = MediaTime(0)
    run(time, 100, 10.0)
    time.restart()
    (sample,) = run(time, 1, 15.0)
    assert sample == pytest.approx(5.0 * 16_000, abs=320)
    assert run(time, 2, 15.02) == [sample + 320, sample + 640]


def test_the_first_track_may_come_at_any_time() -> None:
    time = MediaTime(0)
    time.restart()
    assert run(time, 2, 1e6) == [0, 320]
