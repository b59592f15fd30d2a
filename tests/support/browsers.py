"""Real browsers without a screen, Chromium by Playwright and Firefox by geckodriver, with microphones that tests feed.

Both give a `Tab`, so that one conversation is held in either.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright

LIMIT_S = 30.0
LOOK_S = 0.05
GECKODRIVER = Path("~/.cache/antiphon/geckodriver/bin/geckodriver")
FLAGS = (
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=document-user-activation-required",
)
DEBIAN = Path("/etc/debian_version").exists() and not Path("/etc/lsb-release").exists()
UNLOADED = "Failed to load resource"
"""What Chromium logs of an answer that is an error, which the page deals with."""


class Tab(Protocol):
    """A page in a browser. `value` gives an expression's value; elements in the element's shadow are found by id."""

    async def value(self, expression: str) -> Any: ...

    async def click(self, id: str) -> None: ...


async def sees(tab: Tab, expression: str, limit_s: float = LIMIT_S) -> None:
    """Waits until it is true of the page."""
    deadline = time.monotonic() + limit_s
    while not await tab.value(expression):
        if time.monotonic() > deadline:
            seen = "[document.body.innerText, document.querySelector('antiphon-talk').shadowRoot.textContent]"
            raise AssertionError(f"waited in vain for {expression}; the page shows {await tab.value(seen)}")
        await asyncio.sleep(LOOK_S)


# --- Chromium --------------------------------------------------------------------------------------------------------


def chromium_program() -> str | None:
    return shutil.which("chromium") or shutil.which("google-chrome")


needs_chromium = pytest.mark.skipif(
    chromium_program() is None and not os.environ.get("CI"), reason="neither chromium nor google-chrome is in PATH"
)
"""In CI a missing browser is a failure."""


@asynccontextmanager
async def chromium(*flags: str, wav: Path | None = None, allow: bool = True) -> AsyncIterator[Browser]:
    """`wav`, an absolute path: what its microphone hears, once, from when it is opened. `allow`: it may be."""
    program = chromium_program()
    assert program is not None, "CI must have a browser"
    given = [flag for flag in FLAGS if allow or "fake-ui" not in flag]
    if wav is not None:
        given.append(f"--use-file-for-fake-audio-capture={wav}%noloop")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=[*given, *flags])
        try:
            yield browser
        finally:
            await browser.close()


class ChromiumTab:
    """`page` is Playwright's; `problems` what the page threw or logged as an error."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.problems: list[str] = []
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", self._logged)

    def _logged(self, line: ConsoleMessage) -> None:
        if line.type == "error" and not line.text.startswith(UNLOADED):
            self.problems.append(line.text)

    async def value(self, expression: str) -> Any:
        return await self.page.evaluate(f"() => ({expression})")

    async def click(self, id: str) -> None:
        await self.page.click(f"#{id}")


@asynccontextmanager
async def chromium_tab(
    context: BrowserContext, url: str, *, spies: str = "", kept: Mapping[str, Any] | None = None
) -> AsyncIterator[ChromiumTab]:
    """The page, once its pickers are filled. `kept`: its settings. Fails if the page threw."""
    page = await context.new_page()
    page.set_default_timeout(LIMIT_S * 1000)
    tab = ChromiumTab(page)
    if kept:
        settings = json.dumps(json.dumps(kept))
        await page.add_init_script(f"if (!localStorage.antiphon) localStorage.antiphon = {settings};")
    if spies:
        await page.add_init_script(spies)
    await page.goto(url)
    await page.locator("html[data-ready]").wait_for(state="attached")
    yield tab
    assert tab.problems == [], tab.problems


# --- Firefox ---------------------------------------------------------------------------------------------------------


def geckodriver() -> str | None:
    built = GECKODRIVER.expanduser()
    return shutil.which("geckodriver") or (str(built) if built.exists() else None)


def require_firefox() -> None:
    """Skips the test where there is no Firefox to drive; in CI on Debian that is a failure."""
    found = {"firefox-esr": shutil.which("firefox-esr"), "geckodriver": geckodriver()}
    missing = [name for name, there in found.items() if not there]
    if missing:
        why = f"{' and '.join(missing)} missing (apt install firefox-esr; cargo install geckodriver)"
        if os.environ.get("CI") and DEBIAN:
            pytest.fail(why)
        pytest.skip(why)


class FirefoxTab:
    """One WebDriver session."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    async def value(self, expression: str) -> Any:
        return await _asked(self._driver.execute_script, f"return ({expression});")

    async def click(self, id: str) -> None:
        find = f"return document.querySelector('antiphon-talk').shadowRoot.querySelector('#{id}')"
        element = await _asked(self._driver.execute_script, find)
        await _asked(element.click)


@asynccontextmanager
async def firefox_tab(url: str, env: Mapping[str, str], spies: str = "") -> AsyncIterator[FirefoxTab]:
    """The page in a Firefox that may use the microphone. `env`: where its sound is, as `SoundSystem.env`."""
    from selenium.webdriver import Firefox
    from selenium.webdriver.firefox.options import Options
    from selenium.webdriver.firefox.service import Service

    options = Options()
    options.binary_location = shutil.which("firefox-esr") or "firefox-esr"
    options.add_argument("-headless")
    options.set_preference("media.navigator.permission.disabled", True)
    options.set_preference("media.autoplay.default", 0)
    options.set_preference("app.update.enabled", False)
    options.timeouts = {"script": round(LIMIT_S * 1000), "pageLoad": round(LIMIT_S * 1000)}
    # It leads a process group, so that a Firefox that hangs ends with its driver, and with them the call that waits.
    service = Service(geckodriver(), env=dict(env), popen_kw={"start_new_session": True})
    try:
        driver = await _asked(functools.partial(Firefox, options=options, service=service))
        await _asked(driver.get, url)
        tab = FirefoxTab(driver)
        await sees(tab, "'ready' in document.documentElement.dataset")
        if spies:
            await _asked(driver.execute_script, spies)
        yield tab
        with contextlib.suppress(TimeoutError):  # that it hangs in ending is not what is tested
            await _asked(driver.quit)
    finally:
        process = getattr(service, "process", None)
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await asyncio.to_thread(process.wait)


async def _asked(call: Callable[..., Any], *args: Any) -> Any:
    """What the driver answers, from a thread, for it blocks. One that does not answer in time fails the test."""
    async with asyncio.timeout(LIMIT_S + 5):
        return await asyncio.to_thread(call, *args)
