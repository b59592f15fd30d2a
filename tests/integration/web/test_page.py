"""The page in a real browser with a fake microphone, against a whole system: what needs layout and media."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser
from playwright.async_api import Error as PlaywrightError

from antiphon.web_files import ensure_livekit_client
from orchestrator.key_file import KeyFile
from orchestrator.keys import KeyRecord
from tests.support import livekit
from tests.support.browsers import ChromiumTab, chromium, chromium_tab, needs_chromium, sees
from tests.support.house import House, free_port, house, service

ROOT = Path(__file__).parents[3]
pytestmark = [pytest.mark.integration, needs_chromium]

SPIES = """
window.sent = []; window.placed = []; window.streams = [];
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (data) {
  if (typeof data === "string") sent.push(JSON.parse(data));
  else if (this.url.endsWith("/v1/converse")) placed.push(Number(new DataView(data).getBigUint64(8, true)));
  send.call(this, data);
};
if (navigator.mediaDevices) {
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wish) => {
    if (window.none) throw new DOMException("", "NotFoundError");
    streams.push(await open(wish));
    return streams.at(-1);
  };
}
"""
UNPLUG = """(() => {
  const [track] = streams.at(-1).getTracks();
  track.stop();
  track.dispatchEvent(new Event("ended"));
})()"""
ELEMENT = "document.querySelector('antiphon-talk')"
CLIENT = f"{ELEMENT}.client"
IN = f"{ELEMENT}.shadowRoot"
CONNECTED = "document.querySelector('#connection').dataset.status === 'open'"
MICROPHONE = f"{CLIENT}.microphone"
NOW = f"[...{IN}.querySelectorAll('.now')].at(-1)"
IN_VIEW = f"""(() => {{
  const [word, seen] = [{NOW}, {IN}.querySelector("#captions")].map((e) => e.getBoundingClientRect());
  return word.top >= seen.top && word.bottom <= seen.bottom;
}})()"""
AT_END = f"""(() => {{
  const list = {IN}.querySelector("#captions");
  return list.scrollHeight > list.clientHeight && list.scrollHeight - list.scrollTop - list.clientHeight < 2;
}})()"""
REPLIES = f"{IN}.querySelectorAll('.entry.it').length"
QUICK = {"options": {"char_s": 0.005}}
KEY = "open-sesame-0123456789"
STORY = " ".join(f"Sentence number {n} of a story that is taller than any phone." for n in range(1, 31))


@asynccontextmanager
async def visit(
    url: str, *, voices: int = 3, flags: tuple[str, ...] = (), allow: bool = True, **kept: Any
) -> AsyncIterator[ChromiumTab]:
    """Somebody on the page, who is offered so many voices; `kept`: the browser's settings. Fails if the page threw."""
    async with AsyncExitStack() as stack:
        browser: Browser = await stack.enter_async_context(chromium(*flags, allow=allow))
        context = await browser.new_context(viewport={"width": 1100, "height": 800}, accept_downloads=True)
        tab = await stack.enter_async_context(chromium_tab(context, url, spies=SPIES, kept=kept))
        await sees(tab, f"document.querySelectorAll('#voice option').length === {voices + 1}")
        yield tab


@asynccontextmanager
async def locked(folder: Path, **settings: Any) -> AsyncIterator[House]:
    """A house that wants `KEY`."""
    (folder / "keys.txt").write_text(f"{KEY}\n")
    async with house(access_key_file=str(folder / "keys.txt"), key=KEY, tts_settings=QUICK, **settings) as here:
        yield here


async def asks(tab: ChromiumTab, text: str) -> None:
    await tab.page.fill("#text", text)
    await tab.page.press("#text", "Enter")


async def screen(tab: ChromiumTab, width: int, height: int) -> None:
    await tab.page.set_viewport_size({"width": width, "height": height})


async def wheel(tab: ChromiumTab, y: int) -> None:
    await tab.page.mouse.move(200, 200)
    await tab.page.mouse.wheel(0, y)


# --- captions --------------------------------------------------------------------------------------------------------


async def test_a_reply_is_read_before_it_is_heard() -> None:
    async with house(tts=0) as here, visit(here.url, voices=0) as tab:
        await asks(tab, "are you there")
        await sees(tab, f"{IN}.querySelector('.it .rest')?.textContent === 'are you there'")


