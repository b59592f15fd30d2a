"""Self-echo: whether words that were recognised while a reply plays are the loudspeaker's. Pure.

A microphone that hears the loudspeaker makes the recogniser write what the reply says: the same words in the same
order, some of them wrong, the last one often cut off, as the reply is held when speech begins. So the letters of what
was recognised are looked for in the letters of what is being heard, and may differ by so many edits (Sellers, "The
theory and computation of evolutionary distances", 1980; by Myers' bit vectors, 1999). Letters, not words, because a
recogniser parts and joins words as it likes, and Chinese and Japanese have no spaces.

Swallowing a real interruption is worse than one false stop. Therefore:

- A wish ("stop", "wait", "no", "what") that the reply does not say just then is the user's, whatever is around it.
- Common words prove nothing: fewer than four of them, and nothing else, are the user's.
- One telling word, alone or beside a common one, is the loudspeaker's only if it is long enough, sounds at that moment
  and was not asked ("tomorrow?").
- Every other word must be found, but for the recogniser's errors: one in five, or a last one that was cut off.

How long somebody spoke after the reply fell silent proves more than any words: see `Utterance.hear_echo`.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.conversation.commonplace import COMMON, WISHES
from orchestrator.conversation.words import primary, words

TELLING = 5
"""Letters that a word needs to tell something by itself; in Chinese and Japanese an utterance needs `TELLING_WIDE`."""
TELLING_WIDE = 4
ERRORS, ERRORS_SHORT = 0.34, 0.25
"""Edits a letter that an echo may have; with fewer than five words."""
SAME_WORD = 0.4
LONGEST = 120
"""Letters looked at: a longer utterance is judged by its last ones."""
_UNSPACED = ("zh", "ja")


def is_echo(found: Sequence[str], text: str, near: str, language: str, *, asked: bool = False) -> bool:
    """Whether `found` (as `words.words` gives them) is what the loudspeaker said.

    `text`: what the listener has heard, hears and may be about to hear; `near`: the middle of it, what sounds just now.
    `asked`: the recogniser heard a question.
    """
    language = primary(language)
    heard = words(text)
    if not found or not heard or (asked and "?" not in text and "？" not in text):
        return False
    if language in _UNSPACED:
        return _is_echo_unspaced("".join(found), "".join(heard), "".join(words(near)), language)
    common, wishes = COMMON.get(language, frozenset()), WISHES.get(language, frozenset())
    wished = wishes.intersection(found)
    if wished and (len(found) < 3 or not wished <= set(heard)):
        return False
    telling = [word for word in found if word not in common]
    if len(found) < 3 and len(telling) < 2:
        return _is_short_echo(telling, "".join(found), "".join(words(near)))
    if not telling and len(found) < 4:
        return False
    said, sounded = "".join(found)[-LONGEST:], "".join(heard)
    errors = ERRORS if len(found) >= 5 else ERRORS_SHORT
    if distance(said, sounded) > (errors if telling else 0.0) * len(said):
        return False
    strange = [n for n, word in enumerate(found) if distance(word, sounded) > SAME_WORD * len(word)]
    last = len(found) - 1
    if last in strange and _cut_off(found[last], heard, common):
        strange.pop()
    return last not in strange and len(strange) <= len(found) // 5


def _is_short_echo(telling: Sequence[str], said: str, near: str) -> bool:
    return bool(telling) and len(telling[0]) >= TELLING and distance(said, near) <= len(said) // 6


def _is_echo_unspaced(said: str, heard: str, near: str, language: str) -> bool:
    if any(wish in said and wish not in heard for wish in WISHES[language]):
        return False
    telling = said
    for word in sorted(COMMON[language], key=len, reverse=True):
        telling = telling.replace(word, "")
    if len(said) < TELLING_WIDE or len(telling) < 2:
        return False
    if len(said) < 2 * TELLING_WIDE:
        return said in near
    said = said[-LONGEST:]
    return distance(said, heard) <= ERRORS_SHORT * len(said)


def _cut_off(word: str, heard: Sequence[str], common: frozenset[str]) -> bool:
    """The beginning of a word that the reply was held in, as the recogniser may have understood it."""
    return len(word) <= 4 and word not in common and any(whole[0] == word[0] and len(whole) > 2 for whole in heard)


def distance(pattern: str, text: str) -> int:
    """The fewest edits by which `pattern` becomes a part of `text`."""
    if not pattern:
        return 0
    places: dict[str, int] = {}
    for n, c in enumerate(pattern):
        places[c] = places.get(c, 0) | 1 << n
    everywhere, last = (1 << len(pattern)) - 1, 1 << (len(pattern) - 1)
    more, less = everywhere, 0
    here = best = len(pattern)
    for c in text:
        equal = places.get(c, 0)
        down = equal | less
        across = (((equal & more) + more) ^ more) | equal
        up = less | ~(across | more)
        lower = more & across
        here += bool(up & last) - bool(lower & last)
        best = min(best, here)
        up, lower = up << 1 & everywhere, lower << 1 & everywhere
        more = (lower | ~(down | up)) & everywhere
        less = up & down
    return best
