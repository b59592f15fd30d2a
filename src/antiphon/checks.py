"""What `doctor` says of one thing: pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """`needed`: without it Antiphon does not run; else it only lacks something. `help`: what to do when not `ok`."""

    name: str
    ok: bool
    detail: str
    help: str = ""
    needed: bool = True
