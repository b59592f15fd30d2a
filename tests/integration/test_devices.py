"""Microphone and loudspeaker of `antiphon chat` and `antiphon doctor`, on virtual devices with an echo between them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import numpy as np
import pytest

from asr.detectors.webrtc import WebRtcDetector
from base.audio import StreamResampler, rms_dbfs
from orchestrator.ports import Transport
from tests.support.pulse import SoundSystem, end, require, sound_system
from tests.support.speech import speaking
from tests.support.transports import RecordingHub, RecordingSide, serving

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[2]
LIMIT_S = 30.0
RATE = 48_000
FRAME = RATE // 50
COUNTING = "One, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, thirteen, fourteen, fifteen."


@pytest.fixture(scope="module")
def sounds() -> Iterator[SoundSystem]:
    require()
    with tempfile.TemporaryDirectory(prefix="snd") as place, sound_system(Path(place)) as system:
        yield system


@pytest.fixture(scope="module")
def voices() -> tuple[bytes, bytes]:
    """What the loudspeaker says, and what somebody in the room says; 48 kHz, -20 dBFS."""
    with speaking("en-gb") as answer, speaking("en-us+m3") as user:
        return _at_48k(answer(COUNTING)), _at_48k(user("Hold on, please. I would like to say something now."))


def _at_48k(pcm: bytes) -> bytes:
    resampler = StreamResampler(16_000, RATE)
    return resampler.process(pcm) + resampler.flush()


def antiphon(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", "antiphon", *arguments]


def environment(sounds: SoundSystem, **more: str) -> dict[str, str]:
    return {**sounds.env, "PYTHONPATH": str(ROOT / "src"), **more}


@asynccontextmanager
async def chatting(sounds: SoundSystem, *flags: str) -> AsyncIterator[tuple[Transport, RecordingSide]]:
    """`antiphon chat` as a process, and our end of its session."""
    hub = RecordingHub()
    async with serving(hub) as server:
        process = await asyncio.create_subprocess_exec(
            *antiphon("chat", "--url", str(server.make_url("/")), *flags),
            env=environment(sounds),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(LIMIT_S):
                while not hub.opened or len(hub.opened[0][3].audio) < 25:
                    assert process.returncode is None, process.stderr and await process.stderr.read()
                    await asyncio.sleep(0.05)
            yield hub.opened[0][1], hub.opened[0][3]
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def say(transport: Transport, side: RecordingSide, turn: int, pcm: bytes) -> None:
    """As a session does: a little ahead of what the client says it has played."""
    sent = 0
    while sent < len(pcm) // 2:
        played = max((samples for t, samples in side.played if t == turn), default=0)
        if sent - played < RATE // 4 and transport.room() >= FRAME:
            transport.play_nowait(turn, sent, pcm[2 * sent : 2 * (sent + FRAME)].ljust(2 * FRAME, b"\0"))
            sent += FRAME
        else:
            await asyncio.sleep(0.01)


async def until_played(side: RecordingSide, turn: int, samples: int) -> None:
    async with asyncio.timeout(LIMIT_S):
        while max((s for t, s in side.played if t == turn), default=0) < samples:
            await asyncio.sleep(0.02)


def uplink(side: RecordingSide, start: int) -> bytes:
    return b"".join(pcm for _, pcm in side.audio[start:])


def speech_share(pcm: bytes) -> float:
    """Of its frames, those that sound like speech and are as loud as the system's own VAD wants it."""
    detector = WebRtcDetector()
    frames = [pcm[i : i + 640] for i in range(0, len(pcm) - 639, 640)]
    return float(np.mean([detector.probability(f) > 0.5 and rms_dbfs(f) > -50 for f in frames]))


