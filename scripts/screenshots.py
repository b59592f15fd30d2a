"""Pictures of the page in every state, wide and narrow, light and dark, for somebody to look at.

    scripts/screenshots.py [--out build/screenshots] [--only listening,muted]

Needs Chromium, and nothing else: the page's files come from `web/`, and the server's part is spoken by this script, so
that every state stands still while it is taken. Exit code 1 if the page threw.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import shutil
import struct
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, Playwright, WebSocketRoute, async_playwright

WEB = Path(__file__).resolve().parents[1] / "web"
SECURE, INSECURE = "localhost", "talk.example"
SIZES = {1280: 800, 390: 780}
RATE = 48_000
FLAGS = ("--autoplay-policy=document-user-activation-required", "--use-fake-device-for-media-stream")
HERE = "--host-resolver-rules=MAP * 127.0.0.1"
REPLY = (
    "Tonight the sky is clear until ten. After that a thin layer of cloud moves in from the west, "
    "and by midnight it rains."
)
STARTED = {
    "type": "session_started",
    "session": "3f9c2a10",
    "protocol": 1,
    "resume": "secret",
    "resumed": False,
    "input_rate": RATE,
    "output_rate": RATE,
    "voice": "en-gb",
    "language": "en",
    "hears": ["en"],
    "speaks": ["en", "de", "fr"],
    "can_hear": True,
    "responder": "tour",
    "grace_s": 30.0,
    "next_input_sample": 0,
}
RESOURCES: dict[str, Any] = {
    "/v1/voices": [
        {"id": "en-gb", "name": "English (Great Britain)", "languages": ["en-GB"], "model": "espeak"},
        {"id": "de", "name": "German", "languages": ["de"], "model": "espeak"},
    ],
    "/v1/options": {
        "protocol": 1,
        "responder": "tour",
        "responders": ["tour", "eliza", "echo"],
        "voice": "",
        "language": "en",
        "hears": ["en", "de"],
        "speaks": ["en", "de"],
        "detects": True,
        "ears": [{"id": "pocketsphinx", "engine": "pocketsphinx", "languages": ["en"], "detects": False}],
    },
}


class Server:
    """The server's part of a conversation, spoken by hand."""

    def __init__(self) -> None:
        self.socket: WebSocketRoute | None = None
        self.there = asyncio.Event()
        self.answers = True
        """False: it never answers session_start."""

    def connected(self, socket: WebSocketRoute) -> None:
        self.socket = socket
        self.there.set()
        socket.on_message(self._heard)

    def _heard(self, message: str | bytes) -> None:
        if isinstance(message, str) and json.loads(message)["type"] == "session_start" and self.answers:
            self.say(STARTED)
            self.say({"type": "state", "state": "listening"})

    def say(self, *messages: dict[str, Any]) -> None:
        assert self.socket is not None
        for message in messages:
            self.socket.send(json.dumps(message))

    def state(self, state: str) -> None:
        self.say({"type": "state", "state": state})

    def asked(self, turn: int, text: str) -> None:
        self.say(
            {"type": "transcript", "utterance": turn, "text": text, "final": True},
            {"type": "turn_ended", "turn": turn, "transcript": text, "reason": "silence"},
        )

    def reply(self, turn: int, text: str, *, seconds: float) -> None:
        """Its text, a mark for each word, and so much sound."""
        self.say({"type": "reply", "turn": turn, "text": text})
        at, words = 0, text.split(" ")
        for number, word in enumerate(words):
            sample = round(number / len(words) * seconds * RATE)
            self.say(
                {"type": "mark", "turn": turn, "start": at, "end": at + len(word), "sample": sample, "exact": True}
            )
            at += len(word) + 1
        self.state("speaking")
        assert self.socket is not None
        for frame in range(int(seconds * 50)):
            self.socket.send(struct.pack("<BBHIQ", 1, 0, 0, turn, frame * 960) + _voice(frame))

    def finished(self, turn: int, heard: str, unheard: str = "", reason: str = "complete") -> None:
        self.say(
            {"type": "clear", "turn": turn},
            {"type": "turn_finished", "turn": turn, "heard": heard, "unheard": unheard, "samples": 1, "reason": reason},
        )


def _voice(frame: int) -> bytes:
    """Something as loud as speech is, syllable by syllable."""
    syllable = 0.15 + 0.85 * abs(math.sin(frame * 0.37) * math.sin(frame * 0.11))
    wave = (round(5000 * syllable * math.sin(2 * math.pi * 180 * n / RATE)) for n in range(960))
    return struct.pack("<960h", *wave)


# --- states ----------------------------------------------------------------------------------------------------------


async def idle(page: Page, server: Server) -> None:
    pass


async def connecting(page: Page, server: Server) -> None:
    server.answers = False
    await page.click("#talk")
    await phase(page, "connecting")


async def listening(page: Page, server: Server) -> None:
    await page.click("#talk")
    await phase(page, "listening")
    before(server)
    server.say({"type": "transcript", "utterance": 3, "text": "and what will the weather be like", "final": False})


async def thinking(page: Page, server: Server) -> None:
    await page.click("#talk")
    await phase(page, "listening")
    before(server)
    server.asked(3, "and what will the weather be like")
    server.state("thinking")
    await phase(page, "thinking")


async def speaking(page: Page, server: Server) -> None:
    await thinking(page, server)
    server.reply(3, REPLY, seconds=8)
    await page.locator(".heard", has_text="a thin").wait_for()


async def interrupted(page: Page, server: Server) -> None:
    await speaking(page, server)
    server.say({"type": "hold", "turn": 3}, {"type": "state", "state": "barged_in"})
    server.say({"type": "transcript", "utterance": 4, "text": "wait", "final": False})
    await phase(page, "interrupted")