async def test_the_end_is_in_view() -> None:
    async with house(tts_settings=QUICK) as here, visit(here.url) as tab:
        await screen(tab, 390, 700)
        for n in range(8):
            await asks(tab, f"Please repeat this line, number {n}: it is a bit longer than the phone is wide.")
            await sees(tab, f"{REPLIES} === {n + 1}")
            await sees(tab, f"{NOW}.textContent === ''")
        await sees(tab, AT_END)
        for width, height in ((390, 560), (844, 500)):
            await screen(tab, width, height)
            await sees(tab, AT_END)


async def test_a_story_taller_than_the_window_is_followed_word_by_word() -> None:
    async with house(tts_settings={"options": {"char_s": 0.004}}) as here, visit(here.url) as tab:
        await screen(tab, 390, 700)
        await asks(tab, STORY)
        await sees(tab, f"{IN}.querySelector('.it')?.textContent.includes('number 30')")
        text = f"({IN}.querySelector('.heard')?.textContent.length ?? 0)"
        for heard in (1, 400, 800, 1000):
            await sees(tab, f"{text} > {heard}")
            assert await tab.value(IN_VIEW)
        await screen(tab, 844, 500)
        await sees(tab, IN_VIEW)  # turned on its side
        await screen(tab, 390, 700)
        # Who goes back is left there, and comes back by the button.
        top = f"{IN}.querySelector('#captions').scrollTop"
        await wheel(tab, -3000)
        await sees(tab, f"{top} === 0 && !{IN}.querySelector('#latest').hidden")
        before = await tab.value(text)
        await sees(tab, f"{text} > {before + 10}")
        assert await tab.value(top) == 0
        await tab.click("latest")
        await sees(tab, f"{IN_VIEW} && {IN}.querySelector('#latest').hidden")
        await sees(tab, f"{NOW}.textContent === ''", 60)
        await sees(tab, AT_END)
        # Or by going to the end.
        await wheel(tab, -3000)
        await sees(tab, f"!{IN}.querySelector('#latest').hidden")
        await wheel(tab, 9000)
        await sees(tab, f"{IN}.querySelector('#latest').hidden")


async def test_what_was_said_is_kept_as_a_file() -> None:
    async with house(tts_settings=QUICK) as here, visit(here.url) as tab:
        await asks(tab, "keep this")
        await sees(tab, "!document.querySelector('#save').hidden")
        await sees(tab, f"{CLIENT}.transcript.length === 2")
        async with tab.page.expect_download() as download:
            await tab.click("save")
        text = await asyncio.to_thread((await (await download.value).path()).read_text)
        assert "You: keep this" in text
        assert "Antiphon: keep this" in text


async def test_the_button_stays_where_it_is_and_nothing_is_cut_off_on_a_phone() -> None:
    async with house(tts_settings=QUICK) as here, visit(here.url) as tab:
        await screen(tab, 390, 780)
        button = f"{IN}.querySelector('#talk').getBoundingClientRect().top"
        before = await tab.value(button)
        await asks(tab, "keep still")
        await sees(tab, f"{CLIENT}.transcript.length === 2")
        await tab.value(f"{ELEMENT}.latency({{ response_s: 0.42, silence_s: 0.08 }})")
        assert "answered in" in await tab.value(f"{IN}.querySelector('#latency').innerText")
        assert await tab.value(button) == before
        # The most that stands in the header.
        await tab.value("document.querySelector('#connection-text').textContent = 'Reconnecting…'")
        await tab.value("document.querySelector('#connection').dataset.status = 'resuming'")
        right = "[...document.querySelectorAll('header button')].map((b) => b.getBoundingClientRect().right)"
        assert max(await tab.value(right)) <= 390
        await tab.click("settings-button")
        edges = "document.querySelectorAll('#settings select, #rate-shown')"
        ends = f"new Set([...{edges}].map((e) => Math.round(e.getBoundingClientRect().right))).size"
        assert await tab.value(ends) == 1


# --- the microphone --------------------------------------------------------------------------------------------------


async def test_a_microphone_that_went_away_is_followed_by_another_in_the_same_count() -> None:
    async with house() as here, visit(here.url) as tab:
        await tab.click("talk")
        await sees(tab, "placed.length > 20")
        before = await tab.value("placed.length")
        await tab.value(UNPLUG)
        await sees(tab, f"{MICROPHONE} === 'open' && streams.length === 2")
        await sees(tab, f"{IN}.querySelector('.note')?.textContent.includes('went away')")
        await sees(tab, f"placed.length > {before + 40}")
        placed = await tab.value("placed")
        steps = [b - a for a, b in pairwise(placed)]
        frame = steps[0]
        assert [s for s in steps if s <= 0] == []
        assert all(s % frame == 0 for s in steps), "its time passed too"


