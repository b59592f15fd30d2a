"""Drives the page in a real Chromium with a fake microphone, looks at it, and says what went wrong.

    scripts/check_page.py http://127.0.0.1:8765 --wav question.wav --out shots/

Needs `chromium` (Debian: apt-get install chromium) and a server that is up. The WAV is what the fake microphone hears,
once. Writes screenshots and captions.json to --out; exit code 1 if the page threw, logged an error, did not connect or
showed no reply. Where there is a browser, the tests drive the page in it as well (tests/integration/web/test_page.py).
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=document-user-activation-required",
)
CAPTIONS = """[...document.querySelectorAll('#captions .entry')].map(e => ({kind: e.className, text: e.innerText}))"""


class Browser:
    """One tab over the DevTools protocol."""

    def __init__(self, ws: ClientWebSocketResponse) -> None:
        self._ws = ws
        self._next = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.problems: list[str] = []

    async def read(self) -> None:
        async for raw in self._ws:
            message = json.loads(raw.data)
            if "id" in message:
                self._answers.pop(message["id"]).set_result(message)
            elif message["method"] == "Runtime.exceptionThrown":
                self.problems.append(json.dumps(message["params"]["exceptionDetails"].get("exception", {})))
            elif message["method"] == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
                self.problems.append(message["params"]["entry"]["text"])

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._next += 1
        answer = self._answers[self._next] = asyncio.get_running_loop().create_future()
        await self._ws.send_json({"id": self._next, "method": method, "params": params})
        message = await asyncio.wait_for(answer, 20)
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']}")
        result: dict[str, Any] = message["result"]
        return result

    async def value(self, expression: str) -> Any:
        result = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    async def until(self, expression: str, seconds: float = 20) -> bool:
        for _ in range(int(seconds * 20)):
            if await self.value(expression):
                return True
            await asyncio.sleep(0.05)
        return False

    async def click(self, selector: str) -> None:
        box = await self.value(
            f"(() => {{ const r = document.querySelector({selector!r}).getBoundingClientRect();"
            " return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    async def key(self, key: str, kind: str = "") -> None:
        text = {"Enter": "\r", " ": " "}.get(key, "")
        code = {"Enter": 13, "Escape": 27, " ": 32}[key]
        for each in [kind] if kind else ["keyDown", "keyUp"]:
            await self.call("Input.dispatchKeyEvent", type=each, key=key, text=text, windowsVirtualKeyCode=code)

    async def type(self, text: str) -> None:
        await self.call("Input.insertText", text=text)

    async def shot(self, path: Path) -> None:
        data = await self.call("Page.captureScreenshot", format="png")
        save(path, base64.b64decode(data["data"]))

    async def screen(self, width: int, height: int, *, dark: bool = False, mobile: bool = False) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])


def chromium() -> str | None:
    """The program, where there is one."""
    return shutil.which("chromium") or shutil.which("google-chrome")


def save(path: Path, data: bytes) -> None:
    path.write_bytes(data)


@contextlib.contextmanager
def browser(program: str, url: str, wav: Path | None) -> Iterator[Path]:
    """A running browser's profile folder."""
    # Its processes may write there for a moment longer than it lives.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = [*FLAGS, f"--user-data-dir={profile}"]
        if wav is not None:
            flags.append(f"--use-file-for-fake-audio-capture={wav.resolve()}%noloop")
        process = subprocess.Popen([program, *flags, url], stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            yield Path(profile)
        finally:
            process.terminate()
            process.wait(10)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


async def devtools(profile: Path) -> str:
    """The address of the first tab."""
    port_file = profile / "DevToolsActivePort"
    for _ in range(400):
        if port_file.exists() and port_file.read_text().count("\n"):
            break
        await asyncio.sleep(0.05)
    port = port_file.read_text().splitlines()[0]
    async with ClientSession() as http, http.get(f"http://127.0.0.1:{port}/json") as answer:
        tabs = await answer.json()
    return str(next(t["webSocketDebuggerUrl"] for t in tabs if t["type"] == "page"))


@contextlib.asynccontextmanager
async def tab(profile: Path) -> AsyncIterator[Browser]:
    """The first tab of the browser that runs with this profile."""
    address = await devtools(profile)
    async with ClientSession() as http, http.ws_connect(address, max_msg_size=0) as ws:
        page = Browser(ws)
        reading = asyncio.create_task(page.read())
        try:
            for domain in ("Runtime", "Log", "Page"):
                await page.call(f"{domain}.enable")
            yield page
        finally:
            reading.cancel()


async def scenario(page: Browser, out: Path, ask: str) -> list[str]:
    """A first visit: look, talk, listen, type, stop, end. Returns what was not as it should be."""
    wrong: list[str] = []

    async def expect(expression: str, what: str, seconds: float = 20) -> None:
        if not await page.until(expression, seconds):
            wrong.append(what)

    replies = "document.querySelectorAll('#captions .it').length"
    heard = "[...document.querySelectorAll('#captions .it .heard')].map(e => e.textContent).join('')"
    await page.screen(1100, 800)
    await page.until("document.readyState === 'complete' && document.querySelector('#talk') !== null")
    await page.shot(out / "1-welcome.png")
    await page.click("#talk")
    await expect("document.querySelector('#connection').dataset.status === 'open'", "it did not connect")
    await expect(f"{heard}.length > 20", "no word of the greeting was marked as heard")
    await page.shot(out / "2-greeting.png")
    await page.screen(390, 780, dark=True, mobile=True)
    await asyncio.sleep(1)
    await page.shot(out / "3-phone-dark.png")
    await page.screen(1100, 800)
    await asyncio.sleep(12)
    await page.shot(out / "4-spoken.png")
    before = await page.value(replies)
    await page.click("#text")
    await page.type(ask)
    await page.key("Enter")
    await expect(f"{replies} > {before}", "no reply to typed words")
    await asyncio.sleep(3)
    await page.shot(out / "5-typed.png")
    await page.key("Escape")
    await asyncio.sleep(1.5)
    await page.shot(out / "6-stopped.png")
    await page.click("#settings-button")
    await asyncio.sleep(0.3)
    await page.shot(out / "7-settings.png")
    await page.click("#settings button")
    await page.click("#end")
    await expect("document.querySelector('#connection').dataset.status === 'closed'", "End did not end it")
    await page.shot(out / "8-ended.png")
    captions = await page.value(CAPTIONS)
    save(out / "captions.json", json.dumps(captions, indent=1).encode())
    for entry in captions:
        print(f"{entry['kind']:<16} {entry['text']}")
    return wrong


async def check(profile: Path, out: Path, ask: str) -> int:
    async with tab(profile) as page:
        wrong = await scenario(page, out, ask)
    for problem in [*wrong, *page.problems]:
        print("PROBLEM", problem, file=sys.stderr)
    return 1 if wrong or page.problems else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("url")
    parser.add_argument("--wav", type=Path, help="what the fake microphone hears")
    parser.add_argument("--out", type=Path, default=Path("page-check"))
    parser.add_argument("--ask", default="What time is it?", help="what is typed")
    parser.add_argument("--chromium", default=chromium() or "chromium")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with browser(args.chromium, args.url, args.wav) as profile:
        return asyncio.run(check(profile, args.out, args.ask))


if __name__ == "__main__":
    sys.exit(main())
