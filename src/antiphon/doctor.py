"""`doctor`: what is here, what is missing, and how to get it."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Callable

from antiphon import microphone_check
from antiphon.chat import devices
from antiphon.checks import Check
from antiphon.microphone_check import Finding, Verdict
from antiphon.places import PAGE, REGISTRY, RunningFile, page_of, registry_of
from base.audio import UPLINK_RATE, rms_dbfs
from base.errors import AntiphonError

LISTEN_S = 5.0
PIECE = UPLINK_RATE // 10 * 2


PACKAGES: tuple[tuple[str, str, str, bool], ...] = (
    # package, module, what for, whether the default needs it
    ("grpcio", "grpc", "talks between services", True),
    ("aiohttp", "aiohttp", "serves the page", True),
    ("uvloop", "uvloop", "runs the services", True),
    ("numpy", "numpy", "sound", True),
    ("soxr", "soxr", "resampling", True),
    ("webrtcvad-wheels", "webrtcvad", "notices speech", True),
    ("espeakng-loader", "espeakng_loader", "the default voice (GPL-3.0-or-later)", True),
    ("pocketsphinx", "pocketsphinx", "the default ears", True),
    ("livekit", "livekit.rtc", "echo cancellation in chat", False),
    ("sounddevice", "cffi", "microphone and loudspeaker in chat", False),
)


async def examine() -> list[Check]:
    checks = [_python(), *(_package(*p) for p in PACKAGES), _ears(), _detector(), *_livekit(), *_sound()]
    checks += await asyncio.gather(_page(), _registry(), _brains())
    return checks


def _python() -> Check:
    version = platform.python_version()
    ok = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Check(
        "Python", ok, f"{version}, {platform.system()} {platform.machine()}", "use 3.11, 3.12 or 3.13 (./antiphon does)"
    )


def _package(package: str, module: str, what: str, needed: bool) -> Check:
    try:
        importlib.import_module(module)
        version = importlib.metadata.version(package)
    except (ImportError, OSError) as error:
        return Check(package, False, f"{what}: {error}", "./antiphon up installs what is locked", needed)
    return Check(package, True, f"{version}, {what}", needed=needed)


def _ears() -> Check:
    """What `up` hears with where nothing is set."""
    from asr.engines.moonshine.files import HOW, find_model, is_installed

    name = "ears"
    if not is_installed():
        return Check(name, False, "PocketSphinx alone, a demonstrator", f"{HOW} brings better ones", False)
    try:
        found = find_model("", "")
    except AntiphonError as error:
        return Check(name, False, error.message, f"{HOW} again", False)
    return Check(name, True, f"Moonshine ({found.name}, {found.size / 2**20:.0f} MiB, English)", needed=False)


def _detector() -> Check:
    """What tells speech from noise in an orchestrator that is started here with the setting `detector` as it comes."""
    from asr.detectors.silero import SileroModel, find_model

    found, how = find_model(), "./antiphon install whisper brings Silero VAD"
    if found is None:
        return Check("speech detector", False, "the WebRTC VAD alone: music may pass for speech", how, False)
    try:
        SileroModel(found)
    except AntiphonError as error:
        return Check("speech detector", False, f"the WebRTC VAD alone: {error.message}", how, False)
    return Check("speech detector", True, f"Silero VAD beside the WebRTC VAD ({found.name})", needed=False)


def _livekit() -> list[Check]:
    """What `up --livekit` needs."""
    from antiphon import livekit_files

    name = "livekit-server"
    try:
        program = livekit_files.find()
        detail = f"{livekit_files.version_of(program)}, WebRTC ({program})" if program else ""
    except AntiphonError as error:
        program, detail = None, error.message
    help = livekit_files.how_to_get() if shutil.which("go") else livekit_files.NO_GO
    server = Check(name, program is not None, detail or "WebRTC: not here; up serves WebSocket", help, False)
    extra = livekit_files.client_is_here()
    what = "takes rooms from LiveKit"
    return [
        server,
        Check("livekit-protocol", extra, what if extra else f"{what}: not here", "./antiphon install livekit", False),
    ]


def _sound() -> list[Check]:
    """Of this terminal; the page in a browser has its own."""
    try:
        sounddevice = devices.portaudio()
    except devices.NoSound:
        return [
            Check("PortAudio", False, "missing: chat opens the page instead", devices.how_to_get_portaudio(), False)
        ]
    checks = [Check("PortAudio", True, sounddevice.get_portaudio_version()[1].splitlines()[0], needed=False)]
    for kind, name in (("input", "microphone"), ("output", "loudspeaker")):
        try:
            found = sounddevice.query_devices(kind=kind)
            checks.append(Check(name, True, str(found["name"]), needed=False))
        except (sounddevice.PortAudioError, ValueError):
            checks.append(Check(name, False, "none found", "plug one in, or use the page in a browser", False))
    return checks


async def _page() -> Check:
    import aiohttp

    url = page_of("")
    where = "" if RunningFile().read() else f" (the usual place, {PAGE})"
    with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError, ValueError):
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as http,
            http.get(f"{url}/readyz") as response,
        ):
            said = await response.json()
            detector = f", its speech detector is {said['detector']}" if said.get("detector") else ""
            detail = f"{url} is {said.get('status')}{detector}"
            return Check("system", response.status == 200, detail, "antiphon workers", False)
    return Check("system", False, f"none runs{where}", "./antiphon up", False)


async def _registry() -> Check:
    from antiphon.speech.client import workers

    try:
        known = await workers(registry_of(""))
    except AntiphonError:
        return Check("registry", False, f"none answers at {registry_of('') or REGISTRY}", "./antiphon up", False)
    kinds = ", ".join(sorted(f"{r.kind.value} {r.id}" for r in known))
    return Check("registry", bool(known), kinds or "no workers are registered", "antiphon workers", False)


async def _brains() -> Check:
    from orchestrator.responders.openai import discover

    found = await discover()
    names = "; ".join(f"{e.kind}: {', '.join(e.models[:5])}" for e in found)
    return Check("language model", bool(found), names or "none found; the tour speaks", "https://ollama.com", False)


# --- the microphone --------------------------------------------------------------------------------------------------


def is_wsl() -> bool:
    return "WSL_DISTRO_NAME" in os.environ


def examine_sound(pcm: bytes, recognise: Callable[[bytes], str | None]) -> Finding:
    """A verdict on `pcm` (mono s16le, 16 kHz), with the VAD and the recogniser of the default system."""
    from asr.detectors.webrtc import WebRtcDetector

    detector = WebRtcDetector()
    size = detector.frame_samples * 2
    speech = [detector.probability(pcm[i : i + size]) >= 0.5 for i in range(0, len(pcm) - size + 1, size)]
    # Speech is asked for its words only where there is some.
    words = recognise(pcm) if sum(speech) * microphone_check.FRAME_S >= microphone_check.SPEECH_S else ""
    return microphone_check.judge(pcm, UPLINK_RATE, speech, words)


async def record(seconds: float, microphone: str, level: Callable[[float], None]) -> bytes:
    """What the microphone gives, untouched by echo or noise processing; `level` gets dBFS. Raises NoSound."""
    pcm = bytearray()

    def take(piece: bytes) -> None:
        pcm.extend(piece)
        level(rms_dbfs(piece))

    with devices.open_microphone(take, microphone) as watch, contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await watch.wait_failed()
    return bytes(pcm)


NOTHING = Finding(Verdict.NO_DEVICE, -120.0, -120.0, -120.0, 0.0, 0.0, "")


def recognise_here(pcm: bytes) -> str | None:
    """Words that the default recogniser hears, or None where it is not installed."""
    try:
        from asr.engines.pocketsphinx import PocketSphinxRecognizer
    except ImportError:
        return None
    from asr.recognizer import RecognizerConfig

    recognizer = PocketSphinxRecognizer(decoders=1)
    try:
        decoder = recognizer.open(RecognizerConfig(language="en"))
        decoder.start(0, 0)
        for at in range(0, len(pcm), PIECE):
            decoder.push(pcm[at : at + PIECE])
        heard: str = decoder.finish().text
        decoder.close()
        return heard
    finally:
        recognizer.close()
