import asyncio
import itertools
import re
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.conversation.commands import Cause
from orchestrator.conversation.history import Item, Role
from orchestrator.ports import Adjust, Done, Text, VoiceChoice
from orchestrator.responders.tour import TourResponder, lines
from orchestrator.responders.tour.counting import count_text
from orchestrator.responders.tour.phrases import PHRASES, SAID, Intent
from orchestrator.responders.tour.words import NUMBERS
from tests.support.talk import Listening, Talk

pytestmark = pytest.mark.unit

NUMBER_WORDS = NUMBERS[1:21]
COUNT = " ".join(count_text(1, 20))
OFFER = re.compile(r"a story|the time|another voice|a joke|pace|today's date|another count")


def tour() -> TourResponder:
    return TourResponder(now=lambda: datetime(2026, 3, 3, 15, 12))


def talk(**options) -> Talk:
    return Talk(tour(), **options)


# --- the greeting --------------------------------------------------------------------------------------------------


async def test_greets_says_what_is_running_and_counts():
    reply = await talk().greet()
    assert reply.text.startswith("Hello! I'm Antiphon. My voice is eSpeak, and Pocket Sphinx is listening to you.")
    assert "Talk over me whenever you like" in reply.text
    assert COUNT in reply.text
    assert OFFER.search(reply.text.split(COUNT)[1])


async def test_numbers_come_one_by_one_so_that_they_can_be_cut():
    pieces = [d.text.strip() for d in (await talk().greet()).deltas if isinstance(d, Text)]
    assert [p for p in pieces if p.strip(",.").lower() in NUMBER_WORDS] == list(count_text(1, 20))


async def test_without_ears_says_so_and_offers_the_keyboard():
    here = talk(facts={"tts": "espeak", "hears": "no"})
    assert "you can type" in (await here.greet()).text
    reply = (await here.user("")).text
    assert re.search("[Tt]ype|keyboard", reply)


async def test_knows_nothing_of_what_is_running():
    assert COUNT in (await talk(facts={}).greet()).text


@pytest.mark.parametrize(("language", "spoken"), [("", ""), ("en", ""), ("en-GB", ""), ("de", "en"), ("fr_FR", "en")])
async def test_speaks_english_and_says_so_where_another_language_was_asked_for(language: str, spoken: str):
    here = talk(language=language)
    greeting, other = await here.greet(), await here.user("what time is it")
    assert {d.language for r in (greeting, other) for d in r.deltas if isinstance(d, Text)} == {spoken}
    assert (lines.ENGLISH_ONLY[0] in greeting.text) == bool(spoken)


# --- interruptions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("heard", range(1, 20))
@pytest.mark.parametrize("said", ["stop", "", "mumble grumble", "hello", "seven"])
async def test_stopped_at_a_number_whatever_was_understood(heard: int, said: str):
    here = talk()
    await here.greet()
    here.cut_after(COUNT[: COUNT.index(count_text(1, 20)[heard])].strip())
    reply = await here.user(said)
    at, last = NUMBERS[heard + 1], NUMBERS[heard]
    assert reply.text.startswith(f"You stopped me at {at}; the last number you heard was {last}.")
    assert OFFER.search(reply.text)


async def test_a_turn_without_an_item_of_the_user_is_answered_too():
    here = talk()
    await here.greet()
    here.cut_after("five,")
    history, context = here.history, here.context(Cause.USER, Listening())
    deltas = [d async for d in tour().reply(history, context)]
    assert "You stopped me at six; the last number you heard was five." in "".join(
        d.text for d in deltas if isinstance(d, Text)
    )


async def test_the_history_alone_tells_of_the_cut():
    here = talk()
    await here.greet()
    text = here.history[-1].text
    here.cut(text[: text.index("seven,")], told=False)
    assert "You stopped me at seven; the last number you heard was six." in (await here.user("hm")).text


async def test_stopped_before_the_first_number_and_after_the_last():
    here = talk()
    await here.greet()
    here.cut_before("One,")
    assert "before one, so you haven't heard a number yet" in (await here.user("")).text
    await here.user("count again")
    here.cut_after("nineteen, twenty.")
    assert "right after twenty" in (await here.user("")).text


