"""How long to wait after the last voiced sample, by how the words read.

A sentence that is over ("what time is it, please") is answered sooner; one that is not ("I would like a", "because",
"five five") gets more time. Word lists are data per language; in a language without data only punctuation counts, which
some recognisers give. A full stop counts less than the words, because recognisers put one after fragments too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from orchestrator.conversation.words import primary, words

COMPLETE = "complete"
UNFINISHED = "unfinished"
SILENCE = "silence"

_DIALLED = 7
"""So many digits in a row are taken for a whole number, fewer (but two) for one half said."""


def _phrases(*lines: str) -> frozenset[tuple[str, ...]]:
    return frozenset(words(phrase) for line in lines for phrase in line.split(","))


def _words(line: str) -> frozenset[str]:
    return frozenset(line.split())


@dataclass(frozen=True, slots=True)
class Endings:
    """What a language's sentences end with when they are over, and when they are not."""

    unfinished: frozenset[tuple[str, ...]]
    """After these words something comes: conjunctions, articles, fillers. Only those that hardly ever end a sentence:
    "turn the light on" must not wait."""
    closing: frozenset[tuple[str, ...]]
    """After these words nothing comes."""
    whole: frozenset[tuple[str, ...]]
    """Complete when nothing else was said."""
    digits: frozenset[str] = field(default=frozenset())
    """Number words of one digit: two or more in a row are a number being dictated."""
    tens: frozenset[str] = field(default=frozenset())
    """Number words that a digit may follow: "twenty", "hundred", "point"."""


_ENDINGS: Mapping[str, Endings] = MappingProxyType(
    {
        "en": Endings(
            _phrases(
                "and, or, but, because, cause, cuz, if, while, than, as, the, a, an",
                "my, your, his, its, our, their, every",
                "to, of, at, for, with, from, by, into, between, i, i'm, i'll, i'd, we're, very, just, double, triple",
                "you know, i mean, kind of, sort of, such as, a lot of, going to, would like",
                "let me, let's, can you, could you",
                "um, uh, er, erm, hmm, it's, what's, the number is, my name is, for example",
            ),
            _phrases("please, thanks, thank you, thank you very much, goodbye, bye, bye bye, right now"),
            _phrases("yes, no, yes please, no thanks, stop, wait, repeat, again, continue, help, cancel, never mind"),
            _words("zero oh one two three four five six seven eight nine double triple"),
            _words("twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion point plus"),
        ),
        "de": Endings(
            _phrases(
                "und, oder, aber, weil, wenn, dass, ob, als, denn, den, dem, des",
                "eine, einen, einem, einer, mein, meine",
                "dein, deine, zum, zur, von, vom, in, im, am, für, über, sehr",
                "ähm, äh, hm, zum beispiel, ich möchte, ich hätte gern",
                "könntest du, kannst du, die nummer ist",
            ),
            _phrases("bitte, danke, danke schön, vielen dank, tschüss, auf wiedersehen"),
            _phrases("ja, nein, ja bitte, nein danke, stopp, halt, warte, weiter, nochmal, hilfe, abbrechen"),
            _words("null eins zwei zwo drei vier fünf sechs sieben acht neun"),
            _words("hundert tausend million millionen milliarde komma plus"),
        ),
        "fr": Endings(
            _phrases(
                "et, ou, mais, donc, car, parce que, parce, que, comme, le, la, les, l', un, une, des, du, de, d'",
                "mon, ma, mes, ton, ta, tes, ce, cette, ces, à, au, aux, dans, sur",
                "pour, avec, par, chez, j'ai, très, euh, ben",
                "par exemple, je voudrais, est-ce que, le numéro est",
            ),
            _phrases("s'il te plaît, s'il vous plaît, merci, merci beaucoup, au revoir"),
            _phrases("oui, non, non merci, stop, arrête, attends, attendez, encore, continue, aide, annule"),
            _words("zéro un deux trois quatre cinq six sept huit neuf"),
            _words("vingt trente quarante cinquante soixante cent cents mille million millions virgule plus"),
        ),
        "es": Endings(
            _phrases(
                "y, e, o, pero, porque, que, si, cuando, como, pues, el, la, los, las, un, una, unos, unas, de, del",
                "mi, mis, tu, tus, su, sus, a, al, en, con, por, sin",
                "sobre, muy, eh, o sea, por ejemplo, quiero, quisiera",
                "me gustaría, puedes, el número es",
            ),
            _phrases("por favor, gracias, muchas gracias, adiós, hasta luego"),
            _phrases("sí, no, no gracias, para, alto, espera, espere, otra vez, continúa, sigue, ayuda, cancelar"),
            _words("cero uno dos tres cuatro cinco seis siete ocho nueve"),
            _words("treinta cuarenta cincuenta sesenta setenta ochenta noventa ciento mil millón millones coma más"),
        ),
        "it": Endings(
            _phrases(
                "e, ed, o, ma, perché, che, se, quando, come, quindi, il, lo, la, i",
                "gli, le, un, una, di, del, della, dei",
                "a, al, alla, in, nel, nella, con, per, da, dal, molto",
                "ehm, cioè, per esempio, vorrei, puoi, il numero è",
            ),
            _phrases("per favore, per piacere, grazie, grazie mille, arrivederci, ciao"),
            _phrases("sì, no, no grazie, basta, fermati, aspetta, ancora, continua, aiuto, annulla"),
            _words("zero uno due tre quattro cinque sei sette otto nove"),
            _words("venti trenta quaranta cinquanta sessanta settanta ottanta novanta cento mille milione virgola più"),
        ),
        "pt": Endings(
            _phrases(
                "e, ou, mas, porque, que, se, quando, como, o, a, os, as, uma, uns, umas",
                "de, do, da, dos, das, em, no, na",
                "nos, nas, com, pra, por, pelo, pela, ao, muito, hum",
                "tipo, por exemplo, eu quero, eu quero um, gostaria",
                "você pode, o número é",
            ),
            _phrases("por favor, obrigado, obrigada, muito obrigado, muito obrigada, tchau, adeus, até logo"),
            _phrases("sim, não, não obrigado, não obrigada, pare, para, espera, espere, de novo, continua, ajuda"),
            _words("zero um dois três quatro cinco seis meia sete oito nove"),
            _words("vinte trinta quarenta cinquenta sessenta setenta oitenta noventa cento mil milhão vírgula mais"),
        ),
        "nl": Endings(
            _phrases(
                "en, of, maar, want, omdat, omdat ik, als, dus, de, een, mijn, jouw, onze, te, van, heel, eh, uh",
                "bijvoorbeeld, ik wil, ik zou, kun je, kan je, het nummer is",
            ),
            _phrases("alsjeblieft, alstublieft, dank je, dank je wel, dank u, dank u wel, bedankt, tot ziens, doei"),
            _phrases("ja, nee, nee dank je, stop, wacht, opnieuw, nog een keer, ga door, help, annuleer"),
            _words("nul een twee drie vier vijf zes zeven acht negen"),
            _words("honderd duizend miljoen miljard komma plus"),
        ),
        "zh": Endings(
            _phrases(
                "和, 跟, 与, 或, 或者, 还有, 還有, 但是, 可是, 因为, 因為, 所以",
                "如果, 然后, 然後, 而且, 就是, 的话, 比如",
                "我想, 我要, 请你, 請你, 把, 给, 給, 在, 从, 從, 对于, 关于, 關於, 嗯, 呃",
            ),
            _phrases("吗, 嗎, 呢, 吧, 谢谢, 謝謝, 再见, 再見"),
            _phrases("是, 是的, 不, 不是, 好, 好的, 停, 等等, 继续, 繼續, 再说一遍"),
            _words("零 一 二 三 四 五 六 七 八 九 幺 两"),
            _words("百 千 万 萬 亿 億 点 點"),
        ),
        "ja": Endings(
            _phrases(
                "と, や, が, を, に, は, も, へ, ので, のに, たり, それで",
                "えっと, えーと, ええと, あの, あのー, その, なんか",
                "でも, だから, それから, 例えば, たとえば",
            ),
            _phrases("ください, 下さい, ですか, ますか, です, ます, ました, でした, ありがとう, お願いします"),
            _phrases("はい, いいえ, うん, やめて, 止めて, 待って, もう一度, 続けて, 助けて"),
            _words("零 一 二 三 四 五 六 七 八 九"),
            _words("百 千 万 億 点"),
        ),
    }
)


