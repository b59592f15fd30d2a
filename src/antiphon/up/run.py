"""`up`, put together: the model is chosen, the programs are supervised, the user is told."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from antiphon import browser, options
from antiphon.livekit_files import client_is_here, find, how_to_get
from antiphon.livekit_server import KEYS
from antiphon.output import StatusLine, is_terminal
from antiphon.places import Running, RunningFile, keys_file, own_command, var_dir
from antiphon.settings import UpSettings
from antiphon.up.brains import NONE, Brain, Memory, choose
from antiphon.up.devices import ANY, LanWelcome
from antiphon.up.ears import FoundEars, find_ears
from antiphon.up.keyboard import Keyboard, is_somebody_there, open_keyboard
from antiphon.up.logs import log_folder
from antiphon.up.plan import Policy
from antiphon.up.ports import any_free
from antiphon.up.programs import Layout, LiveKit, Place, is_set
from antiphon.up.screen import JsonScreen, Screen
from antiphon.up.supervisor import Supervisor
from antiphon.web_files import ensure_livekit_client
from base.errors import Misconfigured, Unavailable
from orchestrator.settings import OrchestratorSettings

if TYPE_CHECKING:
    import aiohttp

    from antiphon.lan.front import Front

FACTS_S = 2.0
KNOWN_S = 0.05
OPENAI = "openai"
"""The responder that a language model is looked for."""
LOOPBACK = "127.0.0.1"
PATIENCE_S = 20.0
"""How long the address is held back for a service that takes its time."""


async def up(settings: UpSettings, page: OrchestratorSettings, *, config: Path | None, as_json: bool) -> int:
    """Returns the exit code when everything has stopped. `page` says where the orchestrator is to be."""
    async with contextlib.AsyncExitStack() as stack:
        troubles: list[str] = []
        wanted = Path(settings.log_dir) if settings.log_dir else var_dir() / "log"
        log_dir = stack.enter_context(log_folder(wanted, troubles.append))
        screen: Screen | JsonScreen = (
            JsonScreen()
            if as_json
            else Screen(StatusLine(), verbose=settings.verbose, log_dir=log_dir, moving=is_terminal(sys.stdout))
        )
        for trouble in troubles:
            screen.say(trouble)
        somebody = is_somebody_there() and not as_json
        keyboard = await stack.enter_async_context(open_keyboard()) if somebody else None
        running = RunningFile()
        stack.callback(running.remove, os.getpid())
        stack.callback(screen.close)
        keys = [] if is_set("orchestrator", "keys_file", config) else ["--keys-file", str(keys_file())]
        front = await _front(settings, page, config, screen)
        brain = await _brain(settings, page, config, keyboard, screen)
        livekit = _livekit(settings, screen, stack) if settings.livekit else None
        ears = find_ears(config) if settings.asr_workers else FoundEars()
        layout = Layout(
            page=Place("page", page.host, page.port, screen.say),
            registry=Place("registry", "127.0.0.1", settings.registry_port, screen.say),
            lan=Place("HTTPS page", ANY, settings.lan_port, screen.say) if front is not None else None,
            front=(*keys, *(front.flags if front is not None else ())),
            grpc=Place("gRPC door", page.host, page.grpc_port, screen.say) if page.grpc_port >= 0 else None,
            config=config,
            brain=brain,
            responder=settings.responder,
            tts_workers=settings.tts_workers,
            asr_workers=settings.asr_workers,
            livekit=livekit,
            ears=ears.flags,
            listening=ears.front,
        )
        supervisor = Supervisor(
            layout.programs(), screen, log_dir=log_dir, policy=Policy(stop_s=settings.stop_s), cwd=None
        )
        screen.phases = supervisor.phases
        if isinstance(screen, JsonScreen):
            screen.on_gone = supervisor.stop_nowait
        async with asyncio.TaskGroup() as tasks:
            lan = LanWelcome(front, layout.lan, screen) if front is not None and layout.lan is not None else None
            welcome = _Welcome(settings, screen, keyboard, brain, log_dir, supervisor, running, livekit, lan, ears)
            screen.on_ready = welcome.ready
            helpers = [tasks.create_task(welcome.run())]
            if livekit is not None:
                helpers.append(tasks.create_task(_page_client(screen)))
            if lan is not None:
                helpers.append(tasks.create_task(lan.run()))
            if isinstance(screen, Screen) and is_terminal(sys.stdout):
                helpers.append(tasks.create_task(_watch_facts(screen, welcome)))
            try:
                with _stop_signals(supervisor):
                    return await supervisor.run()
            finally:
                for helper in helpers:
                    helper.cancel()


async def _front(
    settings: UpSettings, page: OrchestratorSettings, config: Path | None, screen: Screen | JsonScreen
) -> Front | None:
    if not settings.lan:
        return None
    from antiphon.lan.front import prepare

    if page.tls_cert:
        raise Misconfigured("--lan makes its own certificate, and tls_cert is set already; use one of them")
    front = await asyncio.to_thread(
        prepare,
        settings,
        page,
        var_dir() / "lan",
        Path(page.keys_file) if page.keys_file else keys_file(),
        is_set=lambda name: is_set("orchestrator", name, config),
    )
    if front.certificates.new_authority:
        screen.say(f"made a certificate authority in {front.certificates.ca.parent}; devices have to trust it once")
    return front


async def _brain(
    settings: UpSettings,
    page: OrchestratorSettings,
    config: Path | None,
    keyboard: Keyboard | None,
    screen: Screen | JsonScreen,
) -> Brain:
    """What is named, here or in the orchestrator's own settings, counts before anything that is found."""
    named = settings.responder not in ("", OPENAI) or (
        not settings.responder and is_set("orchestrator", "responder", config)
    )
    if not settings.llm and (named or is_set("orchestrator", "llm_url", config)):
        return Brain()
    if settings.llm == NONE:
        return Brain()
    from orchestrator.responders.openai import discover, look

    key = _key(page)

    async def ask(question: str) -> str | None:
        assert keyboard is not None
        sys.stdout.write(question)
        sys.stdout.flush()
        return await keyboard.line()

    return await choose(
        settings.llm,
        settings.model,
        discover=discover,
        look=lambda url: look(url, key),
        memory=Memory(var_dir() / "up.json"),
        ask=ask if keyboard else None,
        tell=screen.say,
    )


