"""Words, numbers, the time and the date as they are spoken in English."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime

LONGEST_TEXT = 4_000


def _each(text: str) -> list[str]:
    return text.split()


_UNITS = _each(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = _each("twenty thirty forty fifty sixty seventy eighty ninety")
_DAYS = _each("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
_MONTHS = _each("January February March April May June July August September October November December")
_ORDINALS = _each(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
    "sixteenth seventeenth eighteenth nineteenth twentieth twenty-first twenty-second twenty-third twenty-fourth "
    "twenty-fifth twenty-sixth twenty-seventh twenty-eighth twenty-ninth thirtieth thirty-first"
)

NUMBERS = (
    *_UNITS,
    *(ten if not unit else f"{ten}-{_UNITS[unit]}" for ten in _TENS for unit in range(10)),
)
"""The words for 0 to 99."""

_NOT_WORD = re.compile(r"[\W_]+")


def words_of(text: str) -> list[str]:
    """Lower-case words without punctuation; "what's" is "whats", "twenty-one" is two words. Reads a bounded length."""
    text = unicodedata.normalize("NFKC", text[:LONGEST_TEXT]).casefold().replace("'", "").replace("’", "")
    return _NOT_WORD.sub(" ", text).split()


def number(n: int) -> str:
    return NUMBERS[n] if 0 <= n < len(NUMBERS) else str(n)


def time_words(now: datetime) -> str:
    """ "twelve minutes past three in the afternoon"."""
    minute = now.minute
    hour = (now.hour + (minute > 30)) % 24
    name = {0: "midnight", 12: "noon"}.get(hour, f"{NUMBERS[hour % 12]} {_part_of_day(now.hour)}")
    if minute == 0:
        return name.replace(" ", " o'clock ", 1)
    return f"{_distance(minute)} {'past' if minute <= 30 else 'to'} {name}"


def _part_of_day(hour: int) -> str:
    if hour < 5 or hour >= 22:
        return "at night"
    return "in the morning" if hour < 12 else "in the afternoon" if hour < 18 else "in the evening"


def _distance(minute: int) -> str:
    away = minute if minute <= 30 else 60 - minute
    plain = {30: "half", 15: "a quarter", 5: "five", 10: "ten", 20: "twenty", 25: "twenty-five"}
    return plain.get(away) or f"{NUMBERS[away]} minute{'' if away == 1 else 's'}"


def date_words(now: datetime) -> str:
    """ "Tuesday, the third of March, twenty twenty-six"."""
    century, rest = divmod(now.year, 100)
    year = f"{NUMBERS[century]} {NUMBERS[rest]}" if 10 < century < 100 and rest > 9 else str(now.year)
    return f"{_DAYS[now.weekday()]}, the {_ORDINALS[now.day - 1]} of {_MONTHS[now.month - 1]}, {year}"