async def test_stopped_before_the_first_word():
    here = talk()
    await here.greet()
    here.cut("")
    assert (await here.user("")).text == lines.STOPPED_AT_ONCE[0]


async def test_everything_heard_and_the_cut_in_the_closing_words():
    here = talk()
    await here.greet()
    here.cut_after("There, and you")
    reply = (await here.user("mumble")).text
    assert "twenty. There, and you" in reply


async def test_a_clear_wish_over_a_count_gets_the_report_and_the_answer():
    here = talk()
    await here.greet()
    here.cut_before("four,")
    reply = (await here.user("what time is it")).text
    assert reply.startswith("You stopped me at four; the last number you heard was three.")
    assert "twelve minutes past three in the afternoon" in reply


async def test_a_typed_question_over_a_count_gets_the_report_and_an_answer():
    for said, answer in (("what is love", "“what is love”"), ("🙂", "without a word")):
        here = talk()
        await here.greet()
        here.cut_before("four,", typed=True)
        reply = (await here.user(said)).text
        assert reply.startswith("You stopped me at four; the last number you heard was three.")
        assert answer in reply
    here.cut(reply[:20], typed=True)
    reply = (await here.user("what is love")).text
    assert "The last words you heard were: You stopped me at" in reply
    assert "“what is love”" in reply


async def test_faster_over_a_count_goes_on_faster():
    here = talk()
    await here.greet()
    here.cut_before("nine,")
    reply = await here.user("faster")
    assert isinstance(reply.deltas[0], Adjust)
    assert reply.deltas[0].rate == 1.25
    assert "Nine, ten," in reply.text
    assert "twenty." in reply.text


@pytest.mark.parametrize("said", ["go on", "say that again", "yes please"])
async def test_goes_on_with_a_count(said: str):
    here = talk()
    await here.greet()
    here.cut_before("nine,")
    reply = (await here.user(said)).text
    assert " ".join(count_text(9, 20)) in reply
    assert "eight," not in reply
    here.cut_before("twelve,")
    assert "You stopped me at twelve; the last number you heard was eleven." in (await here.user("stop")).text


async def test_a_count_that_went_on_and_was_stopped_at_its_first_number():
    here = talk()
    await here.greet()
    here.cut_before("nine,")
    await here.user("go on")
    here.cut_before("Nine,")
    assert "You stopped me at nine; the last number you heard was eight." in (await here.user("")).text


async def test_same_number_twice_is_not_said_with_the_same_words():
    here = talk()
    await here.greet()
    seen = []
    for _ in range(4):
        here.cut_before("seven,")
        seen.append((await here.user("")).text)
        await here.user("count again")
    assert len(set(seen)) == 4
    assert all("seven" in text and "six" in text for text in seen)


@pytest.mark.parametrize("story", lines.STORIES)
@pytest.mark.parametrize("said", ["say that again", "go on", "continue"])
async def test_a_story_goes_on_from_the_first_word_not_heard(story: str, said: str):
    words = story.split()
    for place in range(1, len(words), 7):
        here = talk()
        here.history = (Item(Role.ASSISTANT, f"Here is a short one. {story}", 1),)
        here.cut(f"Here is a short one. {' '.join(words[:place])}")
        assert (await here.user(said)).text.endswith(" ".join(words[place:]))


@pytest.mark.parametrize("story", lines.STORIES)
async def test_what_goes_on_begins_with_the_beginning_of_its_sentence(story: str):
    words = story.split()
    for place in range(1, len(words), 5):
        here = talk()
        here.history = (Item(Role.ASSISTANT, f"Here is a short one. {story}", 1),)
        here.cut(f"Here is a short one. {' '.join(words[:place])}")
        reply = (await here.user("go on")).text
        whole = words[place - 1][-1] in ".?!"
        opening = next(w for w in (lines.CARRY_ON if whole else lines.CARRY_ON_SENTENCE) if reply.startswith(w))
        rest = reply.removeprefix(opening).strip()
        assert rest[0].isupper()
        assert story.endswith(rest)
        before = story.removesuffix(rest).strip()
        assert not before or before[-1] in ".?!"
        assert len(before.split()) <= place, "nothing is left out"


