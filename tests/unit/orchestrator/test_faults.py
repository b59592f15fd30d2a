import pytest

from orchestrator.faults import fault

pytestmark = pytest.mark.unit


def breaks(words: str) -> None:
    raise ValueError(f"cannot speak {words!r}")


def test_a_fault_is_told_with_its_place_and_without_its_words():
    try:
        breaks("my secret")
    except ValueError as error:
        found = fault(error)
    assert found["fault"] == "ValueError"
    assert found["where"].startswith("test_faults.py:")
    assert "breaks" in found["where"]
    assert "secret" not in str(found)


def test_the_first_of_a_group_is_told():
    try:
        try:
            breaks("x")
        except ValueError as error:
            raise ExceptionGroup("tasks", [error]) from None
    except ExceptionGroup as group:
        found = fault(group)
    assert found["fault"] == "ExceptionGroup ValueError"
    assert "breaks" in found["where"]


def test_what_was_never_raised_has_no_place():
    assert fault(RuntimeError("x")) == {"fault": "RuntimeError", "where": ""}