def _livekit(settings: UpSettings, screen: Screen | JsonScreen, stack: contextlib.AsyncExitStack) -> LiveKit | None:
    """None, and a line that says what helps, where it cannot be had here. Raises Misconfigured for a wrong program."""
    program = find(settings.livekit_server)
    if program is None:
        screen.say(f"without LiveKit, by WebSocket: livekit-server is not here ({how_to_get()})")
        return None
    if not client_is_here():
        screen.say(f"without LiveKit, by WebSocket: {own_command()} install livekit brings what talks to it")
        return None
    # Only we, and what we start, may read it; new at every start.
    folder = Path(
        stack.enter_context(tempfile.TemporaryDirectory(prefix="antiphon-livekit-", ignore_cleanup_errors=True))
    )
    key_file = folder / KEYS
    key_file.touch(mode=0o600)
    key_file.write_text(f"API{secrets.token_hex(8)}: {secrets.token_urlsafe(36)}\n")
    # Decided here, as the orchestrator is told of it before LiveKit is there.
    port = settings.livekit_port or any_free(LOOPBACK)
    return LiveKit(Place("LiveKit", LOOPBACK, port, screen.say), program, folder)


async def _page_client(screen: Screen | JsonScreen) -> None:
    """LiveKit's client for the page, which npm may have to bring: nothing waits for it."""
    try:
        await ensure_livekit_client()
    except Unavailable as missing:
        screen.say(missing.message)


def _key(page: OrchestratorSettings) -> str:
    """What the language model is asked with; a file that cannot be read is the orchestrator's to complain of."""
    try:
        return Path(page.llm_key_file).read_text().strip() if page.llm_key_file else ""
    except OSError:
        return ""