def adjust(text: str, language: str, base_ms: float, *, floor: float = 0.5, ceiling: float = 2.5) -> tuple[float, str]:
    """How many ms of silence end the turn, and why: "complete" (base × floor), "unfinished" (× ceiling), "silence".

    `text` is what the user said so far in this turn; `language` BCP 47.
    """
    reading = read(text, language)
    factor = {COMPLETE: floor, UNFINISHED: ceiling, SILENCE: 1.0}[reading]
    return base_ms * factor, reading


def read(text: str, language: str) -> str:
    """How a text reads: COMPLETE, UNFINISHED or SILENCE when it does not show."""
    found = words(text)
    if not found:
        return SILENCE
    end = text.rstrip(" \t\n\"'”’»」』)")
    if end.endswith(("...", "…", ",", "，", "、", ":", ";", "-", "–", "—")):
        return UNFINISHED
    if end.endswith(("?", "!", "？", "！")):
        return COMPLETE
    endings = _ENDINGS.get(primary(language))
    if endings is not None:
        closing, opening = _longest(found, endings.closing), _longest(found, endings.unfinished)
        if found in endings.whole or closing > opening:
            return COMPLETE
        if opening or _half_a_number(found, endings):
            return UNFINISHED
    return COMPLETE if end.endswith((".", "。")) else SILENCE


def _longest(found: Sequence[str], phrases: frozenset[tuple[str, ...]]) -> int:
    """How many of the last words are the longest phrase that they end with; 0: none."""
    return next((n for n in range(min(6, len(found)), 0, -1) if tuple(found[-n:]) in phrases), 0)


def _half_a_number(found: Sequence[str], endings: Endings) -> bool:
    run = 0
    for word in reversed(found):
        if word not in endings.digits and not word.isdecimal():
            break
        run += 1
    if found[-1] in endings.tens:  # "twenty" (…five?); "six forty" is a time of day
        return len(found) < 2 or found[-2] not in endings.digits or found[-1] in _scales(endings)
    digits = sum(len(word) if word.isdecimal() else 1 for word in found[len(found) - run :])
    return run >= 2 and digits < _DIALLED


def _scales(endings: Endings) -> frozenset[str]:
    """Those of `tens` that go on after a digit too: "two hundred" (…and one?)."""
    return endings.tens & _SCALES


_SCALES = _words(
    "hundred thousand million billion point plus hundert tausend million millionen milliarde komma cent cents mille "
    "millions virgule ciento mil millón millones coma cento milione virgola milhão vírgula honderd duizend miljoen "
    "miljard 百 千 万 萬 亿 億 点 點"
)
