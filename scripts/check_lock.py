"""Checks that the locks install from wheels alone on every platform and Python that we promise, with their hashes.

uv resolves for platforms that this machine is not, without downloading the packages; it comes from the dev lock.
A hole is a platform on which one package has no wheel. Known holes are listed here and in the README with their way
out; a hole that has closed fails the check too, so that the list stays true.

Run: ./antiphon dev python scripts/check_lock.py
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = (
    "requirements.lock",
    "requirements-piper.lock",
    "requirements-whisper.lock",
    "requirements-livekit.lock",
    "requirements-dev.lock",
)
PLATFORMS = {
    "Linux x86_64": "x86_64-unknown-linux-gnu",
    "Linux aarch64": "aarch64-unknown-linux-gnu",
    "macOS arm64": "aarch64-apple-darwin",
    "macOS x86_64": "x86_64-apple-darwin",
}
PYTHONS = ("3.11", "3.12", "3.13")
HOLES = {("Linux aarch64", "3.12"): "pocketsphinx"}
"""Way out: Python 3.11 or 3.13 there. The launcher passes 3.12 over on Linux aarch64 and says so."""


def resolve(platform: str, python: str) -> str:
    """Empty when everything has a wheel with a hash that we know, else what uv says."""
    with tempfile.TemporaryDirectory() as nowhere:
        command = [sys.executable, "-m", "uv", "pip", "install", "--dry-run", "--quiet", "--no-deps"]
        command += ["--target", nowhere, "--require-hashes", "--only-binary", ":all:"]
        command += ["--python-platform", PLATFORMS[platform], "--python-version", python]
        for lock in LOCKS:
            command += ["-r", str(ROOT / lock)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
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
    with ThreadPoolExecutor(4) as pool:
        complaints = list(pool.map(lambda cell: resolve(*cell), cells))
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
