"""Piper voices fetched into a folder: from the project's own store, a mirror of it, or a folder of files.

A mirror is an address or a folder with the store's `voices.json`, which tells each voice's files, their sizes and MD5
digests; a folder without one may simply hold `NAME.onnx` and `NAME.onnx.json`. Nothing is kept that does not have the
size and digest that were told. What comes from a mirror names no place here: files are called after the voice.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from antiphon.fetching import Fetched, Progress, Told, digest, fetch_file, is_remote, is_there, licence_on, opened
from antiphon.output import printable
from base.errors import BadRequest, Internal, NotFound, Unavailable

STORE = "https://huggingface.co/rhasspy/piper-voices/resolve/main"
CATALOGUE = "voices.json"
CARD = "MODEL_CARD"
MOST_CATALOGUE = 32 << 20
ENDINGS = (".onnx", ".onnx.json")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,120}")


class _File(msgspec.Struct):
    size_bytes: Annotated[int, msgspec.Meta(ge=0)] = 0
    md5_digest: str = ""

    @property
    def told(self) -> Told:
        return Told(self.size_bytes, self.md5_digest)


class _Voice(msgspec.Struct):
    files: dict[str, _File] = {}


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
            if not is_there(into / target, file.told):
                parts[into / target] = fetch_file(mirror, source, into / target, file.told, progress)
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
    return Fetched(graph, size, digest(graph, "sha256"), licence_on(card), checked)


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
    if not is_remote(mirror) and not (Path(mirror) / CATALOGUE).is_file():
        if not Path(mirror).is_dir():
            raise NotFound(f"the mirror {mirror!r} is no address and no folder")
        return None
    with opened(mirror, CATALOGUE) as (source, _):
        data = source.read(MOST_CATALOGUE)
    try:
        return msgspec.json.decode(data, type=dict[str, _Voice])
    except msgspec.MsgspecError as error:
        raise Internal(f"{mirror}/{CATALOGUE} is no catalogue of Piper voices ({error})") from error
