"""Piper voices fetched into a folder: from the project's own store, a mirror of it, or a folder of files.

A mirror is an address or a folder with the store's `voices.json`, which tells each voice's files, their sizes and MD5
digests; a folder without one may simply hold `NAME.onnx` and `NAME.onnx.json`. Nothing is kept that does not have the
size and digest that were told. What comes from a mirror names no place here: files are called after the voice.
"""

from __future__ import annotations

import difflib
import hashlib
import http.client
import re
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO
from urllib.parse import quote

import msgspec

from antiphon.output import printable
from base.errors import BadRequest, Internal, NotFound, Unavailable

STORE = "https://huggingface.co/rhasspy/piper-voices/resolve/main"
CATALOGUE = "voices.json"
CARD = "MODEL_CARD"
TIMEOUT_S = 30.0
PIECE = 1 << 18
MOST_CATALOGUE = 32 << 20
MOST_CARD = 1 << 20
MOST_BYTES = 4 << 30
"""Of a file whose size nobody tells."""
ENDINGS = (".onnx", ".onnx.json")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,120}")
_LICENCE = re.compile(r"^[\s*#>-]*licen[cs]e\s*:\s*(\S.*?)\s*$", re.IGNORECASE | re.MULTILINE)

Progress = Callable[[str, int, int], None]
"""File, bytes so far, bytes in all (0: unknown)."""


class _File(msgspec.Struct):
    size_bytes: Annotated[int, msgspec.Meta(ge=0)] = 0
    md5_digest: str = ""


class _Voice(msgspec.Struct):
    files: dict[str, _File] = {}


@dataclass(frozen=True, slots=True)
class Fetched:
    """`checked`: sizes and digests were told, and were right."""

    path: Path
    size: int
    sha256: str
    licence: str
    checked: bool


def fetch(name: str, into: Path, *, mirror: str = STORE, progress: Progress = lambda *_: None) -> Fetched:
    """Gets the voice `name`; what is there already, whole, is not fetched again.

    Raises BadRequest for a name that is none, NotFound with names that are like it, Unavailable for a mirror that does
    not answer, Internal for files that are not what the mirror says.
    """
    if not _NAME.fullmatch(name):
        raise BadRequest(f"{name!r} is no name of a voice; they look like en_US-lessac-medium")
    told = _told(name, mirror)
    parts: dict[Path, Path] = {}
    try:
        into.mkdir(parents=True, exist_ok=True)
        for source, target, file in told:
            if not _is_there(into / target, file):
                parts[into / target] = _fetch_one(mirror, source, into / target, file, progress)
        # All at once, at the end: a graph never stands beside another one's config for long.
        for place, part in parts.items():
            part.replace(place)
    except OSError as error:
        raise Unavailable(f"the voice cannot be kept in {into}: {error.strerror or error}") from error
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
    graph = into / f"{name}.onnx"
    size = sum((into / target).stat().st_size for _, target, _ in told)
    card = into / f"{name}.{CARD}"
    checked = all(file.md5_digest for _, target, file in told if target.endswith(ENDINGS))
    return Fetched(graph, size, _digest(graph, "sha256"), _licence(card), checked)


def _told(name: str, mirror: str) -> list[tuple[str, str, _File]]:
    """Of each file: where it lies at the mirror, what it is called here, and what is told of it."""
    voices = _catalogue(mirror)
    if voices is None:
        cards = [card for card in (f"{name}.{CARD}", CARD) if (Path(mirror) / card).is_file()]
        files = [(f"{name}{ending}", f"{name}{ending}", _File()) for ending in ENDINGS]
        return [*files, *((card, f"{name}.{CARD}", _File()) for card in cards[:1])]
    voice = voices.get(name)
    if voice is None:
        close = difflib.get_close_matches(name, voices, n=5, cutoff=0.4)
        hint = f"; close to it: {printable(', '.join(close))}" if close else ""
        raise NotFound(f"there is no voice {name!r}{hint}")
    found = []
    for source, file in voice.files.items():
        last = source.rpartition("/")[2]
        if last == CARD:
            found.append((source, f"{name}.{CARD}", file))
        elif last in (f"{name}{ending}" for ending in ENDINGS):
            found.append((source, last, file))
    missing = [f"{name}{e}" for e in ENDINGS if f"{name}{e}" not in (target for _, target, _ in found)]
    if missing:
        raise NotFound(f"the catalogue of {mirror} has no {' and no '.join(missing)}")
    return found


def _catalogue(mirror: str) -> Mapping[str, _Voice] | None:
    """None: a folder without one."""
    if not _remote(mirror) and not (Path(mirror) / CATALOGUE).is_file():
        if not Path(mirror).is_dir():
            raise NotFound(f"the mirror {mirror!r} is no address and no folder")
        return None
    with _open(mirror, CATALOGUE) as (source, _):
        data = source.read(MOST_CATALOGUE)
    try:
        return msgspec.json.decode(data, type=dict[str, _Voice])
    except msgspec.MsgspecError as error:
        raise Internal(f"{mirror}/{CATALOGUE} is no catalogue of Piper voices ({error})") from error


def _is_there(target: Path, file: _File) -> bool:
    return target.is_file() and bool(file.md5_digest) and _digest(target, "md5") == file.md5_digest.lower()


def _fetch_one(mirror: str, source: str, target: Path, file: _File, progress: Progress) -> Path:
    """Where it lies, whole and checked, until it gets its name. Nothing is left of one that fails."""
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    part = Path(name)
    try:
        with open(descriptor, "wb") as out, _open(mirror, source) as (incoming, length):
            expected = file.size_bytes or length
            most = expected or MOST_BYTES
            size = 0
            while size <= most and (piece := incoming.read(PIECE)):
                size += len(piece)
                out.write(piece)
                progress(target.name, size, expected)
        if size != expected and (expected or size > most):
            more = "more than " if size > most else ""
            told = f", not the {expected} that {mirror} told; try again" if expected else ", the most there may be"
            raise Internal(f"{target.name} has {more}{min(size, most)} bytes{told}")
        if file.md5_digest and _digest(part, "md5") != file.md5_digest.lower():
            raise Internal(f"{target.name} is damaged: its MD5 digest is not the one that {mirror} told; try again")
        part.chmod(0o644)
        return part
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def _open(mirror: str, name: str) -> Iterator[tuple[BinaryIO, int]]:
    """A file of the mirror, and its length (0: unknown)."""
    try:
        if _remote(mirror):
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


def _remote(mirror: str) -> bool:
    return mirror.startswith(("http://", "https://"))


def _digest(path: Path, kind: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def _licence(card: Path) -> str:
    if not card.is_file():
        return ""
    with card.open("rb") as file:
        found = _LICENCE.search(file.read(MOST_CARD).decode("utf-8", "replace"))
    return printable(found[1][:200]) if found else ""
