"""A Whisper model's directory, as CTranslate2's converter makes it, and what it tells before anything is loaded."""

from __future__ import annotations

import importlib.util
import json
import re
from dataclasses import dataclass
from pathlib import Path

from base.errors import AntiphonError, Misconfigured

WEIGHTS = "model.bin"
NEEDED = ("config.json", "tokenizer.json")
VOCABULARIES = ("vocabulary.json", "vocabulary.txt")
UNCONVERTED = ("model.safetensors", "pytorch_model.bin", "model.safetensors.index.json")
MOST_TEXT = 32 << 20
MULTILINGUAL = 51_865
"""From so many tokens on, a model knows more than English."""
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
    config = _json(folder / "config.json")
    if not isinstance(config, dict) or not config.get("alignment_heads"):
        raise _broken(folder, "config.json", "tells no alignment_heads, without which words have no times")
    return WhisperFiles(
        folder.name, folder, (folder / WEIGHTS).stat().st_size, _languages(folder), licence_on(folder / "README.md")
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


def _broken(folder: Path, name: str, why: str) -> Misconfigured:
    return Misconfigured(f"{folder / name} {why}; get the model again", reason="BAD_MODEL")


def _json(path: Path) -> object:
    try:
        found: object = json.loads(_text(path))
    except (RecursionError, ValueError) as error:
        raise _broken(path.parent, path.name, f"cannot be read ({str(error)[:200]})") from error
    return found


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(MOST_TEXT).decode("utf-8")


def _languages(folder: Path) -> tuple[str, ...]:
    if (folder / "vocabulary.json").is_file():
        found = _json(folder / "vocabulary.json")
        tokens = [str(token) for token in found] if isinstance(found, list) else []
    else:
        tokens = _text(folder / "vocabulary.txt").split("\n")
        tokens = tokens[:-1] if tokens[-1] == "" else tokens
    if "<|startoftranscript|>" not in tokens:
        raise _broken(folder, "vocabulary", "is not that of a Whisper model: it has no <|startoftranscript|>")
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
