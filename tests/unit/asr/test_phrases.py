import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.phrases import MOST_PHRASES, NOISE, SILENCE, Phrase, grammar, prepare, spoken_number
from base.errors import BadRequest

pytestmark = pytest.mark.unit

WORDS = frozenset(
    (
        *("what", "time", "is", "it", "seven", "thirty", "two", "three", "oh", "five", "point", "and", "fifteen"),
        *("percent", "face", "book", "cafe", "can't", "rock", "i", "n", "a", "s", "roll"),
    )
)


def words(text):
    prepared = prepare((text,), WORDS.__contains__)
    assert not prepared.left_out, prepared.left_out
    return " ".join(prepared.phrases[0].words)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("What time is it?", "what time is it"),
        ("7:30", "seven thirty"),
        ("7:05", "seven oh five"),
        ("7:00", "seven"),
        ("3.2", "three point two"),
        ("15%", "fifteen percent"),
        ("rock & roll", "rock and roll"),
        ("CAFÉ", "cafe"),
        ("I can’t", "i can't"),
        ("facebook", "face book"),
        ("NASA", "n a s a"),
    ],
)
def test_a_phrase_becomes_words_of_the_dictionary(text, said):
    assert words(text) == said


def test_the_clients_own_spelling_is_kept():
    assert prepare(("What TIME is it?",), WORDS.__contains__).phrases == (
        Phrase("What TIME is it?", ("what", "time", "is", "it")),
    )


def test_a_phrase_with_an_unknown_word_is_left_out_and_the_word_named():
    prepared = prepare(("what zqx is it", "what time is it", "!?"), WORDS.__contains__)
    assert [p.text for p in prepared.phrases] == ["what time is it"]
    assert "'zqx'" in prepared.left_out[0]
    assert "no words" in prepared.left_out[1]


def test_phrases_that_sound_the_same_are_one():
    assert len(prepare(("what time", "What, time!"), WORDS.__contains__).phrases) == 1


def test_what_is_too_much_is_refused_with_the_limit():
    with pytest.raises(BadRequest, match=str(MOST_PHRASES)):
        prepare(("time",) * (MOST_PHRASES + 1), WORDS.__contains__)
    with pytest.raises(BadRequest, match="characters"):
        prepare(("time " * 100,), WORDS.__contains__)
    with pytest.raises(BadRequest, match="words"):
        prepare(("a " * 40,), {"a"}.__contains__)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (40, "forty"),
        (99, "ninety nine"),
        (205, "two hundred five"),
        (1_000, "one thousand"),
        (21_370, "twenty one thousand three hundred seventy"),
        (2_000_001, "two million one"),
    ],
)
def test_numbers_are_said_in_words(number, said):
    assert " ".join(spoken_number(number)) == said


@given(st.text(st.characters(exclude_categories=("Nd", "Nl", "No")), max_size=60))
def test_any_text_is_a_phrase_or_is_left_out(text):
    prepared = prepare((text,), WORDS.__contains__)
    assert len(prepared.phrases) + len(prepared.left_out) == 1
    assert all(WORDS.issuperset(p.words) for p in prepared.phrases)


phrases = st.lists(
    st.lists(st.sampled_from(sorted(WORDS)), min_size=1, max_size=5), min_size=1, max_size=6, unique_by=tuple
).map(lambda lists: tuple(Phrase(" ".join(words), tuple(words)) for words in lists))


@given(phrases, st.data())
def test_the_grammar_takes_whole_phrases_and_nothing_else(said, data):
    step = {}
    for at, to, probability, word in grammar(said):
        assert 0 < probability <= 1
        step.setdefault((at, word), set()).add(to)

    def accepts(words):
        states = {0}
        for word in words:
            states = set().union(*(step.get((s, word), set()) for s in states))
        return 1 in states

    whole = {p.words for p in said}
    for p in said:
        assert accepts(p.words)
        assert accepts((SILENCE[0], NOISE[0], *p.words, SILENCE[0]))
        assert accepts(p.words[:-1]) == (p.words[:-1] in whole)
    other = data.draw(st.lists(st.sampled_from(sorted(WORDS)), max_size=5).map(tuple))
    assert accepts(other) == (other in whole)
