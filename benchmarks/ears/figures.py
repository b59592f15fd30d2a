"""Rows of what was scored. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.ears.scoring import Scored, by_condition, error_rate
from benchmarks.rows import Budget, Row, figure, percentile, single, spread

ADAPTIVE, FIXED = "adaptive", "fixed"
MODES = (ADAPTIVE, FIXED)


def rows(name: str, played: Mapping[str, Sequence[Scored]], note: str = "", errors: Sequence[str] = ()) -> list[Row]:
    """Of one recogniser over one detector: what does not depend on the endpointing over all of it, the rest for each
    mode. Where both were measured, adaptive promises half of the cut-offs at no more median delay. Short pauses count
    apart and promise nothing: a fixed end of 0.5 s has nothing to halve there. `errors` of its sessions: none is
    promised.
    """
    everything = [each for scored in played.values() for each in scored]
    found = [_error_rate(name, everything, note), _latency(name, everything), _false_starts(name, everything)]
    both = all(played.get(mode) for mode in MODES)
    for mode, scored in played.items():
        promised = played[FIXED] if both and mode == ADAPTIVE else None
        found += [_delay(f"{name}, {mode}", scored, promised), _cut_offs(f"{name}, {mode}", scored, promised)]
        found += [_short(f"{name}, {mode}", scored), _unanswered(f"{name}, {mode}", scored)]
    found.append(_errors(name, errors))
    return found


def _error_rate(name: str, scored: Sequence[Scored], note: str) -> Row:
    each = ", ".join(
        f"{condition} {figure(error_rate(some))}" for condition, some in by_condition(scored).items() if some
    )
    said = sum(len(s.said) for s in scored)
    return single(
        f"{name}: word error rate", "", error_rate(scored), n=said, note="; ".join(filter(None, (note, each)))
    )


def _latency(name: str, scored: Sequence[Scored]) -> Row:
    values = [1000 * x for s in scored for x in s.latencies_s]
    words = sum(len(s.said) for s in scored)
    return spread(f"{name}: a word's end → the partial that has it", "ms", values, note=f"{words} words were said")


def _false_starts(name: str, scored: Sequence[Scored]) -> Row:
    each = ", ".join(
        f"{condition} {figure(_a_minute(some))}" for condition, some in by_condition(scored).items() if some
    )
    count = sum(s.false_starts for s in scored)
    return single(f"{name}: false starts a minute", "starts", _a_minute(scored), n=count, note=each)


def _a_minute(scored: Sequence[Scored]) -> float | None:
    seconds = sum(s.seconds for s in scored)
    return 60 * sum(s.false_starts for s in scored) / seconds if seconds else None


def _delay(name: str, scored: Sequence[Scored], fixed: Sequence[Scored] | None) -> Row:
    delays = _delays_ms(scored)
    budget = None
    if fixed is not None and (theirs := _delays_ms(fixed)):
        budget = Budget(percentile(theirs, 50), "median")
    reasons: dict[str, int] = {}
    for each in scored:
        if each.delay_s is not None:
            reasons[each.reason] = reasons.get(each.reason, 0) + 1
    note = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
    medians = ((condition, _delays_ms(some)) for condition, some in by_condition(scored).items())
    each = ", ".join(f"{condition} {figure(percentile(found, 50))}" for condition, found in medians if found)
    note = f"{each}; {note}" if each else note
    return spread(f"{name}: last voiced sample → turn ended", "ms", delays, budget, note)


def _delays_ms(scored: Sequence[Scored]) -> list[float]:
    return [1000 * s.delay_s for s in scored if s.delay_s is not None]


def _cut_offs(name: str, scored: Sequence[Scored], fixed: Sequence[Scored] | None) -> Row:
    """In pauses longer than SHORT_S."""
    count, pauses = sum(map(_long, scored)), sum(s.pauses - s.short_pauses for s in scored)
    limit = None if fixed is None else sum(map(_long, fixed)) / 2
    hit = sum(_long(s) > 0 for s in scored)
    share = f"{100 * count / pauses:.0f} % of {pauses} pauses, " if pauses else "no clip has a pause; "
    conditions = by_condition(scored).items()
    each = ", ".join(f"{condition} {sum(map(_long, some))}" for condition, some in conditions)
    return single(
        f"{name}: cut-offs", "", count, limit, n=pauses, note=f"{share}in {hit} of {len(scored)} turns: {each}"
    )


def _long(scored: Scored) -> int:
    return scored.cut_offs - scored.short_cut_offs


def _short(name: str, scored: Sequence[Scored]) -> Row:
    count, pauses = sum(s.short_cut_offs for s in scored), sum(s.short_pauses for s in scored)
    note = ", ".join(s.name for s in scored if s.short_cut_offs) if pauses else "no clip has a short pause"
    return single(f"{name}: cut-offs in short pauses (≤ 0.5 s)", "", count, n=pauses, note=note)


def _errors(name: str, errors: Sequence[str]) -> Row:
    """A run in which something failed tells nothing, however good its figures look."""
    most = max(sorted(set(errors)), key=errors.count) if errors else ""
    return single(f"{name}: errors of its sessions", "", len(errors), 0, note=f"such as: {most}" if most else "")


def _unanswered(name: str, scored: Sequence[Scored]) -> Row:
    lost = [s for s in scored if s.delay_s is None]
    conditions = by_condition(lost).items()
    note = ", ".join(f"{condition} {len(some)}" for condition, some in conditions)
    return single(f"{name}: turns never answered", "", len(lost), n=len(scored), note=note)


EACH = ("clip", "cut-offs", "delay", "because", "false starts", "wrong", "heard")


def each(scored: Sequence[Scored]) -> list[tuple[str, ...]]:
    """A line for each clip, under EACH."""
    return [
        (
            s.name,
            f"{s.cut_offs} of {s.pauses}",
            "never" if s.delay_s is None else f"{1000 * s.delay_s:.0f}",
            s.reason,
            str(s.false_starts or ""),
            f"{s.errors} of {len(s.said)}",
            " ".join(s.heard),
        )
        for s in scored
    ]