async def test_what_is_no_story_goes_on_with_its_sentence_as_well():
    here = talk()
    await here.user("help")
    here.cut("It's simple: talk when you like", ", and I'll stop. A few words are enough.")
    reply = (await here.user("go on")).text
    assert reply.endswith("It's simple: talk when you like, and I'll stop. A few words are enough.")


async def test_a_story_goes_on_after_other_things_were_asked():
    here = talk()
    await here.user("tell me a story")
    here.cut_after("soup and socks")
    assert "soup and socks" in (await here.user("stop")).text
    await here.user("what time is it")
    assert "and the price of oil." in (await here.user("go on")).text
    assert "and the price of oil." not in (await here.user("go on")).text


async def test_faster_over_a_story_goes_on_with_it():
    here = talk()
    await here.user("a story")
    here.cut_after("soup and socks")
    reply = await here.user("slower")
    assert reply.adjust == Adjust(rate=0.8)
    assert "and the price of oil." in reply.text
    assert "lighthouse keeper" not in reply.text


async def test_an_interrupted_answer_that_is_no_count():
    here = talk()
    await here.user("help")
    here.cut_after("talk when you like,")
    assert "The last words you heard were: simple: talk when you like. Say go on" in (await here.user("")).text


# --- noises --------------------------------------------------------------------------------------------------------


async def test_a_noise_is_spoken_of_once_the_rest_was_heard():
    here = talk()
    reply = (await here.greet(noises=1)).text
    assert reply.index("twenty.") < reply.index(lines.ONE_NOISE[0]) < reply.index("you let me finish")
    assert lines.ONE_NOISE[1] in (await here.user("tell me a story", noises=1)).text
    assert "three noises" in (await here.user("count to ten", noises=3)).text


async def test_no_noise_no_remark():
    here = talk()
    assert "noise" not in (await here.greet()).text
    assert "noise" not in (await here.user("tell me a story")).text


async def test_only_long_replies_wait_for_their_end():
    here = talk()
    for said, waits in (("what time is it", False), ("tell me a story", True), ("count", True), ("bye", False)):
        progress = Listening()
        history = (Item(Role.USER, said),)
        async for _ in tour().reply(history, here.context(Cause.USER, progress)):
            pass
        assert bool(progress.waited) == waits, said


# --- wishes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phrase", sorted({*PHRASES, *(p for said in SAID.values() for p in said)}))
async def test_each_phrase_is_answered_after_a_greeting(phrase: str):
    here = talk()
    await here.greet()
    reply = (await here.user(phrase)).text
    assert reply
    assert "{" not in reply
    assert not any(w.split("{words}")[0].strip() and w.split("{words}")[0] in reply for w in lines.UNKNOWN)


async def test_time_and_date_by_the_clock_given():
    here = talk()
    assert "twelve minutes past three in the afternoon" in (await here.user("what time is it")).text
    assert "Tuesday, the third of March, twenty twenty-six" in (await here.user("what's the date")).text


async def test_three_stories_then_the_first_again():
    here = talk()
    told = [(await here.user("another story")).text for _ in range(4)]
    heard = [next(s for s in lines.STORIES if s in text) for text in told]
    assert sorted(heard[:3]) == sorted(lines.STORIES)
    assert heard[3] == heard[0]


async def test_say_that_again():
    here = talk()
    assert "haven't said anything yet" in (await here.user("say that again")).text
    said = (await here.user("what time is it")).text
    assert (await here.user("say that again")).text == said
    assert (await here.user("again")).text == said


@pytest.mark.parametrize(("wish", "bound"), [("faster", 3.0), ("slower", 0.5)])
async def test_rate_stays_in_bounds_and_says_when_it_is_there(wish: str, bound: float):
    here = talk()
    rates = []
    for _ in range(12):
        reply = await here.user(wish)
        if reply.adjust is not None:
            assert reply.deltas[0] == reply.adjust
            assert reply.adjust.rate is not None
            rates.append(reply.adjust.rate)
    assert rates == sorted(rates, reverse=wish == "slower")
    assert len(set(rates)) == len(rates)
    assert rates[-1] == bound
    assert (await here.user(wish)).text in (*lines.FASTEST, *lines.SLOWEST)
    normal = await here.user("normal speed")
    assert normal.adjust == Adjust(rate=1.0)
    assert (await here.user("normal speed")).adjust is None


