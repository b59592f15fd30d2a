"""Speech engines by name.

Only the operator can name code: a built-in, an entry point of the group `antiphon.engines`, or `module:Class`. Clients
name models, which the operator has configured. A built-in keeps its name, whatever entry points there are.
"""

from __future__ import annotations

import importlib
from functools import lru_cache
from operator import attrgetter

from base.errors import Misconfigured
from tts_workers.engine import Engine

GROUP = "antiphon.engines"
ENGINES = {
    "espeak": "tts_workers.engines.espeak.engine:EspeakEngine",
    "piper": "tts_workers.engines.piper.engine:PiperEngine",
    "sine": "tts_workers.engines.sine:SineEngine",
}


def factory(model: str, engine: str) -> str:
    """The "module:Class" of the engine that `model` asks for. Raises `Misconfigured`; imports nothing of it."""
    if engine in ENGINES:
        return ENGINES[engine]
    if ":" in engine:
        module, _, name = engine.partition(":")
        if all(part.isidentifier() for part in (*module.split("."), *name.split("."))):
            return engine
    elif found := _entered(engine):
        return found
    raise Misconfigured(
        f"model {model!r} asks for engine {engine!r}; there are {', '.join(sorted(ENGINES))}, the entry points of "
        f"{GROUP!r}, and module:Class"
    )


def make(model: str, factory: str) -> Engine:
    """Imports and makes the engine of a `factory`. Raises `Misconfigured`, whatever goes wrong in code not ours."""
    module, _, name = factory.partition(":")
    try:
        engine = attrgetter(name)(importlib.import_module(module))()
    except MemoryError:
        raise
    except Exception as error:
        if factory in ENGINES.values():
            raise
        raise Misconfigured(
            f"engine {factory!r} of model {model!r} cannot be made: {type(error).__name__}: {error}"
        ) from error
    if not callable(getattr(engine, "load", None)):
        raise Misconfigured(f"engine {factory!r} of model {model!r} is no engine: it has no method load(spec)")
    made: Engine = engine
    return made


def check(model: str, engine: str) -> None:
    """Raises `Misconfigured` for what names no engine. One that is not built in is made, to see whether it can be."""
    found = factory(model, engine)
    if engine not in ENGINES:
        make(model, found)


@lru_cache(maxsize=256)
def _entered(name: str) -> str:
    """The "module:Class" of an entry point; "" where there is none. Looking for it takes milliseconds."""
    # It takes a while to import, and the processes of isolated models never need it.
    from importlib.metadata import entry_points

    found = entry_points(group=GROUP)
    return f"{found[name].module}:{found[name].attr}" if name in found.names else ""
