from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from orchestrator.conversation.characters import speakable
from orchestrator.conversation.chunker import Chunk, Chunker

pytestmark = pytest.mark.unit


def cut(text: str, language: str = "en") -> list[str]:
    """Without the haste of the first chunk."""
    chunker = Chunker(language)
    return [chunk.text for chunk in chunker.push("Ok!\n\n" + text) + chunker.flush()][1:]


def one_by_one(text: str, language: str = "en") -> list[Chunk]:
    chunker = Chunker(language)
    return [chunk for c in text for chunk in chunker.push(c)] + chunker.flush()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello there. How are you? Fine!", ["Hello there.", "How are you?", "Fine!"]),
        ("Dr. Smith paid. He left.", ["Dr. Smith paid.", "He left."]),
        ("See e.g. London. Or etc. And so.", ["See e.g. London.", "Or etc.", "And so."]),
        ("It is 3.14 or 1,000. At 10:30 p.m. he went.", ["It is 3.14 or 1,000.", "At 10:30 p.m. he went."]),
        ("At 10:30 p.m. He went.", ["At 10:30 p.m.", "He went."]),
        ("No. I will not. See No. 5.", ["No.", "I will not.", "See No. 5."]),
        ("So do I. Read J. R. R. Tolkien.", ["So do I.", "Read J. R. R. Tolkien."]),
        ("Well... maybe. Well... Yes.", ["Well... maybe.", "Well...", "Yes."]),
        ('He said "Stop!" Then (yes, really.) He left.', ['He said "Stop!"', "Then (yes, really.)", "He left."]),
        ("Wait what?! Really…", ["Wait what?!", "Really…"]),
        ("Open file.txt or a.b.c now.", ["Open file.txt or a.b.c now."]),
        ("Ask john.doe@example.org. Now.", ["Ask john.doe@example.org.", "Now."]),
        ("Born in 1999. He left.", ["Born in 1999.", "He left."]),
    ],
)
def test_sentences_of_english(text: str, expected: list[str]) -> None:
    assert cut(text) == expected


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        (
            "de",
            "Am 3. Mai kam z. B. Herr Dr. Müller. Dann ging er.",
            ["Am 3. Mai kam z. B. Herr Dr. Müller.", "Dann ging er."],
        ),
        ("de-AT", "Das ist z.B. Kunst. Im XIV. Jahrhundert.", ["Das ist z.B. Kunst.", "Im XIV. Jahrhundert."]),
        ("fr", "Mme. Dupont et M. Roy. Oui, p. ex. ici.", ["Mme. Dupont et M. Roy.", "Oui, p. ex. ici."]),
        ("es", "El Sr. Gómez y la Dra. Ruiz. ¿Sí? ¡No!", ["El Sr. Gómez y la Dra. Ruiz.", "¿Sí?", "¡No!"]),
        ("", "J. Smith. Mr. Roy.", ["J. Smith.", "Mr.", "Roy."]),
        ("zh", "你好。我是助手！真的吗？价格是3.14元。", ["你好。", "我是助手！", "真的吗？", "价格是3.14元。"]),
        ("zh", "他说「好的。」然后走了。", ["他说「好的。」", "然后走了。"]),
        ("ja", "こんにちは。元気ですか？", ["こんにちは。", "元気ですか？"]),
        ("ar", "مرحبا بك. كيف حالك؟ شكرا.", ["مرحبا بك.", "كيف حالك؟", "شكرا."]),
        ("hi", "नमस्ते। आप कैसे हैं? ठीक।", ["नमस्ते।", "आप कैसे हैं?", "ठीक।"]),
    ],
)
def test_sentences_of_other_languages(language: str, text: str, expected: list[str]) -> None:
    assert cut(text, language) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# Title\n\nText.", ["Title", "Text."]),
        ("Some **bold**, *em* and `code_x`.", ["Some bold, em and code_x."]),
        ("A ~~gone~~ ***both*** __it__.", ["A gone both it."]),
        ("It is 2 * 3, 2*3, snake_case, ~5.", ["It is 2 * 3, 2*3, snake_case, ~5."]),
        ("See [the link](https://x.y/z(1)) now.", ["See the link now."]),
        ("![a cat](http://x/y.png)", ["a cat"]),
        ("Go to https://example.com/a_b/c?x=1.", ["Go to example.com/a_b/c?x=1."]),
        ("Not [a link] (or) this.", ["Not [a link] (or) this."]),
        ("- apples\n- [x] pears and\n  plums\n* figs", ["apples", "pears and", "plums", "figs"]),
        ("1. First. Yes\n2. Second", ["1. First.", "Yes", "2. Second"]),
        ("Before:\n```python\nprint('no. Never.')\n```\nAfter.", ["Before:", "After."]),
        ("```inline```  code.", ["inline code."]),
        ("| a | b |\n|---|---|\n| 1 | 2 |", ["a, b", "1, 2"]),
        ("> quoted\n> more", ["quoted more"]),
        ("One\n---\nTwo\n***\nThree", ["One", "Two", "Three"]),
        ("Use <b>this</b><br>not <https://a.b/c>, a < b.", ["Use this not a.b/c, a < b."]),
        (r"A \*star\*.", ["A *star*."]),
        ("Roses are red\nViolets are blue\nand so on", ["Roses are red", "Violets are blue and so on"]),
        ("First\n\nsecond", ["First", "second"]),
    ],
)
def test_markup_is_not_spoken(text: str, expected: list[str]) -> None:
    assert cut(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Great! 😀 Next 👍🏽! Fine.", ["Great!", "Next!", "Fine."]),
        ("Hi😀there :) ok.", ["Hi there ok."]),
        ("👨‍👩‍👧 🇩🇪 ❤️", []),
        ("1️⃣ one → two ✓", ["1 one two"]),
        ("... — !", []),
        ("bell\x07 and\u200b zero\ufeff width\u202e.", ["bell and zero width."]),
        ("e" + "\u0301" * 1000 + "nd.", ["e" + "\u0301" * 8 + "nd."]),
        ("\ud800lone.", ["lone."]),
        ("5 € & 10 %", ["5 € & 10 %"]),
    ],
)
def test_what_no_voice_can_say_is_dropped(text: str, expected: list[str]) -> None:
    assert cut(text) == expected


