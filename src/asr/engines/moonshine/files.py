"""A Moonshine model's files: an encoder, a decoder and a tokenizer, found without loading anything.

Three layouts are known: that of the package moonshine-voice, which carries the English tiny model up to version 0.1.0
(`encoder_model.ort`, `decoder_model_merged.ort`, `tokenizer.bin`), the same names with `.onnx`, and that of an export
for ONNX, which has these in a folder `onnx` and `tokenizer.json` beside it.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from base.errors import Misconfigured

ENCODER, DECODER = "encoder_model", "decoder_model_merged"
NETWORKS = (".ort", ".onnx")
TOKENIZERS = ("tokenizer.bin", "tokenizer.json")
PACKAGE = "moonshine_voice"
BUNDLED = "assets/tiny-en"
LANGUAGES = ("en",)
LICENCE = "MIT"
"""Of the English models. Those of other languages are not free for every use."""
HOW = "./antiphon install moonshine"


@dataclass(frozen=True, slots=True)
class MoonshineFiles:
    """`size` is that of the two networks, in bytes."""

    name: str
    folder: Path
    encoder: Path
    decoder: Path
    tokenizer: Path
    size: int
    licence: str


def bundled() -> Path | None:
    """The model's directory in the installed package, which is not imported; None where there is none."""
    spec = importlib.util.find_spec(PACKAGE)
    for root in (spec.submodule_search_locations or ()) if spec is not None else ():
        if (Path(root) / BUNDLED).is_dir():
            return Path(root) / BUNDLED
    return None


def is_installed() -> bool:
    """Whether it can hear with nothing but `engine = "moonshine"`."""
    return importlib.util.find_spec("onnxruntime") is not None and bundled() is not None


def find_model(model: str, models_dir: str) -> MoonshineFiles:
    """The directory `model`, which may be relative to `models_dir`; empty: the installed package's.

    Raises Misconfigured where there is none, and for one in which parts are missing.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        raise Misconfigured(
            f"the engine moonshine needs ONNX Runtime, which is not installed; {HOW} brings it", reason="NOT_INSTALLED"
        )
    if not model:
        found = bundled()
        if found is None:
            raise Misconfigured(
                f"the engine moonshine has no model: {HOW} brings one (on Linux with glibc 2.34 and on Apple silicon "
                "with macOS 15, or newer ones); or name a directory in asr_worker.model",
                reason="NOT_INSTALLED",
            )
        return _parts(found, f"moonshine-{found.name}")
    try:
        folder = (Path(models_dir).expanduser() / Path(model).expanduser()).resolve()
        if not folder.is_dir():
            raise Misconfigured(
                f"there is no directory {folder}; asr_worker.model names that of a Moonshine model, or is empty for "
                "the one that the package brings",
                reason="NO_SUCH_MODEL",
            )
        return _parts(folder, folder.name)
    except (OSError, RuntimeError, ValueError) as error:
        raise Misconfigured(
            f"asr_worker.model {model[:200]!r} cannot be used: {str(error)[:300]}; correct it", reason="BAD_PATH"
        ) from error


def check_device(device: str) -> None:
    """Raises Misconfigured."""
    if device != "cpu":
        raise Misconfigured(
            f"asr_worker.device is {device}, and the engine moonshine computes on the CPU alone, which is quick "
            "enough; set it to cpu",
            reason="NO_CUDA",
        )


def _parts(folder: Path, name: str) -> MoonshineFiles:
    places = (folder, folder / "onnx")
    encoder, decoder = (_first(places, part, NETWORKS) for part in (ENCODER, DECODER))
    tokenizer = next((folder / name for name in TOKENIZERS if (folder / name).is_file()), None)
    missing = [f"{part}.ort" for part, path in ((ENCODER, encoder), (DECODER, decoder)) if path is None]
    missing += [] if tokenizer is not None else [TOKENIZERS[0]]
    if encoder is None or decoder is None or tokenizer is None:
        parts = ", ".join(missing)
        raise Misconfigured(
            f"{folder} is no whole Moonshine model: {parts} {'is' if len(missing) == 1 else 'are'} missing; "
            f"{HOW} brings a whole one",
            reason="PARTS_MISSING",
        )
    size = encoder.stat().st_size + decoder.stat().st_size
    licence = LICENCE if folder == bundled() else ""
    return MoonshineFiles(name, folder, encoder, decoder, tokenizer, size, licence)


def _first(places: tuple[Path, ...], part: str, endings: tuple[str, ...]) -> Path | None:
    paths = (place / (part + ending) for place in places for ending in endings)
    return next((path for path in paths if path.is_file()), None)
