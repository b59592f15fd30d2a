"""From the library's events to words, and its pauses."""

from __future__ import annotations

import pytest

from tts_workers.engines.espeak.engine import clauses, pause_after, word_spans

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "events", "words"),
    [
        # As espeak-ng 1.52 gives them.
        ("  Hello   world\nnext", [[2, 0], [10, 6555], [16, 14126]], [("Hello", 0), ("world", 6555), ("next", 14126)]),
        ("I have 1,234.5 dollars", [[0, 0], [2, 9], [7, 20], [8, 30], [9, 40], [10, 50], [10, 60], [15, 70]],
         [("I", 0), ("have", 9), ("1,234.5", 20), ("dollars", 70)]),
        ("don't stop!", [[0, 0], [6, 6965]], [("don't", 0), ("stop", 6965)]),
        ("日本 hello", [[0, 0], [0, 13914], [3, 28027]], [("日本", 0), ("hello", 28027)]),
        ("你好，世界。", [[0, 0], [3, 14], [4, 20]], [("你好", 0), ("世", 14), ("界", 20)]),
        ("こんにちは世界", [[0, 0], [0, 4217], [0, 6015]], [("こんにちは世界", 0)]),
        ('"Quoted" (paren)', [[1, 24], [10, 18]], [("Quoted", 24), ("paren", 18)]),
        ("a  b", [[0, 0], [1, 5], [3, 9]], [("a", 0), ("b", 9)]),
        ("costs $50, or 20%", [[0, 0], [6, 1], [7, 2], [11, 3], [14, 4], [16, 5]],
         [("costs", 0), ("$50", 1), ("or", 3), ("20%", 4)]),
        ("(हिन्दी) की, தமிழ்!", [[1, 0], [9, 5], [13, 9]], [("हिन्दी", 0), ("की", 5), ("தமிழ்", 9)]),
        ("مُحَمَّدٌ!", [[0, 0]], [("مُحَمَّدٌ", 0)]),
        ("สวัสดี", [[0, 0]], [("สวัสดี", 0)]),
        ("cafe\u0301, 50¥!", [[0, 0], [7, 5]], [("cafe\u0301", 0), ("50¥", 5)]),
        ("far", [[0, 0], [7, 5]], [("far", 0)]),
        ("", [], []),
    ],
)  # fmt: skip
def test_events_become_words(text: str, events: list[list[int]], words: list[tuple[str, int]]) -> None:
    spans = word_spans(text, events, 10**6)
    assert [(text[w.start : w.end], w.sample) for w in spans] == words
    assert all(w.exact for w in spans)


def test_words_that_the_library_took_together_are_estimated() -> None:
    text = "Out of the blue it came"
    spans = word_spans(text, [[0, 0], [4, 1000], [11, 3000]], 10_000)
    assert [(text[w.start : w.end], w.sample, w.exact) for w in spans] == [
        ("Out", 0, True),
        ("of", 1000, True),
        ("the", 1857, False),
        ("blue", 3000, True),
        ("it", 5917, False),
        ("came", 7667, False),
    ]
    assert [w.sample for w in word_spans("a b", [], 300)] == [0, 200]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Yes.", 0.3),
        ("Yes, ", 0.15),
        ('"Yes!" ', 0.3),
        ("well;", 0.225),
        ("and", 0.0),
        ("", 0.0),
        ("好。", 0.3),
        (" ", 0),
    ],
)
def test_pauses_follow_the_last_mark(text: str, seconds: float) -> None:
    assert pause_after(text) == seconds


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        ("Hello.", ["Hello."]),
        ("Well, yes, no, and so on it goes.", ["Well, yes, no, and so on it goes."]),
        (
            "This is one clause, this is another; and Dr. Smith has a third! Doesn't he? He does.",
            ["This is one clause, ", "this is another; and Dr. Smith has a third! ", "Doesn't he? He does."],
        ),
        ("It was a dark night, by the sea. The rain fell.", ["It was a dark night, ", "by the sea. The rain fell."]),
        ("Down by the old grey sea. The rain fell.", ["Down by the old grey sea. ", "The rain fell."]),
        ("Down by the old grey approx. twenty seas.", ["Down by the old grey approx. twenty seas."]),
        ("This was written by Prof. Miller of Bonn.", ["This was written by Prof. Miller of Bonn."]),
        ("At 1,234.5 km from e.g. Paris or so", ["At 1,234.5 km from e.g. Paris or so"]),
        (
            "今天天气很好，我们去公园散步吧，然后再回家吃饭。好吗？",
            ["今天天气很好，我们去公园散步吧，然后再回家吃饭。", "好吗？"],
        ),
    ],
)
def test_a_text_is_spoken_clause_by_clause(text: str, pieces: list[str]) -> None:
    assert clauses(text) == pieces


def test_a_clause_without_end_is_cut_between_words() -> None:
    cut = clauses("and on and on " * 40)
    assert "".join(cut) == "and on and on " * 40
    assert max(map(len, cut)) <= 120
    assert max(map(len, clauses("7" * 500))) <= 60
