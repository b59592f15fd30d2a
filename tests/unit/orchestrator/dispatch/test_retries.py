"""When LiveKit is tried again, and how often the operator is told."""

from __future__ import annotations

import pytest

from orchestrator.dispatch.retries import MOST_S, REMIND_S, SLOW_S, Retries, Trouble

pytestmark = pytest.mark.unit


def test_pauses_double_up_to_a_limit_and_begin_anew_after_a_success() -> None:
    retries = Retries(lambda: 0.999999)
    pauses = [retries.failed(Trouble.UNREACHABLE, 0.0).seconds for _ in range(8)]
    assert pauses == pytest.approx([0.5, 1, 2, 4, 8, MOST_S, MOST_S, MOST_S], rel=1e-3)
    retries.succeeded()
    assert retries.failed(Trouble.LOST, 0.0).seconds == pytest.approx(0.5, rel=1e-3)


def test_jitter_takes_up_to_half() -> None:
    assert Retries(lambda: 0.0).failed(Trouble.UNREACHABLE, 0.0).seconds == 0.25


@pytest.mark.parametrize("trouble", [Trouble.REFUSED, Trouble.STRANGER])
def test_what_somebody_must_mend_is_tried_slowly_from_the_start(trouble: Trouble) -> None:
    assert Retries(lambda: 0.5).failed(trouble, 0.0).seconds == 0.75 * SLOW_S


def test_the_operator_is_told_once_of_each_trouble_and_reminded() -> None:
    retries = Retries(lambda: 0.0)
    assert retries.failed(Trouble.UNREACHABLE, 0.0).tell
    assert not retries.failed(Trouble.UNREACHABLE, 1.0).tell
    assert retries.failed(Trouble.REFUSED, 2.0).tell
    assert not retries.failed(Trouble.REFUSED, 3.0).tell
    assert retries.failed(Trouble.REFUSED, 2.0 + REMIND_S).tell
    retries.succeeded()
    assert retries.failed(Trouble.REFUSED, 2.0 + REMIND_S).tell
