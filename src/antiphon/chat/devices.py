"""Microphone and loudspeaker through PortAudio, with the loudspeaker taken out of the microphone.

One stream for both ways, so that one clock times both: its callback, on PortAudio's own thread, takes 10 ms from the
player, shows them to the echo canceller as what will sound, and hands it the 10 ms from the microphone together with
how long the one takes to come back in the other. The canceller is the one of WebRTC, from the package `livekit`.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import ctypes
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from antiphon.player import Player
from base.audio import UPLINK_RATE, StreamResampler
from base.errors import Unavailable
from orchestrator.messages import Played

RATE = 48_000
BLOCK = RATE // 100
LATENCY_S = 0.04
"""Asked of the sound card: less makes a Python callback late under load, more delays a hold."""
FIRST_S = 10.0
"""Devices that have not asked for sound by then never will: a headset over Bluetooth takes its time."""
GONE_S = 2.0
"""Once they have, this long without a callback means that they are gone: a sound system that dies says nothing."""
LOOK_S = 0.25
CLOSE_S = 2.0


class NoSound(Unavailable):
    """No PortAudio, no device, or one that cannot be opened; the message says which and what helps."""

    default_reason = "NO_SOUND"


class SharedPlayer(Player):
    """A player that the sound card's thread reads while the event loop fills it."""

    def __init__(self, rate: int) -> None:
        super().__init__(rate)
        self._lock = threading.Lock()

    def push(self, turn: int, sample: int, pcm: bytes) -> None:
        with self._lock:
            super().push(turn, sample, pcm)

    def hold(self, turn: int) -> None:
        with self._lock:
            super().hold(turn)

    def resume(self, turn: int, sample: int) -> None:
        with self._lock:
            super().resume(turn, sample)

    def clear(self, turn: int) -> None:
        with self._lock:
            super().clear(turn)

    def disconnected(self) -> None:
        with self._lock:
            super().disconnected()

    def reconnected(self) -> None:
        with self._lock:
            super().reconnected()

    def read(self, samples: int) -> bytes:
        with self._lock:
            return super().read(samples)

    def take_reports(self) -> list[Played]:
        with self._lock:
            return super().take_reports()


class EchoCanceller:
    """10 ms at 48 kHz at a time: what goes to the loudspeaker, and what comes from the microphone."""

    def __init__(self, *, echo: bool = True, noise: bool = True) -> None:
        from livekit import rtc

        self._frame = rtc.AudioFrame
        self._echo = echo
        self._apm = rtc.AudioProcessingModule(
            echo_cancellation=echo, noise_suppression=noise, high_pass_filter=True, auto_gain_control=True
        )

    def far(self, pcm: bytes) -> None:
        if self._echo:
            self._apm.process_reverse_stream(self._frame(bytearray(pcm), RATE, 1, BLOCK))

    def near(self, pcm: bytes, delay_ms: int) -> bytes:
        """`delay_ms`: from `far` of a sound to `near` of its echo."""
        if self._echo:
            self._apm.set_stream_delay_ms(max(0, min(500, delay_ms)))
        frame = self._frame(bytearray(pcm), RATE, 1, BLOCK)
        self._apm.process_stream(frame)
        return bytes(frame.data)


@dataclass(frozen=True, slots=True)
class Devices:
    """By number, or a part of the name; empty: the system's own choice."""

    microphone: str = ""
    loudspeaker: str = ""


def portaudio() -> Any:
    """The module `sounddevice`, or NoSound with what to install."""
    _hush_alsa()
    try:
        import sounddevice
    except OSError as error:
        raise NoSound(f"the sound library PortAudio is missing; get it with: {how_to_get_portaudio()}") from error
    return sounddevice


_Handler = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p)
_silent = _Handler(lambda *_: None)
"""ALSA keeps the address of it and calls it for as long as the process lives."""


