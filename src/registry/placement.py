"""Which worker should do it: an ordered list of candidates, best first. Pure.

What cannot do the work is left out: another kind, without the model, voice, language or features, or draining. Of the
rest, those whose model failed come last: it may load again by now, and if not its worker says why, better than anybody
here could. Before them come those that are full (their news may be old, and the worker has the last word), and before
those the others. Among each, those whose model is resident come first, then those that speak the very language wanted
rather than one like it. Among equals: the less busy of two random picks, again and again until all are in order ("the
power of two choices", Mitzenmacher 2001), so that orchestrators with the same snapshot do not all run to the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from base.language import closeness
from registry.records import ModelRecord, ModelState, WorkerKind, WorkerRecord

_CLOSE = 2
"""`base.language.closeness` from which on a language is the one wanted, not just one like it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a session wants. Empty: anything will do."""

    kind: WorkerKind
    model: str = ""
    voice: str = ""
    language: str = ""
    features: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A worker and which of its models would do it. `full`: it said that all its slots are taken; `failed`: the model
    could not be loaded, or was lost.
    """

    worker: WorkerRecord
    model: ModelRecord
    resident: bool
    close: bool
    full: bool
    failed: bool = False


def choose(snapshot: Iterable[WorkerRecord], wanted: Wanted, random: Callable[[], float]) -> tuple[Candidate, ...]:
    """Every worker that can do what is wanted, best first. `random` gives numbers in [0, 1)."""
    tiers: dict[tuple[bool, ...], list[Candidate]] = {}
    for worker in snapshot:
        candidate = _candidate(worker, wanted)
        if candidate is not None:
            tier = (candidate.failed, candidate.full, not candidate.resident, not candidate.close)
            tiers.setdefault(tier, []).append(candidate)
    return tuple(c for tier in sorted(tiers) for c in _by_two_picks(tiers[tier], random))


def busy(worker: WorkerRecord) -> float:
    """The share of its slots that are taken; a worker that declares no slots is never full."""
    return worker.slots_used / worker.slots if worker.slots else 0.0


def _candidate(worker: WorkerRecord, wanted: Wanted) -> Candidate | None:
    """The worker with the model that suits best: one that did not fail; its default, else a resident one, else the
    closest language.
    """
    if worker.kind is not wanted.kind or worker.draining:
        return None
    fitting = [(model, near) for model in worker.models if (near := _fit(model, wanted))]
    if not fitting:
        return None
    model, near = max(fitting, key=lambda f: (not _failed(f[0]), f[0].is_default, f[0].state is ModelState.READY, f[1]))
    return Candidate(
        worker=worker,
        model=model,
        resident=model.state is ModelState.READY,
        close=near >= _CLOSE,
        full=busy(worker) >= 1.0,
        failed=_failed(model),
    )


def _failed(model: ModelRecord) -> bool:
    return model.state is ModelState.FAILED


def _fit(model: ModelRecord, wanted: Wanted) -> int:
    """0: it cannot; else the closeness of its language. A model or voice that names no language is taken to know it."""
    if not wanted.features <= model.features:
        return 0
    if wanted.model and model.id != wanted.model:
        return 0
    languages = model.languages
    if wanted.voice:
        voice = next((v for v in model.voices if v.id.lower() == wanted.voice.lower()), None)
        if voice is None:
            return 0
        languages = voice.languages or languages
    elif model.voices and not languages:
        languages = tuple(tag for v in model.voices for tag in v.languages)
    return max((closeness(wanted.language, tag) for tag in languages), default=_CLOSE)


def _by_two_picks(candidates: list[Candidate], random: Callable[[], float]) -> Iterable[Candidate]:
    rest = list(candidates)
    while len(rest) > 1:
        first = int(random() * len(rest))
        second = int(random() * (len(rest) - 1))
        second += second >= first
        better = min(first, second, key=lambda place: busy(rest[place].worker))
        yield rest.pop(better)
    yield from rest
