"""Where a model's voices lie: each an `.onnx` with its `.onnx.json` beside it.

A path comes from the operator, or from somebody who may ask for loads. With a models directory nothing outside it is
read, whatever `..` and symbolic links say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from base.errors import BadRequest, Misconfigured, NotFound
from tts_workers.engine import ModelSpec

SUFFIX = ".onnx"
CARD_BYTES = 65_536

_LICENCE = re.compile(r"^[\s*#>-]*licen[cs]e\s*:\s*(\S.*?)\s*$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class VoiceFiles:
    """`size` is that of the graph, in bytes; `cards` are where its licence may be told."""

    name: str
    graph: Path
    config: Path
    size: int
    cards: tuple[Path, ...]


def find_voices(spec: ModelSpec, path: str, models_dir: str) -> list[VoiceFiles]:
    """The voices at `path`: a file, a voice's name without `.onnx`, or a directory of voices, by name.

    Relative paths begin at `models_dir`, or where the worker was started. Raises `BadRequest` for what lies outside,
    `NotFound` for what is not there, `Misconfigured` for what can be no path, or cannot be read.
    """
    if not path and not models_dir:
        raise Misconfigured(
            f"model {spec.id!r} needs the option path: a voice's .onnx file, or a directory of voices",
            reason="NO_PATH",
        )
    try:
        found = _find(spec, path, models_dir)
    except (OSError, RuntimeError, ValueError) as error:
        # No permission, a name that is too long, links in a circle, a home of nobody, a zero byte.
        raise Misconfigured(
            f"model {spec.id!r}: option path {path[:200]!r} cannot be used: {str(error)[:300]}; correct it",
            reason="BAD_PATH",
        ) from error
    names = [files.name.lower() for files in found]
    if twice := next((files.name for files in found if names.count(files.name.lower()) > 1), ""):
        raise Misconfigured(
            f"model {spec.id!r}: two voices are called {twice!r}, but for upper and lower case; rename one",
            reason="DUPLICATE_VOICE",
        )
    return found


def _find(spec: ModelSpec, path: str, models_dir: str) -> list[VoiceFiles]:
    root = Path(models_dir).expanduser().resolve() if models_dir else None
    asked = (root or Path.cwd()) / Path(path).expanduser()
    place = _inside(spec, asked, root)
    if place.is_dir():
        graphs = sorted(p for p in place.iterdir() if p.suffix == SUFFIX)
        if not graphs:
            raise NotFound(
                f"model {spec.id!r}: no voice is in {place}; put a voice's .onnx and .onnx.json there",
                reason="NO_VOICES",
            )
        return [_voice(spec, graph, root, alone=len(graphs) == 1) for graph in graphs]
    if not place.is_file() and asked.suffix != SUFFIX:
        asked = asked.with_name(asked.name + SUFFIX)
    graph = _inside(spec, asked, root)
    if not graph.is_file() or asked.suffix != SUFFIX:
        raise NotFound(
            f"model {spec.id!r}: there is no {asked}; option path names a voice's .onnx file, or a directory of voices",
            reason="NO_SUCH_MODEL",
        )
    return [_voice(spec, asked, root, alone=len(list(asked.parent.glob(f"*{SUFFIX}"))) == 1)]


def licence_on(files: VoiceFiles) -> str:
    """What the voice's model card says; empty where there is none, or it says nothing."""
    for card in files.cards:
        if card.is_file():
            with card.open("rb") as file:
                text = file.read(CARD_BYTES).decode("utf-8", "replace")
            if found := _LICENCE.search(text):
                return "".join(c for c in found[1][:200] if c.isprintable())
    return ""


def _voice(spec: ModelSpec, graph: Path, root: Path | None, *, alone: bool) -> VoiceFiles:
    """A MODEL_CARD that lies in a directory of several voices may be of any of them, and counts for none."""
    config = graph.with_name(graph.name + ".json")
    real = _inside(spec, graph, root)
    if not _inside(spec, config, root).is_file():
        raise NotFound(
            f"model {spec.id!r}: {graph.name} has no {config.name} beside it; "
            "a Piper voice is both files, get the other as well",
            reason="NO_CONFIG",
        )
    name = graph.name.removesuffix(SUFFIX)
    cards = [graph.with_name(f"{name}.MODEL_CARD"), graph.with_name(f"{graph.name}.MODEL_CARD")]
    cards += [graph.with_name("MODEL_CARD")] if alone else []
    return VoiceFiles(name, real, config, real.stat().st_size, tuple(_inside(spec, card, root) for card in cards))


def _inside(spec: ModelSpec, path: Path, root: Path | None) -> Path:
    """`path` with its links followed."""
    real = path.resolve()
    if root is not None and not real.is_relative_to(root):
        raise BadRequest(
            f"model {spec.id!r}: {path} lies outside the models directory {root}; "
            "move the voice in there, or name another models_dir",
            reason="PATH_OUTSIDE",
        )
    return real