async def test_a_microphone_that_was_the_only_one_is_told_and_may_come_back() -> None:
    async with house() as here, visit(here.url) as tab:
        await tab.click("talk")
        await sees(tab, "placed.length > 20")
        await tab.value("window.none = true")
        await tab.value(UNPLUG)
        await sees(tab, f"{MICROPHONE} === 'refused'")
        await sees(tab, f"{IN}.querySelector('#alert').textContent.includes('Plug one in')")
        before = await tab.value("placed.length")
        await tab.value("window.none = false")
        await tab.click("talk")
        await sees(tab, f"{MICROPHONE} === 'open' && placed.length > {before + 20}")
        assert await tab.value(f"{IN}.querySelector('#alert').hidden")


async def test_a_microphone_that_is_denied_is_explained_and_typing_works() -> None:
    async with house(tts_settings=QUICK) as here, visit(here.url, allow=False) as tab:
        await tab.click("talk")
        await sees(tab, f"{IN}.querySelector('#alert').textContent.includes('may not use the microphone')")
        await asks(tab, "still here")
        await sees(tab, f"{CLIENT}.transcript.at(-1)?.text === 'still here' && {CLIENT}.transcript.at(-1).who === 'it'")


async def test_a_page_over_plain_http_says_why_there_is_no_microphone_and_typing_works(tmp_path: Path) -> None:
    # A name that is not loopback's counts as somebody else's address, for which a key is wanted.
    async with locked(tmp_path, allowed_hosts=("talk.example",)) as here:
        port = here.url.rpartition(":")[2]
        rule = "--host-resolver-rules=MAP talk.example 127.0.0.1"
        async with visit(f"http://talk.example:{port}/", flags=(rule,), key=KEY) as tab:
            assert await tab.value(f"{CLIENT}.phase") == "insecure"
            assert "plain http" in await tab.value(f"{IN}.querySelector('#state').textContent")
            await asks(tab, "I can type")
            await sees(tab, f"{NOW}?.textContent === '' && {IN}.querySelector('.heard').textContent === 'I can type'")


async def test_a_key_held_to_talk_is_let_go_when_the_window_loses_focus() -> None:
    async with house() as here, visit(here.url, mode="push") as tab:
        await tab.click("talk")
        await sees(tab, f"{CONNECTED} && {MICROPHONE} === 'muted'")
        hide = "Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
        for leave in (
            "window.dispatchEvent(new Event('blur'))",
            f"(() => {{ {hide} document.dispatchEvent(new Event('visibilitychange')); delete document.hidden; }})()",
        ):
            await tab.page.keyboard.down(" ")
            await sees(tab, f"{MICROPHONE} === 'open'")
            await tab.value(leave)
            assert await tab.value(MICROPHONE) == "muted"
            assert await tab.value("sent.filter((m) => m.type === 'input').at(-1).state") == "released"
            await tab.page.keyboard.up(" ")


async def test_all_of_it_by_keyboard() -> None:
    async with house() as here, visit(here.url) as tab:
        await tab.page.keyboard.press(" ")
        await sees(tab, f"{CONNECTED} && {MICROPHONE} === 'open'")
        await tab.page.keyboard.press(" ")
        await sees(tab, f"{MICROPHONE} === 'muted'")
        # Held over a muted microphone it is open until it is let go.
        await tab.page.keyboard.down(" ")
        await sees(tab, f"{MICROPHONE} === 'open'")
        await asyncio.sleep(0.5)
        await tab.page.keyboard.up(" ")
        await sees(tab, f"{MICROPHONE} === 'muted'")
        assert await tab.value("sent.filter((m) => m.type === 'input').at(-1).state") == "released"
        await asks(tab, STORY)
        await sees(tab, f"[...{IN}.querySelectorAll('.it .heard')].at(-1)?.textContent.includes('Sentence')")
        await tab.page.keyboard.press("Escape")
        await sees(tab, f"[...{IN}.querySelectorAll('.unheard')].at(-1)?.textContent.includes('number 30')")
        # A space that is typed is a space.
        await tab.page.type("#text", "a b")
        assert await tab.value(f"{IN}.querySelector('#text').value") == "a b"


# --- what a screen reader is told ----------------------------------------------------------------------------------


