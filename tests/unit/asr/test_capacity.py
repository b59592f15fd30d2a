import pytest

from asr.capacity import MOST, available_bytes, decoders_for, usable_cores

pytestmark = pytest.mark.unit

GB = 1_000_000_000
CHILD = 150_000_000


@pytest.mark.parametrize(
    ("cores", "free", "most"),
    [(2, 16 * GB, 8), (1, 16 * GB, 4), (8, 1 * GB, 3), (64, 64 * GB, MOST), (2, CHILD, 1), (2, 0, 8)],
)
def test_cores_and_memory_bound_the_decoders(cores, free, most):
    assert decoders_for(cores, free, CHILD) == most


def test_this_machine_has_something():
    assert usable_cores() >= 1
    assert available_bytes() >= 0
