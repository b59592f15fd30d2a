"""Backchannels: what a listener says without wanting the floor ("mhm", "right", "I see").

Said over a reply they do not interrupt it; said to its question they are the answer (see `asking`). Data per language;
in a language without data there are none, so any word interrupts. Words that may be a wish ("no", "stop", "wait",
"what") are none in any language.

Recognisers spell them as they like: "mm-hmm", "Mhm.", "yeahhh", "voila", "ウン", "yeah yeah". A row of them is one too.

After Yngve, "On getting a word in edgewise", 1970, and the lists in Ward & Tsukahara, "Prosodic features which cue
back-channel responses in English and Japanese", 2000.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from orchestrator.conversation.words import primary, words


def _phrases(*lines: str) -> frozenset[tuple[str, ...]]:
    return frozenset(words(phrase) for line in lines for phrase in line.split(","))


_PHRASES: Mapping[str, frozenset[tuple[str, ...]]] = MappingProxyType(
    {
        "en": _phrases(
            "um, er, erm, wow, whoa, yes, yeah, yep, yup, yea, ya, ok, okay, k, kay, mkay, right, all right, alright",
            "sure, true, indeed, exactly, absolutely, definitely",
            "totally, of course, i see, got it, i got it, gotcha",
            "i know, i understand, understood, really, cool, nice, great, good, fine, perfect, lovely, interesting",
            "amazing, awesome, sounds good, makes sense, that makes sense, that's right, that's true, that's good",
            "that's great, fair enough, fair, go on, right on",
            "you're right, i think so too, i agree, agreed, for sure",
        ),
        "de": _phrases(
            "hmhm, ähm, aha, ach, ach so, achso, so so, ja, jaja, jo, jau, jep, jup, nun ja, na ja, okay, okey, ok",
            "gut, sehr gut, klar, na klar, alles klar, ist klar, genau",
            "eben, richtig, stimmt, das stimmt, sicher, logisch",
            "verstehe, ich verstehe, verstanden, ach ja, echt, ach echt, wirklich, interessant, schön, super, toll",
            "prima, natürlich, freilich, aha okay, jawohl",
            "ich weiß, weiß ich, macht sinn, das macht sinn, sehr schön",
        ),
        "fr": _phrases(
            "ah, euh, ben, bah",
            "ah bon, ouais, oui, mouais, ok, okay, d'accord, d accord, daccord, bien, très bien",
            "bien sûr, exact, exactement, c'est ça, c est ça, c'est vrai, c est vrai, voilà, je vois, je comprends",
            "j'ai compris, vraiment, super, génial, intéressant, ça marche, tout à fait, en effet, entendu, parfait",
            "certes, absolument, effectivement, évidemment, c'est bien, bon, ah bon d'accord, oui oui, je sais",
        ),
        "es": _phrases(
            "ajá, eh, sí, si, ya, vale, ok, okay, okey, bueno, bien, muy bien, está bien, claro, claro que sí",
            "exacto, exactamente, eso, eso es, así es, entiendo, entendido, ya veo, ya entiendo, de acuerdo, cierto",
            "es cierto, por supuesto, en serio, de verdad, verdad, qué bien, interesante, genial, perfecto, correcto",
            "desde luego, ya ya, lo sé, qué bueno, tiene sentido",
        ),
        "it": _phrases(
            "beh, sì, si, già, ok, okay, okey, va bene, bene, molto bene, benissimo, certo, certamente, esatto",
            "esattamente, giusto, capisco, capito, ho capito",
            "vero, è vero, davvero, d'accordo, d accordo, interessante",
            "perfetto, ottimo, infatti, chiaro, appunto, lo so, sicuro, bello, ha senso, ecco, assolutamente",
        ),
        "pt": _phrases(
            "é, sim, tá, tá bom, tá bem, está bem, está bom, ok, okay, bom, muito bom, bem, muito bem, certo, claro",
            "exato, exatamente, isso, isso mesmo, entendo, entendi",
            "percebo, percebi, pois, pois é, verdade, é verdade",
            "sério, a sério, legal, fixe, interessante, perfeito, com certeza, beleza, ótimo, que bom, eu sei, sei",
            "faz sentido, de facto, de fato, aham, uhum, ahã",
        ),
        "nl": _phrases(
            "ja, jaja, jawel, jep, jo, oké, ok, okay, okee, goed, heel goed, prima, juist, precies, klopt, dat klopt",
            "zeker, natuurlijk, inderdaad, ik snap het, snap ik",
            "ik begrijp het, begrijp ik, begrepen, duidelijk, echt",
            "echt waar, leuk, mooi, tuurlijk, uiteraard, ja hoor",
            "nou ja, interessant, ik weet het, logisch, top, fijn",
        ),
        "zh": _phrases(
            "嗯, 嗯哼, 恩, 唔, 哦, 喔, 噢, 啊, 呃, 唉, 哎",
            "哇, 诶, 欸, 是, 是的, 是啊, 是吗, 是嗎, 是吧, 是呀, 对, 對",
            "对啊, 對啊, 对的, 對的, 对呀, 對呀, 对吧, 對吧, 好",
            "好的, 好啊, 好吧, 好呀, 行, 行吧, 可以, 没问题, 沒問題",
            "没错, 沒錯, 不错, 不錯, 当然, 當然, 知道, 知道了",
            "我知道, 我知道了, 明白, 明白了, 我明白, 我明白了, 懂了, 我懂",
            "我懂了, 了解, 原来如此, 原來如此, 原来是这样, 原來是這樣, 真的",
            "真的吗, 真的嗎, 这样啊, 這樣啊, 有道理, 确实, 確實",
            "的确, 的確, 也是, 太好了, 很好, 真好, 有意思, ok, okay",
        ),
        "ja": _phrases(
            "うん, ん, ふん, ふうん, へえ, へ, ええ, え, あ, ああ",
            "お, おお, わ, わあ, まあ, はい, は, はあ, ほう, ほほう, ほ",
            "そう, そうそう, そうだね, そうですね, そうですか",
            "そうなんだ, そうなんですか, そうなんですね, そうか, そか",
            "なるほど, なるほどね, なるほどですね, 成る程, 確かに",
            "たしかに, もちろん, 勿論, その通り, そのとおりです",
            "その通りです, 本当, 本当に, 本当ですか, ほんと",
            "ほんとに, ほんとですか, わかりました, 分かりました, わかった",
            "分かった, わかる, 分かる, 了解, 了解です, 承知しました",
            "いいね, いいですね, すごい, 凄い, すごいですね, さすが",
            "面白い, おもしろい, おけ, オッケー, オーケー, おーけーです, ok, okay",
        ),
    }
)
_LONGEST = max(len(phrase) for phrases in _PHRASES.values() for phrase in phrases)

_HUM = re.compile(r"m+(?:h+m*)*|h+m+|n*m+|[aou]+h+[aou]*h*m*|[aou]+h+u+m+|e+h+m?|o+|a+|h+[aeu]+h*|uhum|hu+m+|e+m+")
"""Sounds rather than words, the same in all languages written with Latin letters: "mm", "hmm", "aha", "huh"."""
_NOT_HUMS = frozenset({"a", "o", "ha", "he", "hu", "em"})
"""Spelled like one, and a word somewhere."""
_HUMMED = "mm"
_LENGTHENED = frozenset("ー〜ぁぃぅぇぉっ")
"""Japanese: what only draws a sound out or cuts it off."""
_KATAKANA = {code: code - 0x60 for code in range(0x30A1, 0x30F7)}


@dataclass(frozen=True, slots=True)
class _Lexicon:
    phrases: frozenset[tuple[str, ...]]
    known: frozenset[str]
    """The words of the phrases…"""
    folded: Mapping[str, str]
    """…and what they are without their accents."""


def _fold(word: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", word) if not unicodedata.combining(c))


def _kana(found: Sequence[str]) -> tuple[str, ...]:
    return tuple(c for word in found if (c := word.translate(_KATAKANA)) not in _LENGTHENED)


def _lexicon(language: str, phrases: frozenset[tuple[str, ...]]) -> _Lexicon:
    if language == "ja":
        phrases = frozenset(map(_kana, phrases))
    if language not in ("zh", "ja"):
        phrases |= {(_HUMMED,)}
    known = frozenset(word for phrase in phrases for word in phrase)
    return _Lexicon(phrases, known, {_fold(word): word for word in sorted(known) if len(word) > 1})


_LEXICONS: Mapping[str, _Lexicon] = MappingProxyType(
    {language: _lexicon(language, phrases) for language, phrases in _PHRASES.items()}
)


def _plain(found: Sequence[str], language: str, lexicon: _Lexicon) -> tuple[str, ...]:
    """Words as the lexicon spells them, where it knows them in some spelling."""
    if language == "ja":
        found = _kana(found)
    return tuple(_spelled(unicodedata.normalize("NFKC", word), lexicon) for word in found)


def _spelled(word: str, lexicon: _Lexicon) -> str:
    if word in lexicon.known:
        return word
    if (_HUMMED,) in lexicon.phrases and word not in _NOT_HUMS and _HUM.fullmatch(word):
        return _HUMMED
    for guess in (word, re.sub(r"(.)\1{2,}", r"\1", word), re.sub(r"(.)\1+$", r"\1", word)):
        if guess in lexicon.known:
            return guess
        if (folded := lexicon.folded.get(_fold(guess))) is not None and len(guess) > 1:
            return folded
    return word


def is_backchannel(text: str, language: str) -> bool:
    """Whether a text is nothing but backchannels. False for a text without words."""
    return all_backchannel(words(text), language)


def all_backchannel(found: Sequence[str], language: str) -> bool:
    """As `is_backchannel`, for words as `words.words` gives them."""
    language = primary(language)
    lexicon = _LEXICONS.get(language)
    if lexicon is None:
        return False
    plain = _plain(found, language, lexicon)
    return bool(plain) and _reach(plain, lexicon)[-1]


def may_become_backchannel(found: Sequence[str], language: str) -> bool:
    """Whether these words, the first of an unfinished utterance, are backchannels or may become so: "I" of "I see"."""
    language = primary(language)
    lexicon = _LEXICONS.get(language)
    plain = () if lexicon is None else _plain(found, language, lexicon)
    if lexicon is None or not plain:
        return False
    reach = _reach(plain, lexicon)
    if reach[-1]:
        return True
    first = max(0, len(plain) - _LONGEST)
    tails = (plain[start:] for start in range(first, len(plain)) if reach[start])
    return any(phrase[: len(tail)] == tail for tail in tails for phrase in lexicon.phrases)


def _reach(found: Sequence[str], lexicon: _Lexicon) -> list[bool]:
    """For each length, whether the first so many words are a row of phrases."""
    reach = [True] + [False] * len(found)
    for end in range(1, len(found) + 1):
        starts = range(max(0, end - _LONGEST), end)
        reach[end] = any(reach[start] and tuple(found[start:end]) in lexicon.phrases for start in starts)
    return reach
