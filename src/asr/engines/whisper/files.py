"""A Whisper model's directory, as CTranslate2's converter makes it, and what it tells before anything is loaded."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from base.errors import AntiphonError, Misconfigured

WEIGHTS = "model.bin"
NEEDED = ("config.json", "tokenizer.json")
VOCABULARIES = ("vocabulary.json", "vocabulary.txt")
UNCONVERTED = ("model.safetensors", "pytorch_model.bin", "model.safetensors.index.json")
MOST_TEXT = 32 << 20
MULTILINGUAL = 51_865
"""From so many tokens on, a model knows more than English."""
BINARY = range(4, 7)
"""Versions of CTranslate2's format of weights that are known here; others are left to CTranslate2."""
BCP47 = {"jw": "jv"}
"""Whisper's codes that mean another language elsewhere, or none."""

_LANGUAGE = re.compile(r"<\|([a-z]{2,3})\|>")
_LICENCE = re.compile(r"^\s*licen[cs]e\s*:\s*(\S.*?)\s*$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class WhisperFiles:
    """`languages` are BCP 47; `size` is that of the weights, in bytes."""

    name: str
    folder: Path
    size: int
    languages: tuple[str, ...]
    licence: str


class Damaged(Exception):
    """A file of a model is not what it should be: its name, and why."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name} {why}")
        self.name = name
        self.why = why


def check_files(folder: Path) -> tuple[str, ...]:
    """The languages of a model whose parts are all there; reads its small files. Raises Damaged."""
    config = _json(folder / "config.json")
    if not isinstance(config, dict) or not config.get("alignment_heads"):
        raise Damaged("config.json", "tells no alignment_heads, without which words have no times")
    for name in ("tokenizer.json", "preprocessor_config.json"):
        if (folder / name).is_file() and not isinstance(_json(folder / name), dict):
            raise Damaged(name, "is no object of JSON")
    return _languages(folder)


def check_weights(path: Path) -> None:
    """Whether weights are CTranslate2's of a Whisper model, and end where they say; not what the numbers in them are.

    Raises Damaged. The format is that of `ctranslate2.specs.ModelSpec`.
    """
    with path.open("rb") as file:
        try:
            _check_weights(file)
        except (EOFError, struct.error) as error:
            size = path.stat().st_size
            raise Damaged(path.name, f"is truncated, or no model: it breaks off after {size} bytes") from error
        except ValueError as error:
            raise Damaged(path.name, str(error)) from error


def _check_weights(file: BinaryIO) -> None:
    version = _number(file, "<I")
    if not 0 < version < 100:
        raise ValueError("is no model of CTranslate2")
    if version not in BINARY:
        return
    kind = _string(file)
    if kind != b"WhisperSpec":
        raise ValueError(f"is no Whisper model, but a {kind[:40].decode('ascii', 'replace')}")
    _number(file, "<I")
    end = os.fstat(file.fileno()).st_size
    for _ in range(_number(file, "<I")):
        _string(file)
        _skip(file, 4 * _number(file, "<B"), end)
        _number(file, "<B")
        _skip(file, _number(file, "<I"), end)
    for _ in range(_number(file, "<I")):
        _string(file)
        _string(file)


def _number(file: BinaryIO, form: str) -> int:
    return int(struct.unpack(form, file.read(struct.calcsize(form)))[0])


def _string(file: BinaryIO) -> bytes:
    size = _number(file, "<H")
    found = file.read(size)
    if len(found) < size:
        raise EOFError
    return found.rstrip(b"\0")


def _skip(file: BinaryIO, size: int, end: int) -> None:
    if file.seek(size, 1) > end:
        raise EOFError


def find_model(model: str, models_dir: str) -> WhisperFiles:
    """The directory `model`, which may be relative to `models_dir`.

    Raises Misconfigured where there is none, and for one in which parts are missing or wrong.
    """
    if importlib.util.find_spec("faster_whisper") is None:
        raise Misconfigured(
            "the engine whisper is not installed; ./antiphon install whisper brings it", reason="NOT_INSTALLED"
        )
    if not model:
        raise Misconfigured(
            "the engine whisper needs asr_worker.model: the directory of a model; ./antiphon ears get base brings one",
            reason="NO_PATH",
        )
    try:
        return _find(model, models_dir)
    except (OSError, RuntimeError, ValueError) as error:
        raise Misconfigured(
            f"asr_worker.model {model[:200]!r} cannot be used: {str(error)[:300]}; correct it", reason="BAD_PATH"
        ) from error


def _find(model: str, models_dir: str) -> WhisperFiles:
    folder = (Path(models_dir).expanduser() / Path(model).expanduser()).resolve()
    if not folder.is_dir():
        raise Misconfigured(
            f"there is no directory {folder}; asr_worker.model names that of a Whisper model "
            "(./antiphon ears list shows which are here)",
            reason="NO_SUCH_MODEL",
        )
    missing = [name for name in (WEIGHTS, *NEEDED) if not (folder / name).is_file()]
    if not any((folder / name).is_file() for name in VOCABULARIES):
        missing.append(" or ".join(VOCABULARIES))
    if missing:
        raise _incomplete(folder, missing)
    try:
        languages = check_files(folder)
    except Damaged as error:
        raise Misconfigured(f"{folder / error.name} {error.why}; get the model again", reason="BAD_MODEL") from error
    return WhisperFiles(
        folder.name, folder, (folder / WEIGHTS).stat().st_size, languages, licence_on(folder / "README.md")
    )


def _incomplete(folder: Path, missing: list[str]) -> AntiphonError:
    if any((folder / name).is_file() for name in UNCONVERTED):
        return Misconfigured(
            f"{folder} holds a model for PyTorch; convert it first: "
            f"ct2-transformers-converter --model {folder} --output_dir NEW --copy_files tokenizer.json "
            "preprocessor_config.json",
            reason="NOT_CONVERTED",
        )
    parts = ", ".join(missing)
    return Misconfigured(
        f"{folder} is no whole Whisper model: {parts} {'is' if len(missing) == 1 else 'are'} missing; "
        "get it again (./antiphon ears get NAME)",
        reason="PARTS_MISSING",
    )


def _json(path: Path) -> object:
    try:
        found: object = json.loads(_text(path))
    except (RecursionError, ValueError) as error:
        raise Damaged(path.name, f"cannot be read ({str(error)[:200]})") from error
    return found


def _text(path: Path) -> str:
    with path.open("rb") as file:
        found = file.read(MOST_TEXT)
    try:
        return found.decode("utf-8")
    except ValueError as error:
        raise Damaged(path.name, f"cannot be read ({str(error)[:200]})") from error


def _languages(folder: Path) -> tuple[str, ...]:
    if (folder / "vocabulary.json").is_file():
        found = _json(folder / "vocabulary.json")
        tokens = [str(token) for token in found] if isinstance(found, list) else []
    else:
        tokens = _text(folder / "vocabulary.txt").split("\n")
        tokens = tokens[:-1] if tokens[-1] == "" else tokens
    if "<|startoftranscript|>" not in tokens:
        raise Damaged("vocabulary", "is not that of a Whisper model: it has no <|startoftranscript|>")
    if len(tokens) < MULTILINGUAL and "" not in tokens:
        return ("en",)
    first = tokens.index("<|startoftranscript|>")
    codes = (match[1] for token in tokens[first:] if (match := _LANGUAGE.fullmatch(token)))
    return tuple(BCP47.get(code, code) for code in codes)


def licence_on(card: Path) -> str:
    """What a model card says; empty where there is none, or it says nothing."""
    if not card.is_file():
        return ""
    with card.open("rb") as file:
        found = _LICENCE.search(file.read(65_536).decode("utf-8", "replace"))
    return "".join(c for c in found[1][:200] if c.isprintable()) if found else ""