async def test_another_voice_goes_round():
    here = talk()
    chosen = [(await here.user("another voice")).adjust for _ in range(4)]
    assert [a.voice for a in chosen if a is not None] == ["en-us", "en-scotland", "en-gb", "en-us"]


async def test_another_voice_from_an_unnamed_one():
    here = talk()
    here.voice = VoiceChoice()
    assert (await here.user("another voice")).adjust == Adjust(voice="en-us")


@pytest.mark.parametrize("voices", [(), ("en-gb",)])
async def test_one_voice_only(voices: tuple[str, ...]):
    here = talk(voices=voices)
    reply = await here.user("another voice")
    assert reply.adjust is None
    assert "voice" in reply.text
    assert "another voice" not in "".join([(await here.user("xyzzy")).text for _ in range(10)])


@pytest.mark.parametrize(("said", "end"), [("count to ten", 10), ("count to 3", 3), ("count", 20), ("count to 0", 1)])
async def test_counts_as_far_as_asked(said: str, end: int):
    reply = (await talk().user(said)).text
    assert " ".join(count_text(1, end)) in reply


async def test_counts_only_so_far():
    reply = (await talk().user("count to a 1000000")).text
    assert "fifty." in reply
    assert "fifty-one" not in reply
    assert lines.TOO_FAR[0] in reply


async def test_unknown_words_are_read_back_with_an_offer():
    reply = (await talk().user("the moon is made of {offer} “cheese”\x07")).text
    assert "“the moon is made of {offer} cheese”" in reply
    assert OFFER.search(reply)


async def test_a_flood_of_words_is_read_back_in_part():
    reply = (await talk().user("blah" * 25_000)).text
    assert len(reply) < 500


@pytest.mark.parametrize("said", ["", "  "])
async def test_no_words_get_a_good_reply(said: str):
    reply = (await talk().user(said)).text
    assert "no words came through" in reply
    assert OFFER.search(reply)


@pytest.mark.parametrize("said", ["…", "🙂", "👍🏽 !"])
async def test_a_sign_without_words_was_no_voice(said: str):
    for facts in (None, {"tts": "espeak", "hears": "no"}):
        here = talk(facts=facts)
        for _ in lines.WORDLESS:
            reply = (await here.user(said)).text
            assert not re.search("voice, but|heard|spoke|make out", reply)
            assert OFFER.search(reply)


# --- yes, and what it is said to -----------------------------------------------------------------------------------


@pytest.mark.parametrize("said", ["ok", "okay", "sure", "yes please"])
async def test_an_ok_to_nothing_is_acknowledged(said: str):
    here = talk()
    for before in ("thank you", "what time is it", "faster", "tell me a joke"):
        await here.user(before)
        assert (await here.user(said)).text in lines.OKAY


async def test_an_ok_after_a_cut_story_and_another_answer_is_acknowledged():
    here = talk()
    await here.user("tell me a story")
    here.cut_after("soup and socks")
    await here.user("what time is it")
    assert (await here.user("ok")).text in lines.OKAY


async def test_a_yes_takes_what_was_offered():
    here = talk()
    await here.greet()
    assert lines.STORIES[0] in (await here.user("ok")).text
    assert "Would you like a slower pace, another count or a story?" in (await here.user("hello")).text
    assert (await here.user("yes please")).adjust == Adjust(rate=0.8)


async def test_a_yes_to_an_offer_that_was_not_heard_is_acknowledged():
    here = talk()
    await here.user("hello")
    here.cut("Hello to you.")
    assert "I stopped" in (await here.user("stop")).text
    here.history = here.history[:2]
    assert (await here.user("ok")).text in lines.OKAY


async def test_a_yes_goes_on_where_that_was_offered():
    here = talk()
    await here.user("tell me a story")
    here.cut_after("soup and socks")
    assert "go on" in (await here.user("stop")).text
    assert "and the price of oil." in (await here.user("okay")).text


