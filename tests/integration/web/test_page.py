"""The page in a real browser with a fake microphone, against a whole system: what needs layout and media."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from scripts.check_page import Browser, browser, chromium, tab
from tests.support.house import free_port, house, service

pytestmark = [
    pytest.mark.integration,
    # In CI a missing browser is a failure.
    pytest.mark.skipif(
        chromium() is None and not os.environ.get("CI"), reason="neither chromium nor google-chrome is in PATH"
    ),
]

SPIES = """
window.sent = []; window.placed = []; window.streams = []; window.empty = 0;
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (data) {
  if (typeof data === "string") sent.push(JSON.parse(data));
  else placed.push(Number(new DataView(data).getBigUint64(8, true)));
  send.call(this, data);
};
const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wish) => {
  streams.push(await open(wish));
  return streams.at(-1);
};
"""
UNPLUG = """(() => {
  const [track] = streams.at(-1).getTracks();
  track.stop();
  track.dispatchEvent(new Event("ended"));
})()"""
CONNECTED = "document.querySelector('#connection').dataset.status === 'open'"
MICROPHONE = "document.querySelector('#talk').dataset.mic"
NOW = "[...document.querySelectorAll('#captions .now')].at(-1)"
IN_VIEW = f"""(() => {{
  const [word, seen] = [{NOW}, document.querySelector("#captions")].map((e) => e.getBoundingClientRect());
  return word.top >= seen.top && word.bottom <= seen.bottom;
}})()"""
AT_END = """(() => {
  const list = document.querySelector("#captions");
  return list.scrollHeight > list.clientHeight && list.scrollHeight - list.scrollTop - list.clientHeight < 2;
})()"""
QUICK = {"options": {"char_s": 0.005}}
STORY = " ".join(f"Sentence number {n} of a story that is taller than any phone." for n in range(1, 31))


@asynccontextmanager
async def visit(url: str, *, voices: int = 3, **kept: Any) -> AsyncIterator[Browser]:
    """Somebody on the page, who is offered so many voices; `kept`: the browser's settings. Fails if the page threw."""
    program = chromium()
    assert program is not None
    with browser(program, "about:blank", None) as profile:
        async with tab(profile) as page:
            await page.call("Page.addScriptToEvaluateOnNewDocument", source=SPIES)
            settings = f"if (!localStorage.antiphon) localStorage.antiphon = {json.dumps(json.dumps(kept))};"
            await page.call("Page.addScriptToEvaluateOnNewDocument", source=settings)
            await page.screen(1100, 800)
            await page.call("Page.navigate", url=url)
            await sees(page, "document.readyState === 'complete'")
            await sees(page, f"document.querySelectorAll('#voice option').length === {voices + 1}")
            yield page
            assert not page.problems


async def sees(page: Browser, what: str, seconds: float = 20) -> None:
    assert await page.until(what, seconds), (what, await page.value("document.body.innerText"))


async def asks(page: Browser, text: str) -> None:
    await page.click("#text")
    await page.type(text)
    await page.key("Enter")


async def wheel(page: Browser, y: int) -> None:
    await page.call("Input.dispatchMouseEvent", type="mouseWheel", x=200, y=200, deltaX=0, deltaY=y)
    await asyncio.sleep(0.2)


# --- captions --------------------------------------------------------------------------------------------------------


async def test_a_reply_is_read_before_it_is_heard() -> None:
    async with house(tts=0) as here, visit(here.url, voices=0) as page:
        await asks(page, "are you there")
        await sees(page, "document.querySelector('#captions .it .rest')?.textContent === 'are you there'")


async def test_the_end_is_in_view() -> None:
    async with house(tts_settings=QUICK) as here, visit(here.url) as page:
        await page.screen(390, 700, mobile=True)
        for n in range(8):
            await asks(page, f"Please repeat this line, number {n}: it is a bit longer than the phone is wide.")
            await sees(page, f"document.querySelectorAll('#captions .it').length === {n + 1}")
            await sees(page, f"{NOW}.textContent === ''")
        await sees(page, AT_END, 2)
        await page.screen(390, 450, mobile=True)
        await sees(page, AT_END, 2)
        await page.screen(844, 390, mobile=True)
        await sees(page, AT_END, 2)


async def test_a_story_taller_than_the_window_is_followed_word_by_word() -> None:
    async with house(tts_settings={"options": {"char_s": 0.004}}) as here, visit(here.url) as page:
        await page.screen(390, 700, mobile=True)
        await asks(page, STORY)
        await sees(page, "document.querySelector('#captions .it')?.innerText.includes('number 30')")
        text = "document.querySelector('#captions .heard')?.textContent.length ?? 0"
        for heard in (1, 400, 800, 1000):
            await sees(page, f"{text} > {heard}")
            assert await page.value(IN_VIEW)
        await page.screen(844, 390, mobile=True)
        await asyncio.sleep(0.2)
        assert await page.value(IN_VIEW), "turned on its side"
        await page.screen(390, 700, mobile=True)
        # Who goes back is left there, and comes back by the button.
        await wheel(page, -3000)
        await asyncio.sleep(0.5)
        assert await page.value("document.querySelector('#captions').scrollTop") == 0
        await sees(page, "!document.querySelector('#latest').hidden", 2)
        await page.click("#latest")
        await asyncio.sleep(0.2)
        assert await page.value(IN_VIEW)
        assert await page.value("document.querySelector('#latest').hidden")
        await sees(page, f"{NOW}.textContent === ''")
        await sees(page, AT_END, 2)
        # Or by going to the end.
        await wheel(page, -3000)
        await sees(page, "!document.querySelector('#latest').hidden", 2)
        await wheel(page, 9000)
        await sees(page, "document.querySelector('#latest').hidden", 2)


