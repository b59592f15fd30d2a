"""What commands print: tables for people, JSON for scripts, nothing that moves unless it is a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any, TextIO

import click


def is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (AttributeError, ValueError):
        return False


def print_json(value: Any, *, err: bool = False) -> None:
    """`err`: where stdout has something else."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2), err=err)


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns as wide as they need to be; the last is left ragged. Empty cells show a dash."""
    cells = [[printable(str(c)) or "-" for c in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(headings), *cells]) for i in range(len(headings))]
    lines = [
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in [list(headings), *cells]
    ]
    return "\n".join(lines)


def printable(text: str) -> str:
    """Text from elsewhere may not drive the terminal."""
    return "".join(c if c.isprintable() else " " if c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


class StatusLine:
    """One line that is rewritten in place on a terminal; elsewhere, each new text is a line of its own.

    `note` prints a line that stays. A terminal that is gone is nothing to stop for.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._moving = is_terminal(self._stream)
        self._text = ""

    def show(self, text: str) -> None:
        if text == self._text:
            return
        self._text = text
        if self._moving:
            self._write(f"\r\033[K{text[: self._width()]}")
        elif text:
            self._write(f"{text}\n")

    def note(self, text: str) -> None:
        if self._moving:
            self._write(f"\r\033[K{text}\n{self._text[: self._width()]}")
        else:
            self._write(f"{text}\n")

    def close(self) -> None:
        if self._moving and self._text:
            self._write("\r\033[K")
        self._text = ""

    def _width(self) -> int:
        import shutil

        return max(20, shutil.get_terminal_size().columns - 1)

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            pass


class Downloading:
    """How far files have come, on standard error: a line that moves on a terminal, else one every tenth of a file."""

    def __init__(self) -> None:
        self._line = StatusLine(sys.stderr)
        self._moving = is_terminal(sys.stderr)

    def __enter__(self) -> Downloading:
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()

    def progress(self, file: str, done: int, size: int) -> None:
        """`size` 0: unknown."""
        if self._moving:
            step = f"{100 * done // size} % of {size / 2**20:.0f} MiB" if size else f"{done >> 20} MiB"
        else:
            step = f"{10 * (10 * done // size)} %" if size else ""
        self._line.show(f"{file}: {step}")
