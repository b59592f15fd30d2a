"""Where a count was cut: the last number that was heard and the one it was stopped at.

A number counts only in a run: beside the cut, its neighbour is the one before or after it. So the "twenty" of "I'll
count to twenty" is none, and neither is the "six" of "the last number you heard was six".
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.responders.tour.words import NUMBERS, number

START, END = 1, 20
"""What the tour counts from and to when it isn't told."""


@dataclass(frozen=True, slots=True)
class Cut:
    """`last` was heard last, the count was stopped `at` and would have gone to `end`.

    `last` is None where no number was heard, `at` is None where the count was over.
    """

    last: int | None
    at: int | None
    end: int


def count_text(first: int, last: int) -> tuple[str, ...]:
    """The count from `first` up to `last`, as pieces of one sentence: "Six,", "seven,", "eight."."""
    words = [number(n) for n in range(first, last + 1)]
    words[0] = words[0].capitalize()
    return (*(f"{word}," for word in words[:-1]), f"{words[-1]}.")


def find_cut(heard: str, unheard: str) -> Cut | None:
    """The cut of a count, or None where something else was cut.

    `unheard` may end early, even be empty: what was to come need not have been written yet.
    """
    before, after = _numbers(heard), _numbers(unheard)
    tail = before[-1] if before else None
    head = after[0] if after else None
    if head is not None and tail == head - 1:
        return Cut(tail, head, _run_end(after))
    if head is not None and after[1:2] == [head + 1]:
        # Nothing heard; or this reply went on with a count, and the number before was heard then.
        return Cut(head - 1 if head > START else None, head, _run_end(after))
    if tail is None or before[-2:] != [tail - 1, tail]:
        return None
    if after or tail == END:
        return Cut(tail, None, tail)
    return Cut(tail, tail + 1, max(END, tail + 1))


def _run_end(numbers: list[int | None]) -> int:
    end = numbers[0]
    assert end is not None
    for n in numbers[1:]:
        if n != end + 1:
            break
        end = n
    return end


def _numbers(text: str) -> list[int | None]:
    """A number or None for each word; "twenty-one" is one word."""
    return [_NUMBER.get(word.strip(".,;:!?…\"'“”").casefold()) for word in text.split()]


_NUMBER = {word: n for n, word in enumerate(NUMBERS)}
