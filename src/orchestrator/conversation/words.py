"""Text as words, for comparing: what was recognised twice, what is in a list."""

from __future__ import annotations

import re
import unicodedata

_CJK = r"[\u3005\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
_CJK_ONE = re.compile(_CJK)
_WORD = re.compile(rf"{_CJK}|(?:(?!{_CJK})[^\W_])+(?:'(?:(?!{_CJK})[^\W_])+)*")


def words(text: str) -> tuple[str, ...]:
    """The words of a text, case and punctuation aside; of Chinese and Japanese, which do not space words, characters.

    Empty when there are none ("…", an emoji).
    """
    return tuple(_WORD.findall(unicodedata.normalize("NFC", text).replace("’", "'").casefold()))


def spans(text: str) -> list[tuple[str, int, int]]:
    """The words of `text` as it is written, each with where it begins and ends."""
    plain = text.replace("’", "'")
    return [(unicodedata.normalize("NFC", m[0].casefold()), m.start(), m.end()) for m in _WORD.finditer(plain)]


def is_cjk(character: str) -> bool:
    """Whether it is written without spaces around it."""
    return _CJK_ONE.fullmatch(character) is not None


def whole_words(text: str, end: int) -> tuple[str, ...]:
    """The words that end within the first `end` code points."""
    end = min(max(end, 0), len(text))
    found = words(text[:end])
    if found and end < len(text) and len(words(text[: end + 1])) == len(found) and words(text[: end + 1]) != found:
        return found[:-1]  # the limit fell inside a word
    return found


def primary(language: str) -> str:
    """The language that its data goes by: "en-GB" → "en"."""
    tag = language.replace("_", "-").split("-")[0].casefold()
    return _ALIASES.get(tag, tag)


_ALIASES = {"cmn": "zh", "jpn": "ja", "eng": "en", "deu": "de", "fra": "fr", "spa": "es", "ita": "it", "por": "pt"}
