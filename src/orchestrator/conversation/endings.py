"""How sentences end in each language, and how those begin that are not over. Data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from orchestrator.conversation.words import words


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
    leads: frozenset[tuple[str, ...]] = field(default=frozenset())
    """A number, an address or a name to be spelled follows these: one digit after them is not yet it."""
    questions: frozenset[str] = field(default=frozenset())
    """First words of questions, for recognisers that give no question mark."""


ENDINGS: Mapping[str, Endings] = MappingProxyType(
    {
        "en": Endings(
            _phrases(
                "and, or, but, because, cause, cuz, if, while, than, as, the, a, an, so, and so, and then, but then",
                "although, unless, whereas, whether, until, towards, despite",
                "my, your, his, its, our, their, every",
                "to, of, at, for, with, from, by, into, between, i, i'm, i'll, i'd, we're, very, just, double, triple",
                "you know, i mean, kind of, sort of, such as, a lot of, going to, would like",
                "let me, let's, can you, could you",
                "um, uh, er, erm, hmm, it's, what's, the number is, my name is, for example",
            ),
            _phrases(
                "please, thanks, thank you, thank you very much, goodbye, bye, bye bye, right now",
                "think so, hope so, guess so, suppose so, believe so, say so, said so, told you so",
                "afraid so, do so, did so",
                "is that so, not so, or so, so so, even so, if so, ever so, just so, like so, and so on",
            ),
            _phrases(
                "yes, no, yes please, no thanks, stop, wait, repeat, again, continue, help, cancel, never mind",
                "yeah, yep, nope, sure, of course, go on, go ahead, that's all, that is all, that's it",
            ),
            _words("zero oh one two three four five six seven eight nine double triple"),
            _words("twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion point plus"),
            _phrases(
                "number is, numbers are, code is, pin is, zip is, zip code is, id is, extension is",
                "address is, i live at, i live on, email is, mail is, at number, dial, area code",
                "account number, it ends in, starts with",
            ),
            _words(
                "what what's where where's when who who's why how which is are do does did can could will would should"
            ),
        ),
        "de": Endings(
            _phrases(
                "und dann, obwohl",
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
            _phrases(
                "nummer ist, nummer lautet, telefonnummer ist, postleitzahl ist, pin ist, code ist",
                "adresse ist, ich wohne in der, ich wohne am, hausnummer, durchwahl, vorwahl, kundennummer",
            ),
            _words("was wo wann wer warum wieso wie welche welcher welches ist sind kannst kann können gibt hast hat"),
        ),
        "fr": Endings(
            _phrases(
                "et puis, puisque",
                "et, ou, mais, donc, car, parce que, parce, que, comme, le, la, les, l', un, une, des, du, de, d'",
                "mon, ma, mes, ton, ta, tes, ce, cette, ces, à, au, aux, dans, sur",
                "pour, avec, par, chez, j'ai, très, euh, ben",
                "par exemple, je voudrais, est-ce que, le numéro est",
            ),
            _phrases("s'il te plaît, s'il vous plaît, merci, merci beaucoup, au revoir"),
            _phrases("oui, non, non merci, stop, arrête, attends, attendez, encore, continue, aide, annule"),
            _words("zéro un deux trois quatre cinq six sept huit neuf"),
            _words("vingt trente quarante cinquante soixante cent cents mille million millions virgule plus"),
            _phrases(
                "numéro est, numéro c'est, code est, code postal est, adresse est, adresse c'est",
                "j'habite au, indicatif",
            ),
            _words("quel quelle quels quelles où quand qui pourquoi comment combien est-ce qu'est-ce peux pouvez"),
        ),
        "es": Endings(
            _phrases(
                "y luego, y entonces, aunque",
                "y, e, o, pero, porque, que, si, cuando, como, pues, el, la, los, las, un, una, unos, unas, de, del",
                "mi, mis, tu, tus, su, sus, a, al, en, con, por, sin",
                "sobre, muy, eh, o sea, por ejemplo, quiero, quisiera",
                "me gustaría, puedes, el número es",
            ),
            _phrases("por favor, gracias, muchas gracias, adiós, hasta luego"),
            _phrases("sí, no, no gracias, para, alto, espera, espere, otra vez, continúa, sigue, ayuda, cancelar"),
            _words("cero uno dos tres cuatro cinco seis siete ocho nueve"),
            _words("treinta cuarenta cincuenta sesenta setenta ochenta noventa ciento mil millón millones coma más"),
            _phrases(
                "número es, teléfono es, código es, código postal es, dirección es, vivo en la calle",
                "extensión, prefijo",
            ),
            _words("qué dónde cuándo quién por cómo cuál cuánto cuánta cuántos cuántas puedes puede hay"),
        ),
        "it": Endings(
            _phrases(
                "e poi, e quindi, anche se",
                "e, ed, o, ma, perché, che, se, quando, come, quindi, il, lo, la, i",
                "gli, le, un, una, di, del, della, dei",
                "a, al, alla, in, nel, nella, con, per, da, dal, molto",
                "ehm, cioè, per esempio, vorrei, puoi, il numero è",
            ),
            _phrases("per favore, per piacere, grazie, grazie mille, arrivederci, ciao"),
            _phrases("sì, no, no grazie, basta, fermati, aspetta, ancora, continua, aiuto, annulla"),
            _words("zero uno due tre quattro cinque sei sette otto nove"),
            _words("venti trenta quaranta cinquanta sessanta settanta ottanta novanta cento mille milione virgola più"),
            _phrases(
                "numero è, codice è, cap è, indirizzo è, abito in via, interno, prefisso",
            ),
            _words("che cosa dove dov'è quando chi perché come quale quanto quanti puoi può"),
        ),
        "pt": Endings(
            _phrases(
                "e depois, e então",
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
            _phrases(
                "número é, telefone é, código é, código postal é, cep é, endereço é, morada é, moro na rua",
                "ramal, indicativo",
            ),
            _words("que onde quando quem por como qual quais quanto quantos pode podes"),
        ),
        "nl": Endings(
            _phrases(
                "en dan, en toen, hoewel",
                "en, of, maar, want, omdat, omdat ik, als, dus, de, een, mijn, jouw, onze, te, van, heel, eh, uh",
                "bijvoorbeeld, ik wil, ik zou, kun je, kan je, het nummer is",
            ),
            _phrases("alsjeblieft, alstublieft, dank je, dank je wel, dank u, dank u wel, bedankt, tot ziens, doei"),
            _phrases("ja, nee, nee dank je, stop, wacht, opnieuw, nog een keer, ga door, help, annuleer"),
            _words("nul een twee drie vier vijf zes zeven acht negen"),
            _words("honderd duizend miljoen miljard komma plus"),
            _phrases(
                "nummer is, telefoonnummer is, postcode is, code is, pincode is, adres is, ik woon op",
                "huisnummer, toestel",
            ),
            _words("wat waar wanneer wie waarom hoe welke welk is zijn kun kan kunt heb heeft"),
        ),
        "zh": Endings(
            _phrases(
                "和, 跟, 与, 或, 或者, 还有, 還有, 但是, 可是, 因为, 因為, 所以",
                "如果, 然后, 然後, 而且, 就是, 的话, 比如",
                "我想, 我要, 请你, 請你, 把, 给, 給, 在, 从, 從, 对于, 关于, 關於, 嗯, 呃",
            ),
            _phrases("吗, 嗎, 呢, 吧, 谢谢, 謝謝, 再见, 再見"),
            _phrases("是, 是的, 不, 不是, 好, 好的, 停, 等等, 继续, 繼續, 再说一遍"),
            _words("零 〇 一 二 三 四 五 六 七 八 九 幺 两"),
            _words("百 千 万 萬 亿 億 点 點"),
            _phrases(
                "号码是, 號碼是, 电话是, 電話是, 密码是, 密碼是, 地址是, 邮编是, 我住在",
            ),
        ),
        "ja": Endings(
            _phrases(
                "と, や, が, を, に, は, も, へ, ので, のに, たり, それで",
                "えっと, えーと, ええと, あの, あのー, その, なんか",
                "でも, だから, それから, 例えば, たとえば",
            ),
            _phrases("ください, 下さい, ですか, ますか, です, ます, ました, でした, ありがとう, お願いします"),
            _phrases("はい, いいえ, うん, やめて, 止めて, 待って, もう一度, 続けて, 助けて"),
            _words("零 〇 一 二 三 四 五 六 七 八 九"),
            _words("百 千 万 億 点"),
            _phrases(
                "番号は, 電話番号は, 住所は, 郵便番号は, 暗証番号は",
            ),
        ),
    }
)

SCALES = _words(
    "hundred thousand million billion point plus hundert tausend million millionen milliarde komma cent cents mille "
    "millions virgule ciento mil millón millones coma cento milione virgola milhão vírgula honderd duizend miljoen "
    "miljard 百 千 万 萬 亿 億 点 點"
)
"""Those of all `tens` that go on after a digit too: "two hundred" (…and one?)."""