async def test_its_own_voice_is_taken_out_of_the_microphone_and_the_users_is_not(
    sounds: SoundSystem, voices: tuple[bytes, bytes]
) -> None:
    own, users = voices
    async with chatting(sounds) as (transport, side):
        await say(transport, side, 0, own)
        await until_played(side, 0, len(own) // 2)
        # The canceller needs a moment to learn the room; then it must hold.
        learnt = len(side.audio)
        listening = asyncio.create_task(say(transport, side, 1, own))
        await until_played(side, 1, len(own) // 4)
        alone = uplink(side, learnt)
        heard = len(side.audio)
        somebody = sounds.play(users)
        try:
            await listening
            await until_played(side, 1, len(own) // 2)
        finally:
            end(somebody)
        both = uplink(side, heard)
    assert speech_share(alone) < 0.08, f"echo at {rms_dbfs(alone):.0f} dBFS"
    assert rms_dbfs(alone) < rms_dbfs(own) - 20
    loudest = max(speech_share(both[i : i + 64_000]) for i in range(0, max(1, len(both) - 64_000), 8_000))
    assert loudest > 0.3, "in two seconds of what was sent, the user is heard over the loudspeaker"


async def test_without_echo_cancellation_the_loudspeaker_is_heard(
    sounds: SoundSystem, voices: tuple[bytes, bytes]
) -> None:
    """The other test's proof that there is an echo to be cancelled."""
    own, _ = voices
    async with chatting(sounds, "--no-echo-cancellation") as (transport, side):
        await say(transport, side, 0, own)
        await until_played(side, 0, len(own) // 2)
        assert speech_share(uplink(side, 25)) > 0.4


async def test_a_hold_silences_the_loudspeaker_and_a_resume_goes_on(
    sounds: SoundSystem, voices: tuple[bytes, bytes]
) -> None:
    own, _ = voices
    with hearing(sounds, "speaker.monitor") as tape:
        async with chatting(sounds) as (transport, side):
            saying = asyncio.create_task(say(transport, side, 0, own))
            await until_played(side, 0, RATE)
            transport.hold_nowait(0)
            async with asyncio.timeout(LIMIT_S):
                while any(await tape.next(0.3)):
                    pass
            kind, held_at = side.played[-1]
            assert not any(await tape.next(1.0)), "silence at the loudspeaker"
            assert side.played[-1] == (kind, held_at) == (0, held_at)
            transport.resume_nowait(0, held_at)
            await until_played(side, 0, held_at + RATE)
            assert any(await tape.next(0.5))
            saying.cancel()


class Tape:
    """What is heard, as it is heard."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._heard = bytearray()

    def read(self) -> None:
        self._heard += os.read(self._fd, 65_536)

    async def next(self, seconds: float) -> bytes:
        """From now on."""
        self._heard.clear()
        async with asyncio.timeout(LIMIT_S):
            while len(self._heard) < seconds * RATE * 2:
                await asyncio.sleep(0.01)
        return bytes(self._heard)


@contextmanager
def hearing(sounds: SoundSystem, source: str) -> Iterator[Tape]:
    recorder = sounds.record(source)
    assert recorder.stdout is not None
    tape = Tape(recorder.stdout.fileno())
    asyncio.get_running_loop().add_reader(recorder.stdout.fileno(), tape.read)
    try:
        yield tape
    finally:
        asyncio.get_running_loop().remove_reader(recorder.stdout.fileno())
        end(recorder)


@pytest.mark.parametrize(
    ("gain", "verdict"), [(0.0, "digital_silence"), (1.0, "good"), (40.0, "clipping"), (0.01, "too_quiet")]
)
def test_the_doctor_tells_what_is_wrong_with_the_microphone(
    sounds: SoundSystem, voices: tuple[bytes, bytes], gain: float, verdict: str
) -> None:
    users = np.frombuffer(voices[1], "<i2").astype(np.float64)
    loud = np.clip(users * gain, -32_768, 32_767).astype("<i2").tobytes()
    playing = sounds.play(loud, repeat=True) if gain else None
    try:
        done = subprocess.run(
            antiphon("doctor", "--mic", "--json", "--seconds", "3"),
            env=environment(sounds),
            capture_output=True,
            text=True,
            timeout=120,
        )
    finally:
        if playing is not None:
            end(playing)
    found = json.loads(done.stdout)
    assert found["verdict"] == verdict, found
    assert done.returncode == (0 if verdict == "good" else 1)
    assert found["advice"]


def kill_when_it_sounds(sounds: SoundSystem) -> None:
    """The sound system dies once a program uses it; nobody tells the program."""
    deadline = time.monotonic() + LIMIT_S
    while not subprocess.run(
        ["pactl", "list", "short", "source-outputs"], env=sounds.env, capture_output=True, text=True
    ).stdout.count("protocol-native"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(1.0)
    os.kill(sounds.pid, signal.SIGKILL)


async def test_a_sound_system_that_dies_ends_the_conversation() -> None:
    require()
    with tempfile.TemporaryDirectory(prefix="snd") as place, sound_system(Path(place)) as sounds:
        async with serving(RecordingHub()) as server:
            chat = await asyncio.create_subprocess_exec(
                *antiphon("chat", "--url", str(server.make_url("/"))),
                env=environment(sounds),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                await asyncio.to_thread(kill_when_it_sounds, sounds)
                _, said = await asyncio.wait_for(chat.communicate(), LIMIT_S)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    chat.kill()
    assert said.decode().endswith("antiphon: the microphone or the loudspeaker is gone\n"), said
    assert chat.returncode == 69


def test_the_doctor_does_not_wait_for_a_sound_system_that_died() -> None:
    require()
    with tempfile.TemporaryDirectory(prefix="snd") as place, sound_system(Path(place)) as sounds:
        doctor = subprocess.Popen(
            antiphon("doctor", "--mic", "--json", "--seconds", "50"),
            env=environment(sounds),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            kill_when_it_sounds(sounds)
            out, _ = doctor.communicate(timeout=LIMIT_S)
        finally:
            doctor.kill()
    assert json.loads(out)["error"] == "the microphone is gone"
    assert doctor.returncode == 69


def test_alsa_does_not_talk_into_the_captions() -> None:
    require()
    code = "import ctypes\nfrom antiphon.chat.devices import portaudio\nportaudio()\nfound = ctypes.c_void_p()\n"
    code += "print(ctypes.CDLL('libasound.so.2').snd_pcm_open(ctypes.byref(found), b'no such device', 0, 0))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("-2\n", "")


async def test_say_plays_where_no_file_is_named(sounds: SoundSystem) -> None:
    with hearing(sounds, "speaker.monitor") as tape:
        saying = await asyncio.create_subprocess_exec(*antiphon("say", "Good evening."), env=environment(sounds))
        async with asyncio.timeout(LIMIT_S):
            while not any(await tape.next(0.2)):
                pass
        assert await asyncio.wait_for(saying.wait(), LIMIT_S) == 0


def test_the_devices_are_listed(sounds: SoundSystem) -> None:
    done = subprocess.run(
        antiphon("chat", "--list-devices"), env=environment(sounds), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "default" in done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="the opener is xdg-open")
def test_without_portaudio_it_says_so_in_one_line_and_opens_the_page(tmp_path: Path) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    opener = tmp_path / "xdg-open"
    opener.write_text(f'#!/bin/sh\nprintf %s "$1" > "{tmp_path}/new" && mv "{tmp_path}/new" "{tmp_path}/opened"\n')
    opener.chmod(0o755)
    env = os.environ | {
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT / 'src'}",
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "DISPLAY": ":99",
    }
    command = antiphon("chat", "--url", "http://127.0.0.1:9")
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert len(done.stderr.strip().splitlines()) == 1
    assert "PortAudio is missing" in done.stderr
    deadline = LIMIT_S
    while not (tmp_path / "opened").exists() and deadline > 0:
        subprocess.run(["sleep", "0.05"], check=True)
        deadline -= 0.05
    assert (tmp_path / "opened").read_text() == "http://127.0.0.1:9"
    del env["DISPLAY"]
    alone = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert alone.returncode == 69
    assert "http://127.0.0.1:9" in alone.stderr
