"""Files fetched from a mirror, which is an address or a folder: whole and checked, or not at all.

What comes from a mirror names no place here: who fetches says what a file is called.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from antiphon.output import printable
from base.errors import BadRequest, Internal, NotFound, Unavailable

TIMEOUT_S = 30.0
PIECE = 1 << 18
MOST_CARD = 1 << 20
MOST_BYTES = 4 << 30
"""Of a file whose size nobody tells."""

_LICENCE = re.compile(r"^[\s*#>-]*licen[cs]e\s*:\s*(\S.*?)\s*$", re.IGNORECASE | re.MULTILINE)

Progress = Callable[[str, int, int], None]
"""File, bytes so far, bytes in all (0: unknown)."""


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of a file; 0 and empty where nothing is. `kind` is hashlib's name of the digest."""

    size: int = 0
    digest: str = ""
    kind: str = "md5"


@dataclass(frozen=True, slots=True)
class Fetched:
    """`checked`: sizes and digests were told, and were right."""

    path: Path
    size: int
    sha256: str
    licence: str
    checked: bool

    def plain(self, what: str, name: str) -> dict[str, object]:
        """For scripts; `what` is called `name`."""
        return {
            what: name,
            "path": str(self.path),
            "bytes": self.size,
            "sha256": self.sha256,
            "licence": self.licence,
            "checked": self.checked,
        }

    def words(self, name: str) -> str:
        """For people."""
        unchecked = "" if self.checked else " (not checked: nobody told what it should be)"
        return (
            f"{name}: {self.size / 2**20:.1f} MiB, licence: {self.licence or 'not stated; look yourself'}\n"
            f"sha256 {self.sha256}{unchecked}"
        )


def is_there(target: Path, told: Told) -> bool:
    return target.is_file() and bool(told.digest) and digest(target, told.kind) == told.digest.lower()


def fetch_file(mirror: str, source: str, target: Path, told: Told, progress: Progress) -> Path:
    """Where it lies, whole and checked, until it gets its name. Nothing is left of one that fails."""
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    part = Path(name)
    try:
        with open(descriptor, "wb") as out, opened(mirror, source) as (incoming, length):
            expected = told.size or length
            most = expected or MOST_BYTES
            size = 0
            while size <= most and (piece := incoming.read(PIECE)):
                size += len(piece)
                out.write(piece)
                progress(target.name, size, expected)
        if size != expected and (expected or size > most):
            more = "more than " if size > most else ""
            of = f", not the {expected} that {mirror} told; try again" if expected else ", the most there may be"
            raise Internal(f"{target.name} has {more}{min(size, most)} bytes{of}")
        if told.digest and digest(part, told.kind) != told.digest.lower():
            raise Internal(
                f"{target.name} is damaged: its {told.kind.upper()} digest is not the one that {mirror} told; try again"
            )
        part.chmod(0o644)
        return part
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def opened(mirror: str, name: str) -> Iterator[tuple[BinaryIO, int]]:
    """A file of the mirror, and its length (0: unknown)."""
    try:
        if is_remote(mirror):
            with urllib.request.urlopen(f"{mirror.rstrip('/')}/{quote(name)}", timeout=TIMEOUT_S) as answer:
                length = answer.headers.get("Content-Length") or "0"
                yield answer, int(length) if length.isdecimal() else 0
        else:
            root = Path(mirror).resolve()
            path = (root / name).resolve()
            if not path.is_relative_to(root):
                raise NotFound(f"{name!r} lies outside the mirror {mirror}")
            with path.open("rb") as file:
                yield file, path.stat().st_size
    except urllib.error.HTTPError as error:
        kind = NotFound if error.code == 404 else Unavailable
        raise kind(f"{mirror}/{name}: {error.code} {error.reason}") from error
    except http.client.InvalidURL as error:
        raise BadRequest(f"{mirror!r} is no address: {error}") from error
    except http.client.HTTPException as error:
        raise Unavailable(f"{mirror}/{name} broke off, or is no answer ({type(error).__name__}); try again") from error
    except (FileNotFoundError, IsADirectoryError) as error:
        raise NotFound(f"there is no {name} in {mirror}") from error
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise Unavailable(f"{mirror} cannot be reached ({reason}); name a mirror or a folder with --from") from error


def is_remote(mirror: str) -> bool:
    return mirror.startswith(("http://", "https://"))


def digest(path: Path, kind: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def licence_on(card: Path) -> str:
    """What a model card says; empty where there is none, or it says nothing."""
    if not card.is_file():
        return ""
    with card.open("rb") as file:
        found = _LICENCE.search(file.read(MOST_CARD).decode("utf-8", "replace"))
    return printable(found[1][:200]) if found else ""