@pytest.mark.parametrize("said", ["my voice hurts", "your voice is nice", "I lost my voice", "no choice"])
async def test_who_speaks_of_a_voice_does_not_ask_for_another(said: str):
    assert (await talk().user(said)).adjust is None


@pytest.mark.parametrize("said", ["voice", "voice please", "ok, the voice now", "please change the voice"])
async def test_who_asks_for_a_voice_gets_one(said: str):
    assert (await talk().user(said)).adjust == Adjust(voice="en-us")


# --- in the long run -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", ["", "xyzzy plugh", "hello", "what time is it", "thanks", "faster", "help", "go on"])
async def test_never_the_same_twice_in_a_row(said: str):
    here = talk()
    replies = [(await here.user(said)).text for _ in range(12)]
    assert all(a != b for a, b in itertools.pairwise(replies))


async def test_cut_off_at_its_first_word_again_and_again_it_still_varies():
    here = talk()
    await here.greet()
    replies = []
    for _ in range(8):
        here.cut("")
        replies.append((await here.user("xyzzy")).text)
    assert all(a != b for a, b in itertools.pairwise(replies))


async def test_offers_what_was_not_asked_for_yet():
    here = talk()
    assert "a story" in (await here.user("xyzzy")).text
    await here.user("tell me a story")
    await here.user("what time is it")
    offers = [(await here.user("hello")).text for _ in range(3)]
    assert not any("a story" in text or "the time" in text for text in offers)


async def test_two_sessions_interleaved_are_as_two_apart():
    one = tour()
    apart = [Talk(one), Talk(one)]
    said = [["hello", "a story", "faster", "xyzzy"], ["a story", "xyzzy", "hello", "another voice"]]
    alone = []
    for here, turns in zip(apart, said, strict=True):
        alone.append([(await here.user(t)).text for t in turns])
    mixed = [Talk(one), Talk(one)]
    together: list[list[str]] = [[], []]
    for turn in range(4):
        for n in range(2):
            together[n].append((await mixed[n].user(said[n][turn])).text)
    assert together == alone


async def test_closes_anywhere_without_a_trace():
    here = talk()
    for taken in range(30):
        deltas = tour().reply((), here.context(Cause.GREETING, Listening()))
        for _ in range(taken):
            await anext(deltas, None)
        await deltas.aclose()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_lets_others_run_between_pieces():
    others = 0

    async def other() -> None:
        nonlocal others
        while True:
            others += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await talk().greet()
    task.cancel()
    assert others > 20


async def test_the_history_may_hold_anything():
    history = (
        Item(Role.TOOL_CALL, "", name="x", call_id="1"),
        Item(Role.TOOL_RESULT, "{}", call_id="1"),
        Item(Role.ASSISTANT, "", cut=True),
        Item(Role.USER, "hello"),
        Item(Role.TOOL_RESULT, "{}", call_id="1"),
    )
    deltas = [d async for d in tour().reply(history, talk().context(Cause.USER, Listening()))]
    assert isinstance(deltas[-1], Done)
    assert len(deltas) > 1


TURNS = st.tuples(
    st.sampled_from([*PHRASES, "", "xyzzy", "seven", "stop", "🙂"]) | st.text(max_size=40),
    st.floats(0, 1) | st.none(),
    st.integers(0, 3),
    st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(TURNS, min_size=1, max_size=40))
def test_long_conversations(turns: list[tuple[str, float | None, int, bool]]):
    """Whatever is said and wherever it is cut: an answer, in bounds, and never what was said just before."""

    async def converse() -> None:
        here = talk()
        before = (await here.greet()).text
        for said, heard, noises, told in turns:
            if heard is not None:
                words = before.split(" ")
                here.cut(" ".join(words[: int(heard * len(words))]), told=told)
            reply = await here.user(said, noises)
            texts = [d.text for d in reply.deltas if isinstance(d, Text)]
            assert texts
            assert all(t.strip() for t in texts)
            assert all(t.startswith(" ") for t in texts[1:])
            assert 0.5 <= here.voice.rate <= 3.0
            again = "say that" in said or Intent.AGAIN.value in said
            assert reply.text != before or again or heard is not None
            before = reply.text

    asyncio.run(converse())