async def test_everything_has_a_name_and_news_is_told() -> None:
    async with house() as here, visit(here.url) as tab:
        page = tab.page
        await page.get_by_role("button", name="Start talking").click()
        await sees(tab, CONNECTED)
        assert await page.get_by_role("button", name="Mute the microphone").count() == 1
        await page.get_by_role("status").filter(has_text="Microphone on").wait_for(state="attached")
        assert await page.get_by_role("radio", name="Hold to talk").count() == 1
        assert await page.get_by_role("textbox", name="Type instead of talking").count() == 1
        assert await page.get_by_role("list", name="Conversation with Antiphon").count() == 1
        nameless = f"""[...{IN}.querySelectorAll('button, input'), ...document.querySelectorAll('button, select')]
          .filter((e) => !e.ariaHidden && !e.ariaLabel && !e.textContent.trim() && !e.labels?.length).length"""
        assert await tab.value(nameless) == 0
        assert await tab.value(f"{IN}.querySelector('#alert').getAttribute('role')") == "alert"


# --- sessions --------------------------------------------------------------------------------------------------------


async def test_a_server_that_crashed_and_came_back() -> None:
    async with house() as here:
        port = free_port()
        place = ("--registry", here.registry, "--port", str(port), "--grpc-port", "-1", "--responder", "echo")
        async with service("orchestrator", *place) as first, visit(f"http://127.0.0.1:{port}/") as tab:
            await asks(tab, "one two three four five six seven eight nine ten")
            await sees(tab, f"{IN}.querySelector('.heard')?.textContent.startsWith('one two')")
            first.kill()
            await sees(tab, f"!({CONNECTED})")
            await asks(tab, "eleven")
            async with service("orchestrator", *place) as second:
                await sees(tab, CONNECTED)
                note = await tab.value(f"{IN}.querySelector('.note').textContent")
                assert note == "The server no longer knows this conversation; here is a new one."
                cut = f"{IN}.querySelector('.it')"
                assert (await tab.value(f"{cut}.querySelector('.heard').textContent")).startswith("one two ")
                assert await tab.value(f"{cut}.querySelector('.now').textContent") == ""
                assert await tab.value(f"{cut}.querySelector('.rest').textContent") == ""
                assert (await tab.value(f"{cut}.querySelector('.unheard').textContent")).endswith("nine ten")
                # Typed meanwhile: asked now.
                await sees(tab, f"{IN}.querySelectorAll('.it')[1]?.textContent.includes('eleven')")
                second.kill()
                await sees(tab, f"!({CONNECTED})")
            await asks(tab, "twelve")
            await asks(tab, "thirteen")
            await tab.click("end")
            # Nobody was asked: it can be sent again.
            assert await tab.value(f"{IN}.querySelector('#text').value") == "twelve thirteen"
            assert not await tab.value(f"{IN}.querySelector('#captions').textContent.includes('twelve')")
            tab.problems.clear()  # connections that were refused, as they should


async def test_a_conversation_over_livekit_that_is_ended_is_over_at_once() -> None:
    livekit.require()
    await ensure_livekit_client()
    async with (
        livekit.livekit_server() as server,
        house(livekit_url=server.url, livekit_key_file=str(server.key_file), grace_s=120) as here,
    ):
        await here.wait_metric("antiphon_livekit_registered", 1)
        async with visit(here.url) as tab:
            await tab.value(f"{ELEMENT}.options.media_s = 30")
            for _ in range(3):
                await tab.click("talk")
                await sees(tab, CONNECTED)
                assert await tab.value(f"{CLIENT}.transport") == "livekit"
                await tab.click("end")
                # Its grace time would be for a connection that was lost.
                await here.wait_metric("antiphon_sessions", 0)
                await here.wait_metric("antiphon_livekit_rooms", 0)


async def test_what_is_chosen_is_said_to_the_server() -> None:
    async with house() as here, visit(here.url, voice="low") as tab:
        await sees(tab, "document.querySelector('#voice').value === 'low'")
        for picker, offered in (("responder", "eliza"), ("ear", "scripted")):
            values = f"[...document.querySelector('#{picker}').options].map((o) => o.value)"
            assert offered in await tab.value(values)
        await asks(tab, "hello")
        await sees(tab, CONNECTED)
        assert await tab.value("sent[0].voice") == "low"
        await sees(tab, f"{REPLIES} === 1")
        await tab.click("settings-button")
        await tab.page.select_option("#voice", "")
        await tab.page.select_option("#responder", "eliza")
        await tab.page.select_option("#ear", "scripted")
        told = await tab.value("sent.filter((m) => m.type === 'session_update').at(-1)")
        chosen = {"voice": "", "language": "", "ear": "scripted", "responder": "eliza", "rate": 1}
        assert told == {"type": "session_update", **chosen}