def test_first_chunk_comes_at_the_first_clause() -> None:
    chunker = Chunker("en")
    assert [c.text for c in chunker.push("If you like, we can go on, and on, ")] == ["If you like,"]
    assert [c.text for c in chunker.push("or stop here and today. ")] == [
        "we can go on, and on, or stop here and today."
    ]


def test_a_sentence_is_out_as_soon_as_it_is_known_to_end() -> None:
    chunker = Chunker("en")
    assert chunker.push("Good morning.") == []
    assert chunker.waiting
    assert [c.text for c in chunker.push(" ")] == ["Good morning."]
    assert not chunker.waiting
    assert chunker.push("Go.") == []
    assert [c.text for c in chunker.flush()] == ["Go."]


def test_a_pause_keeps_the_word_that_may_still_grow() -> None:
    chunker = Chunker("en")
    chunker.push("Hello wor")
    assert [c.text for c in chunker.pause()] == ["Hello"]
    assert chunker.pause() == []
    assert chunker.waiting
    assert [c.text for c in chunker.push("ld, it is 3.") + chunker.pause()] == ["world, it is"]
    assert [c.text for c in chunker.push("14 and") + chunker.pause()] == ["3.14"]
    assert [c.text for c in chunker.push(" so on.") + chunker.pause()] == ["and so on."]
    assert chunker.pause() == []
    assert [c.text for c in chunker.push("你好") + chunker.pause()] == ["你好"]


def test_long_sentences_are_cut_where_they_join() -> None:
    text = (
        "The capital of France is a city that has been known for its art and its food since the middle ages and it "
        "remains so today, as everybody knows who has ever been there."
    )
    chunks = cut(text)
    assert all(len(c) <= 50 for c in chunks)
    assert "that has been known for its art and its food" in chunks
    assert " ".join(chunks) == text


def test_rate_stretches_the_bound() -> None:
    text = "word " * 60
    slow, fast = Chunker("en", rate=0.5), Chunker("en", rate=2.0)
    assert max(len(c.text) for c in slow.push(text)) <= 25
    assert max(len(c.text) for c in fast.push(text)) > 50


def test_language_changes_cut() -> None:
    chunker = Chunker("en")
    out = chunker.push("We say ") + chunker.push("Guten Tag Dr. ", "de") + chunker.push("here.") + chunker.flush()
    assert [(c.text, c.language) for c in out] == [("We say", "en"), ("Guten Tag Dr.", "de"), ("here.", "en")]


def test_places_lead_back_to_the_reply() -> None:
    text = "Hi **bold** [link](http://x) end."
    (chunk,) = one_by_one(text)
    assert chunk.text == "Hi bold link end."
    assert text[chunk.to_source(3) : chunk.to_source(6) + 1] == "bold"
    assert text[chunk.to_source(8) : chunk.to_source(11) + 1] == "link"
    assert chunk.to_source(len(chunk.text)) == len(text)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 100_000,
        "你" * 50_000,
        "[a](" * 5_000,
        "<a@" * 20_000,
        "*" * 50_000,
        "a/" * 30_000,
        "क्" * 20_000,
        "e\u0301" * 20_000,
        "h" * 50_000,
        "```" * 10_000,
        "—" * 30_000,
    ],
    ids=lambda text: ascii(text[:4]),
)
def test_what_is_pending_is_bounded(text: str) -> None:
    """However hostile: then every push costs no more than the bound, and the whole is linear."""
    chunker = Chunker("en")
    covered = 0
    for i, c in enumerate(text, 1):
        for chunk in chunker.push(c):
            covered = chunk.end
            assert len(chunk.text) <= 2 * 120 + 1
        if speakable(text[:4]):
            assert i - covered <= 1_000