class _Welcome:
    """Prints the address once all is there (or has had its time), and opens the page if that is wanted."""

    def __init__(
        self,
        settings: UpSettings,
        screen: Screen | JsonScreen,
        keyboard: Keyboard | None,
        brain: Brain,
        log_dir: Path | None,
        supervisor: Supervisor,
        running: RunningFile,
        livekit: LiveKit | None,
        lan: LanWelcome | None,
        ears: FoundEars,
    ) -> None:
        self._ears = ears
        self._running = running
        self._livekit = livekit
        self._lan = lan
        self._settings = settings
        self._screen = screen
        self._keyboard = keyboard
        self._brain = brain
        self._log_dir = log_dir
        self._supervisor = supervisor
        self._page = asyncio.Event()
        self._all = asyncio.Event()
        self._there: set[str] = set()
        self.url = ""
        self.grpc = ""
        """Where the gRPC door is, once the orchestrator was asked."""
        self._registry = ""

    def ready(self, name: str, address: str) -> None:
        self._there.add(name)
        if name == "registry":
            self._registry = address
        if name == "orchestrator":
            moved = bool(self.url) and self.url != page_url(address)
            self.url = page_url(address)
            self._tell_others()
            self._page.set()
            if moved:
                self._screen.say(f"Antiphon is now at {self.url}")
        if self._there.issuperset(self._supervisor.phases()):
            self._all.set()

    def _tell_others(self) -> None:
        """Where we are, for the other commands."""
        try:
            self._running.write(Running(self.url, self._registry, os.getpid(), self._lan.url if self._lan else ""))
        except OSError as error:
            self._screen.say(
                f"cannot write to {var_dir()}: {error.strerror}; other commands find this system "
                f"with --url {self.url}, or --registry {self._registry}"
            )

    async def run(self) -> None:
        await self._page.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await self._all.wait()
                await self._wait_known()
        can_open = browser.opener() is not None
        if isinstance(self._screen, JsonScreen):
            livekit = {"livekit": self._livekit.url} if self._livekit else {}
            self._screen.tell("up", url=self.url, grpc=self.grpc, pids=self._supervisor.pids(), **livekit)
        else:
            self._banner(can_open)
        if self._lan is not None:
            await self._lan.show()
        if self._settings.open == "yes":
            browser.open_page(self.url)
        # Enter opens it: asked by a line on the screen, never by waiting for an answer.
        while self._keyboard is not None and self._settings.open != "no":
            if await self._keyboard.line() is None:
                return
            if can_open:
                browser.open_page(self.url)
            self._screen.refresh()

    async def _wait_known(self) -> None:
        """Workers are there before the orchestrator has news of them; who came sooner would be told that it is deaf."""
        import aiohttp

        wanted = {"tts_workers": self._settings.tts_workers, "asr_workers": self._settings.asr_workers}
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=FACTS_S)) as http:
            while True:
                facts = await read_facts(http, self.url)
                self.grpc = str(facts.get("grpc", ""))
                known = {name: count for name in wanted if isinstance(count := facts.get(name), int)}
                if all(known.get(name, 0) >= count for name, count in wanted.items()):
                    return
                await asyncio.sleep(KNOWN_S)

    def _banner(self, can_open: bool) -> None:
        brain = f"{self._brain.model or 'its first model'} at {self._brain.url}" if self._brain.url else ""
        if self._settings.responder not in ("", OPENAI):
            brain = self._settings.responder
        say = self._screen.say
        say(f"\nAntiphon is at {self.url}")
        if brain:
            say(f"  brain  {brain}")
        if self._ears.words:
            say(f"  ears   {self._ears.words}")
        if self.grpc:
            say(f"  gRPC   {self.grpc}")
        if self._livekit is not None:
            say(f"  WebRTC by LiveKit at {self._livekit.url}")
        if self._log_dir is not None:
            say(f"  logs   {self._log_dir}")
        say(f"  or     {own_command()} chat{'' if self.url.endswith(':8765') else f' --url {self.url}'}")
        if self._keyboard is not None:
            enter = "Enter opens it in your browser; " if can_open and self._settings.open != "no" else ""
            say(f"  {enter}Ctrl-C stops everything\n")
        self._screen.refresh()


def page_url(address: str) -> str:
    """The address to give a browser for a server at "host:port": a wildcard is reached as localhost."""
    host, _, port = address.rpartition(":")
    if host.strip("[]") in ("0.0.0.0", "::", ""):
        host = "localhost"
    return f"http://{host}:{port}"


async def _watch_facts(screen: Screen, welcome: _Welcome) -> None:
    """Keeps the status line true."""
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=FACTS_S)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        while True:
            screen.facts(await read_facts(http, welcome.url) if welcome.url else {})
            await asyncio.sleep(FACTS_S)


async def read_facts(http: aiohttp.ClientSession, url: str) -> dict[str, object]:
    """What the orchestrator says of itself; empty while it does not answer."""
    import aiohttp

    with contextlib.suppress(aiohttp.ClientError, TimeoutError, ValueError):
        async with http.get(f"{url}/readyz") as response:
            found: dict[str, object] = await response.json()
            return found
    return {}


@contextlib.contextmanager
def _stop_signals(supervisor: Supervisor) -> Iterator[None]:
    """Ctrl-C, SIGTERM and a terminal that hangs up stop everything. Under nohup a hang-up stays ignored."""
    loop = asyncio.get_running_loop()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, supervisor.stop_nowait)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def load_page(flags: dict[str, object], config: str | None) -> OrchestratorSettings:
    """Where the orchestrator is to be: its own settings, or the flags of `up`."""
    return options.load(OrchestratorSettings, "orchestrator", flags, config=config)