def _hush_alsa() -> None:
    """ALSA writes what it thinks of each device straight to the terminal, in the midst of captions.

    What is wrong with a device that we open, PortAudio says as an error.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL("libasound.so.2").snd_lib_error_set_handler(_silent)


def check_there(named: Devices) -> None:
    """Raises NoSound where PortAudio is missing, or there is no microphone or no loudspeaker at all."""
    if missing := missing_devices(portaudio().query_devices(), named):
        raise NoSound(f"no {' and no '.join(missing)} was found; plug one in")


def missing_devices(found: Iterable[Mapping[str, Any]], named: Devices) -> list[str]:
    """What is in none of PortAudio's descriptions. One that was named is left to be opened: that says more."""
    found = list(found)
    inputs, outputs = (sum(int(d[f"max_{way}_channels"]) for d in found) for way in ("input", "output"))
    there = {"microphone": inputs or named.microphone, "loudspeaker": outputs or named.loudspeaker}
    return [word for word, is_there in there.items() if not is_there]


def how_to_get_portaudio(platform: str = sys.platform) -> str:
    import shutil

    if platform == "darwin":
        return "brew install portaudio"
    for tool, command in (
        ("apt-get", "sudo apt install libportaudio2"),
        ("dnf", "sudo dnf install portaudio"),
        ("pacman", "sudo pacman -S portaudio"),
        ("zypper", "sudo zypper install libportaudio2"),
        ("apk", "sudo apk add portaudio"),
    ):
        if shutil.which(tool):
            return command
    return "your system's package of PortAudio"


class Watch:
    """Whether a stream lives. `called` may come from any thread, the rest belongs to the event loop."""

    def __init__(self, what: str) -> None:
        self.is_active: Callable[[], bool] = lambda: True
        self._loop = asyncio.get_running_loop()
        self._gone = f"{what} is gone"
        self._failed: asyncio.Future[None] = self._loop.create_future()
        self._began_at = time.monotonic()
        self._called_at: float | None = None

    def called(self) -> None:
        """The stream asked for sound, or brought some."""
        self._called_at = time.monotonic()

    async def wait_failed(self) -> None:
        """Raises NoSound when the devices stop by themselves, as an unplugged headset does."""
        while not self._failed.done():
            await asyncio.wait([self._failed], timeout=LOOK_S)
            quiet_s = time.monotonic() - (self._called_at or self._began_at)
            if quiet_s > (FIRST_S if self._called_at is None else GONE_S) or not self.is_active():
                self.fail(self._gone)
        await self._failed

    def fail(self, why: str) -> None:
        if not self._failed.done():
            self._failed.set_exception(NoSound(why))

    def finished(self) -> None:
        """On PortAudio's thread: the stream has ended, by `close` or by itself."""
        with contextlib.suppress(RuntimeError):  # the loop is gone
            self._loop.call_soon_threadsafe(self.fail, self._gone)

    def close(self) -> None:
        self._failed.cancel()
        if self._failed.done() and not self._failed.cancelled():
            self._failed.exception()  # nobody waits for it any more


class _Duplex(Watch):
    """The callback and what it needs. `take` is called on the event loop with 16 kHz s16le."""

    def __init__(
        self,
        player: Player,
        canceller: EchoCanceller | None,
        take: Callable[[bytes], None],
        heard: Callable[[bytes], None] | None,
    ) -> None:
        super().__init__("the microphone or the loudspeaker")
        self._player = player
        self._canceller = canceller
        self._take = take
        self._heard = heard
        self._resampler: StreamResampler | None = StreamResampler(RATE, UPLINK_RATE)
        self.overruns = 0

    def callback(self, indata: Any, outdata: Any, frames: int, times: Any, status: Any) -> None:
        """On PortAudio's thread. What it raises would be lost there, so it is told."""
        self.called()
        resampler = self._resampler
        if resampler is None:
            outdata[:] = bytes(len(outdata))
            return
        try:
            if status:
                self.overruns += 1
            latency_s = max(0.0, min(0.5, times.outputBufferDacTime - times.currentTime))
            self._player.latency = round(latency_s * RATE)
            out = self._player.read(frames)
            outdata[:] = out
            pcm = bytes(indata)
            if self._canceller is not None:
                delay_ms = round(1000 * (times.outputBufferDacTime - times.inputBufferAdcTime))
                for at in range(0, len(out), BLOCK * 2):
                    self._canceller.far(out[at : at + BLOCK * 2])
                pcm = b"".join(
                    self._canceller.near(pcm[at : at + BLOCK * 2], delay_ms) for at in range(0, len(pcm), BLOCK * 2)
                )
            self._loop.call_soon_threadsafe(self._hand_over, resampler.process(pcm), out)
        except BaseException as error:
            self._loop.call_soon_threadsafe(self.fail, f"the sound card's callback failed: {error!r}")
            raise

    def close(self) -> None:
        super().close()
        self._resampler = None  # a stream that cannot be closed must not keep it beyond the end of the process

    def _hand_over(self, pcm: bytes, out: bytes) -> None:
        self._take(pcm)
        if self._heard is not None:
            self._heard(out)