# --- keys ------------------------------------------------------------------------------------------------------------


async def test_a_key_is_asked_for_and_kept(tmp_path: Path) -> None:
    async with locked(tmp_path) as here, visit(here.url, voices=0) as tab:
        await asks(tab, "let me in")
        said = ("This server asks for an access key. ", "This access key is not one ")
        for key, words in zip(("wrong-key-0123456789", KEY), said, strict=True):
            await sees(tab, f"!{IN}.querySelector('#key-form').hidden")
            assert (await tab.value(f"{IN}.querySelector('#key-reason').textContent")).startswith(words)
            await tab.page.fill("#key-text", key)
            await tab.page.press("#key-text", "Enter")
        await sees(tab, CONNECTED)
        assert await tab.value(f"{IN}.querySelector('#text').value") == "let me in", "it was not lost"
        await sees(tab, "document.querySelectorAll('#voice option').length === 4")
        assert json.loads(await tab.value("localStorage.antiphon"))["key"] == KEY
        await tab.page.reload()
        await sees(tab, "document.querySelectorAll('#voice option').length === 4")
        await asks(tab, "again")
        await sees(tab, CONNECTED)


async def test_a_key_that_is_revoked_ends_it_and_another_one_is_asked_for(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    made = [file.add(lambda id, digest, n=n: KeyRecord(id, digest, n, time.time())) for n in ("first", "second")]
    async with locked(tmp_path, keys_file=str(file.path)) as here, visit(here.url, key=made[0][0]) as tab:
        await asks(tab, "one two three four five six seven eight nine ten")
        await sees(tab, f"{CLIENT}.speaking")
        file.change(lambda keys: keys.revoked(made[0][1].id, time.time()))
        await sees(tab, f"{CLIENT}.status === 'closed' && !{IN}.querySelector('#key-form').hidden")
        assert (await tab.value(f"{IN}.querySelector('#key-reason').textContent")).startswith("The key behind this")
        await tab.page.fill("#key-text", made[1][0])
        await tab.page.press("#key-text", "Enter")
        await sees(tab, CONNECTED)
        tab.problems.clear()


async def test_a_pairing_code_in_the_address_is_used_once_and_gone(tmp_path: Path) -> None:
    async with locked(tmp_path, keys_file=str(tmp_path / "keys.toml")) as here:
        code = KeyFile(tmp_path / "keys.toml").offer_pairing(time.time(), 60)
        async with visit(f"{here.url}/#pair={code}") as tab:
            assert await tab.value("location.href") == f"{here.url}/"
            assert (await tab.value("JSON.parse(localStorage.antiphon).key")).startswith("antiphon_")
            await asks(tab, "hello")
            await sees(tab, CONNECTED)
        async with visit(f"{here.url}/#pair={code}", voices=0) as tab:
            assert await tab.value("location.hash") == ""
            assert not await tab.value(f"{IN}.querySelector('#alert').hidden")


# --- another site ----------------------------------------------------------------------------------------------------


async def test_another_site_s_page_with_the_element_and_a_backend_that_mints_tokens(tmp_path: Path) -> None:
    port = free_port()
    site = f"http://127.0.0.1:{port}"
    async with locked(tmp_path, allowed_origins=(site,)) as here, chromium() as browser:
        backend = await asyncio.create_subprocess_exec(
            *(sys.executable, str(ROOT / "examples" / "embed" / "backend.py")),
            env=os.environ | {"ANTIPHON_URL": here.url, "ANTIPHON_KEY": KEY, "PORT": str(port)},
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            page = await browser.new_page()
            tab = ChromiumTab(page)
            async with asyncio.timeout(20):
                while True:
                    try:
                        await page.goto(site)
                        break
                    except PlaywrightError:  # it does not listen yet
                        await asyncio.sleep(0.1)
            assert await page.get_by_text("May I help you?").is_visible()
            await page.get_by_role("button", name="Start talking").click()
            await sees(tab, f"{CLIENT}.status === 'open' && {MICROPHONE} === 'open'")
            await asks(tab, "a book about birds")
            await sees(tab, "document.querySelector('#said').textContent.endsWith('a book about birds')")
            assert await page.get_by_role("list", name="Conversation with Ida").count() == 1
            assert tab.problems == []
        finally:
            backend.kill()
            await backend.wait()
