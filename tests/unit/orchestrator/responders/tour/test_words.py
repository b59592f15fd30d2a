from datetime import datetime, timedelta

import pytest

from orchestrator.responders.tour.words import date_words, number, time_words, words_of

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("hour", "minute", "words"),
    [
        (0, 0, "midnight"),
        (12, 0, "noon"),
        (0, 1, "one minute past midnight"),
        (23, 45, "a quarter to midnight"),
        (11, 40, "twenty to noon"),
        (3, 0, "three o'clock at night"),
        (9, 5, "five past nine in the morning"),
        (15, 12, "twelve minutes past three in the afternoon"),
        (18, 30, "half past six in the evening"),
        (22, 59, "one minute to eleven at night"),
    ],
)
def test_the_time(hour: int, minute: int, words: str):
    assert time_words(datetime(2026, 3, 3, hour, minute)) == words


def test_every_minute_of_a_day_has_words_of_its_own():
    start = datetime(2026, 3, 3)
    assert len({time_words(start + timedelta(minutes=n)) for n in range(1440)}) == 1440


@pytest.mark.parametrize(
    ("day", "words"),
    [
        (datetime(2026, 3, 3), "Tuesday, the third of March, twenty twenty-six"),
        (datetime(2005, 12, 31), "Saturday, the thirty-first of December, 2005"),
        (datetime(1999, 1, 22), "Friday, the twenty-second of January, nineteen ninety-nine"),
    ],
)
def test_the_date(day: datetime, words: str):
    assert date_words(day) == words


def test_numbers():
    assert [number(n) for n in (0, 7, 20, 21, 99, 130)] == [
        "zero",
        "seven",
        "twenty",
        "twenty-one",
        "ninety-nine",
        "130",
    ]


def test_words():
    assert words_of("What's  the TIME—please?!") == ["whats", "the", "time", "please"]
    assert words_of("\x00 … 🙂 _") == []
