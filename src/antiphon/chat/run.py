"""`chat`, put together: a session, a way to speak, a way to hear, captions, and a recording where one is asked for."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from antiphon import browser, exits, pace
from antiphon.chat import devices, files, typed
from antiphon.chat.captions import Captions, to_terminal
from antiphon.chat.exchange import Outcome
from antiphon.chat.recording import ANNOUNCED, Recording, as_json
from antiphon.chat.watch import Watched
from antiphon.client import Event, Session, connect
from antiphon.output import is_terminal
from antiphon.player import Player
from antiphon.settings import ChatSettings
from antiphon.up.keyboard import is_somebody_there, open_keyboard
from antiphon.wavs import WavWriter
from orchestrator.messages import SessionStart

OUTPUT_RATE = 48_000
CAPTIONS_S = 0.05


@dataclass(frozen=True, slots=True)
class Ways:
    """How to speak and to hear: files, typing, or (with neither) microphone and loudspeaker."""

    url: str
    wavs: tuple[Path, ...] = ()
    out: Path | None = None
    text: bool = False
    greeting: bool | None = None
    record: Path | None = None
    explain: bool = False
    as_json: bool = False


class Talk:
    """One conversation from the terminal."""

    def __init__(self, settings: ChatSettings, ways: Ways) -> None:
        self._settings = settings
        self._ways = ways
        self._watched = Watched()
        self._recording: Recording | None = None
        self._captions = Captions(
            (lambda _: None) if ways.as_json else to_terminal,
            explain=ways.explain,
            typed=ways.text,
            live=is_terminal(sys.stdout) and not ways.as_json,
        )
        self._say = self._captions.line

    async def run(self) -> int:
        ways = self._ways
        if not ways.wavs and not ways.text:
            try:
                devices.check_there(devices.Devices(self._settings.input_device, self._settings.output_device))
            except devices.NoSound as error:
                return instead_of_sound(error, ways.url)
        player = Player(OUTPUT_RATE) if ways.wavs or ways.text else devices.SharedPlayer(OUTPUT_RATE)
        async with contextlib.AsyncExitStack() as stack:
            session = await stack.enter_async_context(connect(ways.url, start=self._start(), player=player))
            if ways.record:
                self._recording = Recording(ways.record, input_rate=session.start.input_rate, output_rate=OUTPUT_RATE)
                stack.callback(self._recording.close)
                click.echo(ANNOUNCED.format(place=self._recording.place), err=True)
            return await self._converse(session, player)

    def _start(self) -> SessionStart:
        s, ways = self._settings, self._ways
        default_greeting = not ways.wavs and (not ways.text or is_somebody_there())
        return SessionStart(
            hold=True,
            output_rate=OUTPUT_RATE,
            voice=s.voice,
            language=s.language,
            rate=s.rate,
            pitch=s.pitch,
            responder=s.responder,
            phrases=list(s.phrases),
            key=s.key,
            greeting=default_greeting if ways.greeting is None else ways.greeting,
        )

    async def _converse(self, session: Session, player: Player) -> int:
        """Until the user's side has said all, or the session ends: whichever is first."""
        async with asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(self._events(session))
            showing = tasks.create_task(self._show(player))
            talking = tasks.create_task(self._talk(session, player))
            await asyncio.wait([listening, talking], return_when=asyncio.FIRST_COMPLETED)
            # Whichever failed has taken the other along already.
            said_all = talking.done()
            for task in (talking, listening, showing):
                task.cancel()
        if said_all:
            return talking.result()
        self._say("the session is over")
        return exits.FAILURE if self._ways.wavs else exits.OK

    async def _talk(self, session: Session, player: Player) -> int:
        if self._ways.wavs:
            return await self._files(session, player)
        if self._ways.text:
            return await self._typed(session, player)
        return await self._aloud(session, player)

    async def _events(self, session: Session) -> None:
        async for event in session.events():
            self._watched.take(event)
            self._tell(event)

    async def _show(self, player: Player) -> None:
        """Captions keep up with what is heard."""
        while True:
            self._captions.heard(player.position)
            await asyncio.sleep(CAPTIONS_S)

    def _tell(self, event: Event) -> None:
        if self._recording is not None:
            self._recording.event(event)
        if self._ways.as_json:
            click.echo(json.dumps(as_json(event), ensure_ascii=False))
        self._captions.take(event)

    def _sends(self, session: Session) -> Callable[[bytes], None]:
        def send(pcm: bytes) -> None:
            session.send_audio(pcm)
            if self._recording is not None:
                self._recording.sent(pcm)

        return send

    def _hears(self, *others: Callable[[bytes], None]) -> Callable[[bytes], None]:
        def heard(pcm: bytes) -> None:
            if self._recording is not None:
                self._recording.heard(pcm)
            for other in others:
                other(pcm)

        return heard

    # --- three ways --------------------------------------------------------------------------------------------------

    async def _files(self, session: Session, player: Player) -> int:
        with contextlib.ExitStack() as stack:
            out = stack.enter_context(WavWriter(self._ways.out, OUTPUT_RATE)) if self._ways.out else None
            microphone = files.FileMicrophone(session.start.input_rate, self._sends(session))
            async with asyncio.TaskGroup() as tasks:
                always = [
                    tasks.create_task(pace.listen(player, self._hears(files.Keeper(out).heard))),
                    tasks.create_task(microphone.run()),
                ]
                if session.start.greeting:
                    self._watched.begin()
                    self._watched.said()
                    await self._watched.wait_over()
                outcome = await files.talk(session, self._watched, microphone, self._ways.wavs)
                for task in always:
                    task.cancel()
        return _code(outcome)

    async def _typed(self, session: Session, player: Player) -> int:
        somebody = is_somebody_there()
        if somebody:
            self._say(typed.HELP)
        keeper: list[Callable[[bytes], None]] = []
        with contextlib.ExitStack() as stack:
            if self._ways.out:
                keeper.append(files.Keeper(stack.enter_context(WavWriter(self._ways.out, OUTPUT_RATE))).heard)
            # Who types into a pipe reads the answer; nobody waits for the voice unless it is kept.
            by_clock = somebody or bool(keeper) or self._recording is not None
            hear = pace.listen(player, self._hears(*keeper)) if by_clock else pace.listen_at_once(player)
            async with asyncio.TaskGroup() as tasks:
                listening = tasks.create_task(hear)
                outcome = await typed.talk(session, self._watched, wait=not somebody)
                listening.cancel()
        return _code(outcome)

    async def _aloud(self, session: Session, player: Player) -> int:
        s = self._settings
        canceller = await asyncio.to_thread(
            lambda: devices.EchoCanceller(echo=s.echo_cancellation, noise=s.noise_suppression)
        )
        microphone = _Switch(self._sends(session))
        with devices.open_devices(
            player,
            microphone.take,
            devices=devices.Devices(s.input_device, s.output_device),
            canceller=canceller,
            heard=self._hears(),
        ) as duplex:
            self._say("speak; Enter mutes and unmutes, a typed line is answered as well, Ctrl-C ends")
            failing = asyncio.create_task(duplex.wait_failed())
            typing = asyncio.create_task(self._keys(session, microphone))
            try:
                done, _ = await asyncio.wait([failing, typing], return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                failing.cancel()
                typing.cancel()
        return exits.OK

    async def _keys(self, session: Session, microphone: _Switch) -> None:
        """Until the terminal is gone; where there is none, for ever."""
        if not is_somebody_there():
            await asyncio.Event().wait()
        async with open_keyboard() as keyboard:
            while (line := await keyboard.line()) is not None:
                if line.strip():
                    session.ask(line.strip())
                    continue
                microphone.on = not microphone.on
                session.unmute() if microphone.on else session.mute()
                self._say("listening" if microphone.on else "muted")


class _Switch:
    """A microphone that can be turned off."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self.on = True
        self._send = send

    def take(self, pcm: bytes) -> None:
        if self.on:
            self._send(pcm)


def instead_of_sound(error: devices.NoSound, url: str) -> int:
    """One line, and the page, which brings its own sound."""
    opened = browser.open_page(url)
    click.echo(f"{error.message}. {'Opening' if opened else 'Or open'} {url} in a browser, or use --text.", err=True)
    return exits.OK if opened else exits.UNAVAILABLE


def _code(outcome: Outcome) -> int:
    return {Outcome.ANSWERED: exits.OK, Outcome.UNHEARD: exits.FAILURE, Outcome.STUCK: exits.UNAVAILABLE}[outcome]


def devices_table() -> Sequence[tuple[object, ...]]:
    """(number, name, inputs, outputs) of every device there is; raises NoSound."""
    sounddevice = devices.portaudio()
    found = sounddevice.query_devices()
    return [(d["index"], d["name"], d["max_input_channels"], d["max_output_channels"]) for d in found]
