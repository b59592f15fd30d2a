"""Backchannels: what a listener says without wanting the floor ("mhm", "right", "I see").

Said over a reply they do not interrupt it. Data per language; in a language without data there are none, so any word
interrupts. Words that may be a wish ("no", "stop", "wait", "what") are none in any language.

After Yngve, "On getting a word in edgewise", 1970, and the lists in Ward & Tsukahara, "Prosodic features which cue
back-channel responses in English and Japanese", 2000.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from orchestrator.conversation.words import primary, words


def _phrases(*lines: str) -> frozenset[tuple[str, ...]]:
    return frozenset(words(phrase) for line in lines for phrase in line.split(","))


_PHRASES: Mapping[str, frozenset[tuple[str, ...]]] = MappingProxyType(
    {
        "en": _phrases(
            "mm, mmm, mhm, mm hm, mm hmm, mhmm, hm, hmm, huh, uh, uh huh, um, er, ah, aha, oh, ooh, wow",
            "yes, yeah, yep, yup, yea, ok, okay, k, right, all right, alright, sure, true, indeed, exactly, absolutely",
            "of course, i see, got it, gotcha, i know, oh really, really, cool, nice, great, good, fine, interesting",
            "sounds good, makes sense, that makes sense, that's right, fair enough, go on",
        ),
        "de": _phrases(
            "mhm, mh, hm, hmm, ähm, äh, ah, aha, ach, ach so, achso, oh",
            "ja, jaja, jo, jep, okay, ok, gut, sehr gut, klar, na klar",
            "genau, eben, richtig, stimmt, sicher, alles klar",
            "verstehe, ich verstehe, ach ja, echt, wirklich, interessant, schön, super, toll, natürlich",
        ),
        "fr": _phrases(
            "hm, hmm, mm, mmh, euh, ah, ah oui, ah bon, oh, ouais, oui, ok, okay",
            "d'accord, bien, très bien, bien sûr, exact, exactement, c'est ça, voilà, je vois, je comprends",
            "vraiment, super, génial, intéressant, ça marche, tout à fait, en effet, entendu",
        ),
        "es": _phrases(
            "mm, mhm, hm, ajá, aja, eh, ah, oh, sí, si, ya, vale, ok, okay, bueno, bien, muy bien",
            "claro, claro que sí, exacto, exactamente, eso, eso es, entiendo, ya veo, de acuerdo, cierto, por supuesto",
            "en serio, qué bien, interesante, genial, perfecto",
        ),
        "it": _phrases(
            "mm, mhm, hm, eh, ah, oh, sì, si, già, ok, okay, va bene, bene, molto bene, certo, esatto, esattamente",
            "giusto, capisco, ho capito, vero, davvero, d'accordo, interessante, perfetto, ottimo, infatti",
        ),
        "pt": _phrases(
            "mm, mhm, hm, hum, ah, oh, é, sim, tá, tá bom, está bem, ok, okay, bom, muito bom, bem",
            "certo, claro, exato, exatamente, isso, isso mesmo, entendo, entendi, pois, pois é, verdade, sério",
            "legal, interessante, perfeito, com certeza",
        ),
        "nl": _phrases(
            "mm, mhm, hm, hmm, eh, uh, ah, aha, oh, ja, jaja, jep, oké, ok, okay, goed, heel goed, prima",
            "juist, precies, klopt, zeker, natuurlijk, inderdaad, ik snap het, ik begrijp het",
            "snap ik, echt, leuk, mooi",
        ),
        "zh": _phrases(
            "嗯, 嗯哼, 哦, 喔, 噢, 啊, 呃, 唉, 哇, 是, 是的, 是啊, 是吗, 对, 對",
            "对啊, 對啊, 对对, 好, 好的, 好啊, 行, 可以",
            "没错, 沒錯, 当然, 當然, 知道了, 明白, 明白了, 我明白, 懂了, 原来如此, 原來如此, 真的, 真的吗, ok, okay",
        ),
        "ja": _phrases(
            "うん, うんうん, ふん, ふうん, ふーん, へえ, へー, ええ, え, あ, あー",
            "ああ, おお, おー, わあ, はい, はいはい",
            "そう, そうそう, そうですね, そうですか, そうなんだ, そうなんですか",
            "なるほど, なるほどね, 確かに, たしかに",
            "本当, 本当に, 本当ですか, ほんと, ほんとに, わかりました, 分かりました, 了解, 了解です, オーケー, ok",
        ),
    }
)
_LONGEST = max(len(phrase) for phrases in _PHRASES.values() for phrase in phrases)


def is_backchannel(text: str, language: str) -> bool:
    """Whether a text is nothing but backchannels. False for a text without words."""
    return all_backchannel(words(text), language)


def all_backchannel(found: Sequence[str], language: str) -> bool:
    """As `is_backchannel`, for words as `words.words` gives them."""
    return bool(found) and _reach(found, language)[-1]


def may_become_backchannel(found: Sequence[str], language: str) -> bool:
    """Whether these words, the first of an unfinished utterance, are backchannels or may become so: "I" of "I see"."""
    phrases = _PHRASES.get(primary(language))
    if not found or not phrases:
        return False
    reach = _reach(found, language)
    if reach[-1]:
        return True
    first = max(0, len(found) - _LONGEST)
    tails = (tuple(found[start:]) for start in range(first, len(found)) if reach[start])
    return any(phrase[: len(tail)] == tail for tail in tails for phrase in phrases)


def _reach(found: Sequence[str], language: str) -> list[bool]:
    """For each length, whether the first so many words are a row of phrases."""
    phrases = _PHRASES.get(primary(language), frozenset())
    reach = [True] + [False] * len(found)
    for end in range(1, len(found) + 1):
        starts = range(max(0, end - _LONGEST), end)
        reach[end] = any(reach[start] and tuple(found[start:end]) in phrases for start in starts)
    return reach