async def struck(page: Page, server: Server) -> None:
    """After the interruption: what was not heard is struck out."""
    await interrupted(page, server)
    cut = REPLY.index("moves")
    server.finished(3, REPLY[:cut].strip(), REPLY[cut:], "barge_in")
    server.state("listening")
    server.say({"type": "transcript", "utterance": 4, "text": "wait, where do the clouds", "final": False})
    await phase(page, "listening")


async def muted(page: Page, server: Server) -> None:
    await page.click("#talk")
    await phase(page, "listening")
    before(server)
    await page.click("#talk")
    await phase(page, "muted")


async def push(page: Page, server: Server) -> None:
    await muted(page, server)
    await page.locator("#modes label", has_text="Hold to talk").click()


async def reconnecting(page: Page, server: Server) -> None:
    await muted(page, server)
    server.answers = False
    assert server.socket is not None
    await server.socket.close(code=1011)
    await phase(page, "reconnecting")


async def denied(page: Page, server: Server) -> None:
    await page.click("#talk")
    await page.locator("#alert").wait_for()


async def key(page: Page, server: Server) -> None:
    server.answers = False
    await page.click("#talk")
    await server.there.wait()
    error = {"type": "error", "code": "denied", "message": "This server asks for an access key.", "fatal": True}
    server.say(error | {"where": "key", "reason": "KEY_MISSING", "retry_after_s": None})
    assert server.socket is not None
    await server.socket.close(code=1000)
    await page.locator("#key-form").wait_for()


async def full(page: Page, server: Server) -> None:
    server.answers = False
    await page.click("#talk")
    await server.there.wait()
    assert server.socket is not None
    await server.socket.close(code=1013)
    await page.locator("#alert").wait_for()


async def settings(page: Page, server: Server) -> None:
    await page.click("#settings-button")


async def insecure(page: Page, server: Server) -> None:
    await phase(page, "insecure")


STATES: dict[str, Callable[[Page, Server], Awaitable[None]]] = {
    step.__name__: step
    for step in (
        *(idle, connecting, listening, thinking, speaking, interrupted, struck, muted, push, reconnecting),
        *(denied, key, full, settings, insecure),
    )
}


def before(server: Server) -> None:
    """What was said until now."""
    server.asked(1, "good evening")
    server.say({"type": "reply", "turn": 1, "text": "Good evening. How can I help?"})
    server.finished(1, "Good evening. How can I help?")
    server.asked(2, "can I see the stars tonight")
    text = "Yes. Look for Orion in the south-east, an hour after sunset."
    server.say({"type": "reply", "turn": 2, "text": text})
    server.finished(2, text)


async def phase(page: Page, name: str) -> None:
    await page.locator(f"#base[data-phase={name}]").wait_for()


# --- pictures --------------------------------------------------------------------------------------------------------


class Files(SimpleHTTPRequestHandler):
    """The page's files, and what there is to choose from."""

    def do_GET(self) -> None:
        resource = RESOURCES.get(self.path)
        if resource is None:
            super().do_GET()
            return
        body = json.dumps(resource).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def files() -> Iterator[int]:
    """The port on which they are served."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=str(WEB))) as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            serving.join()


@asynccontextmanager
async def chromium(playwright: Playwright, *, allow: bool) -> AsyncIterator[Browser]:
    """`allow`: the microphone is given when it is asked for."""
    flags = [*FLAGS, HERE, *(["--use-fake-ui-for-media-stream"] if allow else [])]
    program = shutil.which("chromium") or shutil.which("google-chrome")
    browser = await playwright.chromium.launch(executable_path=program, args=flags)
    try:
        yield browser
    finally:
        await browser.close()


async def picture(browser: Browser, name: str, width: int, scheme: Any, out: Path, port: int) -> list[str]:
    """One picture; returns what went wrong."""
    wrong: list[str] = []
    phone = width < 600
    context = await browser.new_context(
        viewport={"width": width, "height": SIZES[width]}, color_scheme=scheme, has_touch=phone, is_mobile=phone
    )
    try:
        page = await context.new_page()
        page.set_default_timeout(20_000)
        server = Server()
        page.on("pageerror", lambda error: wrong.append(f"{name}: {error}"))
        await page.route_web_socket("**/v1/converse", server.connected)
        await page.goto(f"http://{INSECURE if name == 'insecure' else SECURE}:{port}/")
        await page.locator("html[data-ready]").wait_for(state="attached")
        await STATES[name](page, server)
        await page.wait_for_timeout(500)  # for what moves to have moved
        await page.screenshot(path=out / f"{name}-{width}-{scheme}.png")
    finally:
        await context.close()
    return wrong


async def take(out: Path, only: tuple[str, ...]) -> int:
    wrong: list[str] = []
    wanted = [(name, width, scheme) for name in only for width in SIZES for scheme in ("light", "dark")]
    with files() as port:
        async with async_playwright() as playwright:
            for allow in (True, False):
                async with chromium(playwright, allow=allow) as browser:
                    for name, width, scheme in [w for w in wanted if allow == (w[0] != "denied")]:
                        wrong += await picture(browser, name, width, scheme, out, port)
    for problem in wrong:
        print("PROBLEM", problem, file=sys.stderr)
    print(f"{len(wanted)} pictures in {out}")
    return 1 if wrong else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("build/screenshots"))
    parser.add_argument("--only", default=",".join(STATES), help=f"of {', '.join(STATES)}")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    return asyncio.run(take(args.out, tuple(args.only.split(","))))


if __name__ == "__main__":
    sys.exit(main())
