"""Checks that the locks install from wheels alone on every platform and Python that we promise, with their hashes.

uv resolves for platforms that this machine is not, without downloading the packages; it comes from the dev lock.
A hole is a platform on which one package has no wheel. Known holes are listed here and in the README with their way
out; a hole that has closed fails the check too, so that the list stays true.

Run: ./antiphon dev python scripts/check_lock.py
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = (
    "requirements.lock",
    "requirements-piper.lock",
    "requirements-whisper.lock",
    "requirements-livekit.lock",
    "requirements-moonshine.lock",
    "requirements-dev.lock",
)
PLATFORMS = {
    "Linux x86_64": "x86_64-unknown-linux-gnu",
    "Linux aarch64": "aarch64-unknown-linux-gnu",
    "macOS arm64": "aarch64-apple-darwin",
    "macOS x86_64": "x86_64-apple-darwin",
}
NEWER = {"Linux x86_64": "x86_64-manylinux_2_34", "Linux aarch64": "aarch64-manylinux_2_34"}
NEWER_MACOS = "15.0"
NEEDS_NEWER = {"requirements-moonshine.lock": "moonshine-voice", "requirements-dev.lock": "moonshine-voice"}
"""Locks with a package that has no wheel for glibc before 2.34 and macOS before 15; both are asked of newer ones alone.
Way out: Whisper instead of Moonshine there, and tests on a newer system. For Intel Macs the lock leaves it out.
"""
PYTHONS = ("3.11", "3.12", "3.13")
HOLES = {("Linux aarch64", "3.12"): "pocketsphinx"}
"""Way out: Python 3.11 or 3.13 there. The launcher passes 3.12 over on Linux aarch64 and says so."""


def resolve(platform: str, python: str, locks: Sequence[str], *, newer: bool = False) -> str:
    """Empty when everything has a wheel with a hash that we know, else what uv says."""
    triple = NEWER.get(platform, PLATFORMS[platform]) if newer else PLATFORMS[platform]
    macos = {"MACOSX_DEPLOYMENT_TARGET": NEWER_MACOS} if newer else {}
    with tempfile.TemporaryDirectory() as nowhere:
        command = [sys.executable, "-m", "uv", "pip", "install", "--dry-run", "--quiet", "--no-deps"]
        command += ["--target", nowhere, "--require-hashes", "--only-binary", ":all:"]
        command += ["--python-platform", triple, "--python-version", python]
        for lock in locks:
            command += ["-r", str(ROOT / lock)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **macos})
    return "" if done.returncode == 0 else done.stderr.strip() or f"uv ended with {done.returncode}"


def judge(platform: str, python: str, complaint: str) -> str | None:
    """What is wrong with this outcome, or None."""
    missing = HOLES.get((platform, python))
    if missing is None:
        return complaint or None
    if not complaint:
        return f"the hole of {missing} has closed: take it out of HOLES, the launcher and the README"
    if not re.search(rf"\b{missing}\b.*no usable wheels|{missing}.*has no wheels", complaint, re.DOTALL):
        return f"expected only {missing} to be missing, but: {complaint}"
    return None


def closed(platform: str, python: str) -> str:
    """A lock that no longer needs a newer system, or empty."""
    for lock, package in NEEDS_NEWER.items():
        if not re.search(rf"{package}.*wheels", resolve(platform, python, [lock]), re.DOTALL):
            return f"{lock} installs on an old {platform} too: take it out of NEEDS_NEWER, and the README"
    return ""


def hosts(lock: str) -> list[str]:
    """Addresses in a lock: it must install from whatever index the user has."""
    return re.findall(r"^.*(?:https?://|--(?:extra-)?index-url|--find-links).*$", lock, re.MULTILINE)


def pins(lock: str) -> set[str]:
    return {line.rstrip(" \\") for line in lock.splitlines() if re.match(r"[a-z0-9]", line)}


def stale(name: str) -> list[str]:
    """Pins that would be added to or taken from a lock if its .in file were locked again, preferring what it has."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--universal", "--python-version", "3.11", "--quiet"]
    command += ["--no-header", "--no-annotate", "--constraint", name, name.replace(".lock", ".in")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode != 0:
        return [done.stderr.strip()]
    return sorted(pins(done.stdout) ^ pins((ROOT / name).read_text()))


def main() -> int:
    failed = False
    for name in LOCKS:
        for line in hosts((ROOT / name).read_text()):
            failed = True
            print(f"FAIL  {name} names an address: {line}")
        for line in stale(name):
            failed = True
            print(f"FAIL  {name} is not what its .in file asks for (run: just lock): {line}")
    cells = [(platform, python) for platform in PLATFORMS for python in PYTHONS]
    old = [name for name in LOCKS if name not in NEEDS_NEWER]
    with ThreadPoolExecutor(4) as pool:
        complaints = list(pool.map(lambda cell: resolve(*cell, old) or resolve(*cell, LOCKS, newer=True), cells))
        needs = list(pool.map(lambda cell: closed(*cell), [("Linux x86_64", "3.13"), ("macOS arm64", "3.13")]))
    for wrong in filter(None, needs):
        failed = True
        print(f"FAIL  {wrong}")
    for (platform, python), complaint in zip(cells, complaints, strict=True):
        wrong = judge(platform, python, complaint)
        hole = HOLES.get((platform, python))
        failed |= wrong is not None
        word = "FAIL" if wrong else "hole" if hole else "ok"
        print(f"{word:4}  {platform} {python}{f': no wheel of {hole}' if hole else ''}")
        if wrong:
            print(f"      {wrong}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
