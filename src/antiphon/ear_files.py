"""Whisper models fetched into a folder, each a directory that CTranslate2 reads: from their own store or a mirror of
it, from an address that holds the files, or from a folder of files or of such directories.

Sizes and SHA-256 digests are the store's own word, or that of a `SHA256SUMS` beside the files. A model gets its name
when all of it is there and right; one that has it is replaced then. What nobody tells a digest of is looked through, so
that nothing truncated is kept.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from antiphon.fetching import Fetched, Progress, Told, digest, fetch_file, is_remote, is_there, licence_on, opened
from asr.engines.moonshine import files as moonshine
from asr.engines.whisper import files as whisper
from base.errors import AntiphonError, BadRequest, Internal, NotFound, Unavailable

STORE = "https://huggingface.co"
SUMS = "SHA256SUMS"
CARD = "README.md"
WEIGHTS = "model.bin"
NEEDED = ("config.json", "tokenizer.json", WEIGHTS)
VOCABULARIES = ("vocabulary.json", "vocabulary.txt")
OPTIONAL = ("preprocessor_config.json", CARD)
MOST_LIST = 4 << 20

MODELS = {
    "tiny": "Systran/faster-whisper-tiny",
    "tiny.en": "Systran/faster-whisper-tiny.en",
    "base": "Systran/faster-whisper-base",
    "base.en": "Systran/faster-whisper-base.en",
    "small": "Systran/faster-whisper-small",
    "small.en": "Systran/faster-whisper-small.en",
    "medium": "Systran/faster-whisper-medium",
    "medium.en": "Systran/faster-whisper-medium.en",
    "large-v2": "Systran/faster-whisper-large-v2",
    "large-v3": "Systran/faster-whisper-large-v3",
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "distil-small.en": "Systran/faster-distil-whisper-small.en",
    "distil-large-v3": "Systran/faster-distil-whisper-large-v3",
}

_NAME = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9_.-]{0,95}/)?[A-Za-z0-9][A-Za-z0-9_.-]{0,95}")
_SUM = re.compile(r"([0-9a-fA-F]{64})\s+\*?(?:\./)?(\S+)")


class _Large(msgspec.Struct):
    oid: str = ""


class _Entry(msgspec.Struct):
    path: str = ""
    size: int = 0
    lfs: _Large | None = None


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a model's files lie, and what is told of those that are told of; None: nobody tells which there are."""

    place: str
    told: Mapping[str, Told]
    listed: bool


@dataclass(frozen=True, slots=True)
class Here:
    """A model in a folder; `missing` are its parts that are not there."""

    name: str
    path: Path
    size: int
    licence: str
    missing: tuple[str, ...]
    engine: str = "whisper"


def local_name(name: str) -> str:
    """Of its directory: that of the repository, where one was named."""
    return name.rpartition("/")[2]


def here(folder: Path) -> list[Here]:
    """The models in a folder, by name."""
    if not folder.is_dir():
        return []
    places = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    return [_here(place) for place in places]


def packaged() -> list[Here]:
    """What an extra brings: Moonshine's model, which needs no `model` to be set."""
    folder = moonshine.bundled()
    if folder is None:
        return []
    try:
        found = moonshine.find_model("", "")
    except AntiphonError:
        return [Here(folder.name, folder, 0, moonshine.LICENCE, ("a part of it, or ONNX Runtime,",), "moonshine")]
    return [Here(found.name, folder, found.size, found.licence, (), "moonshine")]


def _here(place: Path) -> Here:
    missing = [name for name in NEEDED if not (place / name).is_file()]
    if not any((place / name).is_file() for name in VOCABULARIES):
        missing.append(" or ".join(VOCABULARIES))
    size = sum(p.stat().st_size for p in place.iterdir() if p.is_file())
    return Here(place.name, place, size, licence_on(place / CARD), tuple(missing))


def fetch(name: str, into: Path, *, mirror: str = STORE, progress: Progress = lambda *_: None) -> Fetched:
    """Gets the model `name`; parts that are there already, and right, are not fetched again.

    Raises BadRequest for a name that is none, NotFound, Unavailable for a mirror that does not answer, Internal for
    files that are not what the mirror says.
    """
    if not _NAME.fullmatch(name):
        raise BadRequest(f"{name!r} is no name of a model; there are {', '.join(MODELS)}, and OWNER/NAME of others")
    source = _source(name, mirror)
    target = into / local_name(name)
    try:
        into.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", suffix=".part", dir=into) as folder:
            part = Path(folder) / "model"
            part.mkdir()
            files = _fetch_all(source, target, part, progress)
            _put(part, target)
    except OSError as error:
        raise Unavailable(f"the model cannot be kept in {into}: {error.strerror or error}") from error
    size = sum((target / file).stat().st_size for file in files)
    checked = bool(source.told[WEIGHTS].digest) if WEIGHTS in source.told else False
    return Fetched(target, size, digest(target / WEIGHTS, "sha256"), licence_on(target / CARD), checked)