# --- the microphone --------------------------------------------------------------------------------------------------


async def test_a_microphone_opened_again_goes_on_in_the_same_count() -> None:
    async with house() as here, visit(here.url) as page:
        await page.click("#talk")
        await sees(page, "placed.length > 20")
        await page.value(UNPLUG)
        await sees(page, f"{MICROPHONE} === 'none'")
        before = await page.value("placed.length")
        await asyncio.sleep(0.5)
        assert await page.value("placed.length") <= before + 2
        await page.click("#talk")
        await sees(page, f"{MICROPHONE} === 'open' && placed.length > {before + 40}")
        placed = await page.value("placed")
        steps = [b - a for a, b in pairwise(placed)]
        frame = steps[0]
        assert [s for s in steps if s <= 0] == []
        gaps = [s for s in steps if s != frame]
        assert len(gaps) == 1
        assert gaps[0] > 0.4 * 50 * frame, "its time passed too"
        assert gaps[0] % frame == 0


async def test_a_key_held_to_talk_is_let_go_when_the_window_loses_focus() -> None:
    async with house() as here, visit(here.url, push=True) as page:
        await page.click("#talk")
        await sees(page, f"{CONNECTED} && {MICROPHONE} === 'muted'")
        hide = "Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
        for leave in (
            "window.dispatchEvent(new Event('blur'))",
            f"{hide} document.dispatchEvent(new Event('visibilitychange')); delete document.hidden;",
        ):
            await page.key(" ", "keyDown")
            await sees(page, f"{MICROPHONE} === 'open'", 2)
            await page.value(leave)
            assert await page.value(MICROPHONE) == "muted"
            assert await page.value("sent.filter((m) => m.type === 'input').at(-1).state") == "released"
            await page.key(" ", "keyUp")


# --- sessions --------------------------------------------------------------------------------------------------------


async def test_a_server_that_crashed_and_came_back() -> None:
    async with house() as here:
        port = free_port()
        place = ("--registry", here.registry, "--port", str(port), "--responder", "echo")
        async with service("orchestrator", *place) as first, visit(f"http://127.0.0.1:{port}/") as page:
            await asks(page, "one two three four five six seven eight nine ten")
            await sees(page, "document.querySelector('#captions .heard')?.textContent.startsWith('one two')")
            first.kill()
            await sees(page, f"!({CONNECTED})")
            await asks(page, "eleven")
            async with service("orchestrator", *place) as second:
                await sees(page, CONNECTED)
                note = await page.value("document.querySelector('#captions .note').textContent")
                assert note == "The server no longer knows this conversation; here is a new one."
                cut = "document.querySelector('#captions .it')"
                assert (await page.value(f"{cut}.querySelector('.heard').textContent")).startswith("one two ")
                assert await page.value(f"{cut}.querySelector('.now').textContent") == ""
                assert await page.value(f"{cut}.querySelector('.rest').textContent") == ""
                assert (await page.value(f"{cut}.querySelector('.unheard').textContent")).endswith("nine ten")
                # Typed meanwhile: asked now.
                await sees(page, "document.querySelectorAll('#captions .it')[1]?.innerText.includes('eleven')")
                second.kill()
                await sees(page, f"!({CONNECTED})")
            await asks(page, "twelve")
            await asks(page, "thirteen")
            await page.click("#end")
            # Nobody was asked: it can be sent again.
            assert await page.value("document.querySelector('#text').value") == "twelve thirteen"
            assert not await page.value("document.querySelector('#captions').innerText.includes('twelve')")
            page.problems.clear()  # connections that were refused, as they should


async def test_the_default_voice_chosen_again_is_said_to_the_server() -> None:
    async with house() as here, visit(here.url, voice="low") as page:
        await asks(page, "hello")
        await sees(page, CONNECTED)
        assert await page.value("sent[0].voice") == "low"
        await sees(page, "document.querySelectorAll('#captions .it').length === 1")
        await page.value(
            "(() => { const v = document.querySelector('#voice'); v.value = '';"
            " v.dispatchEvent(new Event('change', {bubbles: true})); })()"
        )
        assert await page.value("sent.filter((m) => m.type === 'session_update').at(-1)") == {
            "type": "session_update",
            "voice": "",
            "language": "",
            "rate": 1,
        }