# --- properties ------------------------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        *["Hello", "I", "Dr.", "e.g.", "3.14", "1,000", "world.", "Yes!", "no?", "well...", "…", "and", "that", "U.S."],
        *[
            "(",
            ")",
            '"',
            "”",
            "—",
            "-",
            ",",
            ";",
            ":",
            ".",
            "*",
            "**",
            "_",
            "`",
            "```",
            "~~",
            "#",
            "## ",
            "> ",
            "- ",
            "1. ",
            "|",
        ],
        *[
            "[",
            "]",
            "](",
            "[a](b)",
            "![x](y)",
            "<",
            ">",
            "<b>",
            "<a@b.c>",
            "https://",
            "http://a.b/c_d",
            "www.x.y",
            "\\",
            "\\*",
        ],
        *["😀", "👍🏽", "👨‍👩‍👧", "1️⃣", "→", ":)", "\x07", "\u200b", "\u200d", "\u0301", "\ud83d"],
        *["你好", "。", "，", "「", "」", "カー", "ッ", "한국어", "สวัสดี", "क्षि", "مرحبا", "؟", "\u0e33"],
        *[" ", "  ", "\n", "\n\n", "\r\n", "\t", " ", " "],
        *["longwordwithoutanyend" * 4, "x.y/" * 40, "9" * 30],
    ]
)
REPLIES = st.lists(PIECES | st.text(max_size=4), max_size=60).map("".join)


def check(text: str, chunks: list[Chunk]) -> None:
    place = 0
    for k, chunk in enumerate(chunks):
        assert chunk.index == k
        assert chunk.start == place
        assert chunk.start < chunk.end <= len(text)
        place = chunk.end
        check_chunk(text, chunk)


def check_chunk(text: str, chunk: Chunk) -> None:
    assert chunk.text == chunk.text.strip()
    assert speakable(chunk.text)
    assert len(chunk.text) <= 241
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Co", "Cn") for c in chunk.text)
    places = [chunk.to_source(i) for i in range(len(chunk.text))]
    assert places == sorted(places)
    assert all(chunk.start <= p < chunk.end for p in places)
    for c, p in zip(chunk.text, places, strict=True):
        assert c == text[p] or (c == " " and not text[p].isalnum()) or (c in ", " and text[p] == "|")


@given(REPLIES, st.data())
@settings(max_examples=200, deadline=None)
def test_deltas_do_not_matter(text: str, data: st.DataObject) -> None:
    language = data.draw(st.sampled_from(["en", "de", "zh", ""]))
    whole = Chunker(language)
    expected = whole.push(text) + whole.flush()
    assert one_by_one(text, language) == expected
    places = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    chunker = Chunker(language)
    parts = [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]
    assert [c for part in parts for c in chunker.push(part)] + chunker.flush() == expected
    check(text, expected)


@given(
    st.lists(st.sampled_from(["a\u0301", "क्षि", "สี่", "각", "\u1112\u1161\u11ab", "é"]), min_size=30, max_size=200).map(
        "".join
    )
)
@settings(max_examples=50, deadline=None)
def test_graphemes_are_never_cut(text: str) -> None:
    for chunk in one_by_one(text)[1:]:
        first = text[chunk.start]
        assert unicodedata.category(first) not in ("Mn", "Mc", "Me")
        assert not "\u1160" <= first <= "\u11ff"


class ChunkerMachine(RuleBasedStateMachine):
    """Pushes and flushes in any order: the reply is covered in order, and nothing speakable is kept back by a flush."""

    def __init__(self) -> None:
        super().__init__()
        self.chunker = Chunker("en")
        self.text = ""
        self.chunks: list[Chunk] = []

    @rule(piece=PIECES, language=st.sampled_from(["", "", "", "de"]))
    def push(self, piece: str, language: str) -> None:
        self.text += piece
        self.chunks += self.chunker.push(piece, language)

    @rule()
    def flush(self) -> None:
        self.chunks += self.chunker.flush()
        assert not self.chunker.waiting
        assert self.chunker.flush() == []

    @rule()
    def pause(self) -> None:
        self.chunks += self.chunker.pause()

    @invariant()
    def covered_in_order(self) -> None:
        place = 0
        for k, chunk in enumerate(self.chunks):
            assert (chunk.index, chunk.start) == (k, place)
            place = chunk.end
        if self.chunks:
            check_chunk(self.text, self.chunks[-1])


TestChunkerMachine = ChunkerMachine.TestCase
TestChunkerMachine.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
