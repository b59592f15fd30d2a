"""Word error rate. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence


def words(text: str) -> list[str]:
    """Lower case, apostrophes kept, punctuation and hyphens gone."""
    return re.findall(r"[a-z0-9']+", text.lower().replace("’", "'"))


def edits(said: Sequence[str], heard: Sequence[str]) -> int:
    """The fewest words to insert, delete or replace (Levenshtein)."""
    above = list(range(len(heard) + 1))
    for i, word in enumerate(said, 1):
        row = [i]
        for j, other in enumerate(heard, 1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (word != other)))
        above = row
    return above[-1]


def alignment(said: Sequence[str], heard: Sequence[str]) -> list[int]:
    """Where the fewest edits are: an index of `said` each; of an inserted word that of the word before it, or -1."""
    rows = [list(range(len(heard) + 1))]
    for i, word in enumerate(said, 1):
        above, row = rows[-1], [i]
        for j, other in enumerate(heard, 1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (word != other)))
        rows.append(row)
    found, i, j = [], len(said), len(heard)
    while i or j:
        here = rows[i][j]
        if i and j and here == rows[i - 1][j - 1] + (said[i - 1] != heard[j - 1]):
            i, j = i - 1, j - 1
            if said[i] != heard[j]:
                found.append(i)
        elif i and here == rows[i - 1][j] + 1:
            i -= 1
            found.append(i)
        else:
            j -= 1
            found.append(i - 1)
    return found[::-1]


def error_rate(pairs: Sequence[tuple[str, str]]) -> float:
    """Of (said, heard), over all of them: edits a word that was said. Raises ValueError for no words."""
    total = sum(len(words(said)) for said, _ in pairs)
    if not total:
        raise ValueError("nothing was said: there is no error rate")
    return sum(edits(words(said), words(heard)) for said, heard in pairs) / total
