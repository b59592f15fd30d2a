"""A sound system of our own, without hardware: PulseAudio with a loudspeaker, a room, and a microphone in the room.

What the loudspeaker plays is heard in the room (an echo path of a few tens of milliseconds), and so is what `play`
plays there; the microphone is the room's monitor. Programs get it by `env`: PortAudio through ALSA's plugin.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

LIMIT_S = 20.0
ECHO_MS = 40
ASOUNDRC = "pcm.!default { type pulse }\nctl.!default { type pulse }\n"


@dataclass(frozen=True)
class SoundSystem:
    place: Path
    env: Mapping[str, str]
    pid: int

    def play(self, pcm: bytes, *, rate: int = 48_000, repeat: bool = False) -> subprocess.Popen[bytes]:
        """Sounds in the room: mono s16le, once, or over and over until it is killed."""
        file = self.place / f"play-{time.monotonic_ns()}.raw"
        file.write_bytes(pcm)
        command = f'while :; do cat "{file}"; done' if repeat else f'cat "{file}"'
        pacat = f"pacat --playback --device=room --rate={rate} --channels=1 --format=s16le --latency-msec=40"
        return subprocess.Popen(["sh", "-c", f"{{ {command}; }} | {pacat}"], env=self.env, start_new_session=True)

    def record(self, source: str, *, rate: int = 48_000) -> subprocess.Popen[bytes]:
        """What is heard at `source`, as mono s16le on its stdout."""
        parec = ["parec", f"--device={source}", f"--rate={rate}", "--channels=1", "--format=s16le", "--latency-msec=20"]
        return subprocess.Popen(parec, env=self.env, stdout=subprocess.PIPE, start_new_session=True)


def end(process: subprocess.Popen[bytes]) -> None:
    """It and what it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(LIMIT_S)
    if process.stdout is not None:
        process.stdout.close()


def why_not() -> str:
    """Empty when such a system can be had here."""
    if sys.platform != "linux":
        return "PulseAudio's null sinks are tested on Linux"
    for tool in ("pulseaudio", "pacat", "parec", "pactl"):
        if shutil.which(tool) is None:
            return f"{tool} is missing (apt install pulseaudio)"
    try:
        import sounddevice
    except OSError:
        return "PortAudio is missing (apt install libportaudio2)"
    del sounddevice
    if not any(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so")):
        return "ALSA's PulseAudio plugin is missing (apt install libasound2-plugins)"
    return ""


def require() -> None:
    """Skips the test where there is no such system; in CI on Linux that is a failure."""
    if reason := why_not():
        if sys.platform == "linux" and os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@contextmanager
def sound_system(place: Path, *, echo: bool = True) -> Iterator[SoundSystem]:
    """Runs while the block does. `place` must have a short path: a socket lies in it.

    `echo`: the room hears the speaker.
    """
    socket = place / "pulse"
    (place / ".asoundrc").write_text(ASOUNDRC)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PULSE_", "ALSA_", "DISPLAY", "WAYLAND"))}
    env |= {"HOME": str(place), "XDG_RUNTIME_DIR": str(place), "PULSE_RUNTIME_PATH": str(place)}
    modules = [
        f"module-native-protocol-unix auth-anonymous=1 socket={socket}",
        "module-null-sink sink_name=speaker rate=48000 channels=1",
        "module-null-sink sink_name=room rate=48000 channels=1",
    ]
    if echo:
        modules.append(f"module-loopback source=speaker.monitor sink=room latency_msec={ECHO_MS}")
    arguments = ["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--realtime=no"]
    arguments += ["--high-priority=no", "--log-level=error", "--resample-method=speex-float-1"]
    daemon = subprocess.Popen(
        ["pulseaudio", *arguments, *(piece for module in modules for piece in ("-L", module))],
        env=env,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    env |= {"PULSE_SERVER": f"unix:{socket}", "PULSE_SINK": "speaker", "PULSE_SOURCE": "room.monitor"}
    try:
        deadline = time.monotonic() + LIMIT_S
        while subprocess.run(["pactl", "info"], env=env, capture_output=True).returncode != 0:
            assert daemon.poll() is None, daemon.stderr and daemon.stderr.read()
            assert time.monotonic() < deadline, "PulseAudio does not answer"
            time.sleep(0.05)
        for kind, name in (("sink", "speaker"), ("source", "room.monitor")):
            subprocess.run(["pactl", f"set-default-{kind}", name], env=env, check=True, timeout=LIMIT_S)
        yield SoundSystem(place, env, daemon.pid)
    finally:
        daemon.kill()
        daemon.wait(LIMIT_S)
        if daemon.stderr is not None:
            daemon.stderr.close()
