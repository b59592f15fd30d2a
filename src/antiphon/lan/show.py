"""What a person is told who wants to get a device in."""

from __future__ import annotations

import io
from collections.abc import Sequence

import segno

DARK_ON_LIGHT = "\033[97;40m"
"""White on black: the blocks are the light parts, whatever colours the terminal has."""
PLAIN = "\033[0m"


def pairing_url(url: str, code: str) -> str:
    """The fragment stays in the browser: no log and no proxy sees it."""
    return f"{url}/#pair={code}"


def pairing_lines(code: str, url: str, good_s: float, *, picture: bool = True) -> list[str]:
    """`url` is the page's address for other devices; empty: the user knows."""
    lines: list[str] = []
    if url and picture:
        lines += [*qr_lines(pairing_url(url, code)), ""]
    lines.append(f"pairing code  {code}   (once, within {good_s / 60:.0f} min)")
    if url:
        lines.append(f"or open       {pairing_url(url, code)}")
    return lines


def lan_lines(url: str, others: Sequence[str], fingerprint: str) -> list[str]:
    """Where the page is for other devices, and by what they know that it is ours."""
    return [
        f"  phone  {url}" + (f"  (also {', '.join(others)})" if others else ""),
        "         trust this machine once on each device: docs/lan.md says how; the certificate is at",
        f"         {url}/ca.crt, and its SHA-256 fingerprint must be",
        *(f"           {fingerprint[at : at + 48].strip(':')}" for at in range(0, len(fingerprint), 48)),
    ]


def qr_lines(text: str) -> list[str]:
    out = io.StringIO()
    segno.make(text, error="l", micro=False).terminal(out, border=2, compact=True)
    return [f"{DARK_ON_LIGHT}{line}{PLAIN}" for line in out.getvalue().splitlines()]