@contextmanager
def open_devices(
    player: Player,
    take: Callable[[bytes], None],
    *,
    devices: Devices | None = None,
    canceller: EchoCanceller | None = None,
    heard: Callable[[bytes], None] | None = None,
) -> Iterator[_Duplex]:
    """Microphone to `take` and `player` to the loudspeaker while the block runs. The player's rate must be 48 kHz.

    Raises NoSound.
    """
    sounddevice = portaudio()
    devices = devices or Devices()
    duplex = _Duplex(player, canceller, take, heard)
    try:
        stream = sounddevice.RawStream(
            samplerate=RATE,
            blocksize=BLOCK,
            channels=1,
            dtype="int16",
            latency=LATENCY_S,
            device=(_device(devices.microphone), _device(devices.loudspeaker)),
            callback=duplex.callback,
            finished_callback=duplex.finished,
        )
        stream.start()
        duplex.is_active = lambda: bool(stream.active)
    except (sounddevice.PortAudioError, ValueError) as error:
        raise NoSound(f"cannot open microphone and loudspeaker: {_first_line(error)}; see: antiphon doctor") from error
    try:
        yield duplex
    finally:
        _close(sounddevice, stream)
        duplex.close()


def _close(sounddevice: Any, stream: Any) -> None:
    """Where the sound system died, PortAudio waits for ever to close a stream of it, here and once more at our end."""
    closing = threading.Thread(target=stream.close, kwargs={"ignore_errors": True}, name="close", daemon=True)
    closing.start()
    closing.join(CLOSE_S)
    if closing.is_alive():
        atexit.unregister(sounddevice._exit_handler)


def _device(name: str) -> int | str | None:
    return int(name) if name.isdigit() else name or None


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


@contextmanager
def open_microphone(take: Callable[[bytes], None], name: str = "") -> Iterator[Watch]:
    """The microphone alone, untouched: 16 kHz s16le to `take`, on the event loop. Raises NoSound."""
    sounddevice = portaudio()
    loop = asyncio.get_running_loop()
    resampler = StreamResampler(RATE, UPLINK_RATE)
    watch = Watch("the microphone")

    def callback(indata: Any, _frames: int, _times: Any, _status: Any) -> None:
        watch.called()
        loop.call_soon_threadsafe(take, resampler.process(bytes(indata)))

    try:
        stream = sounddevice.RawInputStream(
            samplerate=RATE,
            blocksize=BLOCK * 2,
            channels=1,
            dtype="int16",
            device=_device(name),
            callback=callback,
            finished_callback=watch.finished,
        )
        stream.start()
        watch.is_active = lambda: bool(stream.active)
    except (sounddevice.PortAudioError, ValueError) as error:
        raise NoSound(f"cannot open the microphone: {_first_line(error)}") from error
    try:
        yield watch
    finally:
        _close(sounddevice, stream)
        watch.close()


def play(pcm: bytes, rate: int) -> None:
    """Plays mono s16le to its end; waits for that. Raises NoSound."""
    sounddevice = portaudio()
    try:
        with sounddevice.RawOutputStream(samplerate=rate, channels=1, dtype="int16") as stream:
            stream.write(pcm)
    except (sounddevice.PortAudioError, ValueError) as error:
        raise NoSound(f"cannot play: {_first_line(error)}; write a file with -o instead") from error