def _fetch_all(source: _Source, old: Path, into: Path, progress: Progress) -> list[str]:
    """The small ones first: a mirror that lacks one, or has a bad one, is told before the weights have come."""
    files = [name for name in NEEDED if name != WEIGHTS]
    for name in files:
        _fetch_one(source, name, old, into, progress)
    vocabulary = next((name for name in VOCABULARIES if _try(source, name, old, into, progress)), None)
    if vocabulary is None:
        raise NotFound(f"there is no {' and no '.join(VOCABULARIES)} in {source.place}")
    files += [vocabulary, *(name for name in OPTIONAL if _try(source, name, old, into, progress))]
    try:
        whisper.check_files(into)
        _fetch_one(source, WEIGHTS, old, into, progress)
        whisper.check_weights(into / WEIGHTS)
    except whisper.Damaged as error:
        raise Internal(f"the model in {source.place} cannot be used: its {error}") from error
    return [*files, WEIGHTS]


def _try(source: _Source, name: str, old: Path, into: Path, progress: Progress) -> bool:
    if source.listed and name not in source.told:
        return False
    try:
        _fetch_one(source, name, old, into, progress)
    except NotFound:
        return False
    return True


def _fetch_one(source: _Source, name: str, old: Path, into: Path, progress: Progress) -> None:
    told = source.told.get(name, Told())
    if is_there(old / name, told):
        shutil.copy2(old / name, into / name)
    else:
        fetch_file(source.place, name, into / name, told, progress).replace(into / name)


def _put(part: Path, target: Path) -> None:
    """In place of what is there."""
    if target.exists():
        old = part.with_name("old")
        target.replace(old)
    part.replace(target)


# --- where it comes from ----------------------------------------------------------------------------------------------


def _source(name: str, mirror: str) -> _Source:
    if is_remote(mirror):
        repository = MODELS.get(name, name)
        if "/" in repository and (entries := _list(mirror, repository)) is not None:
            return _Source(f"{mirror.rstrip('/')}/{repository}/resolve/main", entries, listed=True)
        if mirror == STORE:
            raise NotFound(f"there is no model {name!r}; there are {', '.join(MODELS)}, and OWNER/NAME of others")
        places = [mirror.rstrip("/"), f"{mirror.rstrip('/')}/{local_name(name)}"]
    else:
        if not Path(mirror).is_dir():
            raise NotFound(f"the mirror {mirror!r} is no address and no folder")
        places = [str(Path(mirror) / local_name(name)), mirror]
    for place in places:
        if _has(place):
            return _Source(place, _sums(place), listed=False)
    raise NotFound(f"there is no model {name!r} in {mirror}: neither {' nor '.join(places)} has a config.json")


def _has(place: str) -> bool:
    try:
        with opened(place, "config.json"):
            return True
    except NotFound:
        return False


def _list(mirror: str, repository: str) -> dict[str, Told] | None:
    """What the store tells of a repository's files; None where the mirror is no store, or has no such repository."""
    try:
        with opened(f"{mirror.rstrip('/')}/api/models/{repository}/tree", "main") as (source, _):
            data = source.read(MOST_LIST)
    except NotFound:
        return None
    except Unavailable as error:
        if " 401 " in f" {error.message} ":  # the store's word for what is not there
            return None
        raise
    try:
        entries = msgspec.json.decode(data, type=list[_Entry])
    except msgspec.MsgspecError as error:
        raise Internal(f"{mirror} told no list of files of {repository} ({error})") from error
    told = {e.path: Told(e.size, e.lfs.oid if e.lfs else "", "sha256") for e in entries}
    return {name: told[name] for name in (*NEEDED, *VOCABULARIES, *OPTIONAL) if name in told}


def _sums(place: str) -> dict[str, Told]:
    try:
        with opened(place, SUMS) as (source, _):
            lines = source.read(MOST_LIST).decode("utf-8", "replace").splitlines()
    except NotFound:
        return {}
    found = (match for line in lines if (match := _SUM.fullmatch(line.strip())))
    return {match[2]: replace(Told(kind="sha256"), digest=match[1].lower()) for match in found}
