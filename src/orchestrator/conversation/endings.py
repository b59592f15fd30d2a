"""How sentences end in each language, and how those begin that are not over. Data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from types import MappingProxyType

from orchestrator.conversation.words import words


def _phrases(*lines: str) -> frozenset[tuple[str, ...]]:
    return frozenset(words(phrase) for line in lines for phrase in line.split(","))


def _words(line: str) -> frozenset[str]:
    return frozenset(line.split())


def _requests(*parts: str) -> frozenset[tuple[str, ...]]:
    """Each of the first part with each of the second and so on; "-" stands for nothing."""
    each = product(*(part.split(",") for part in parts))
    return frozenset(words(" ".join(word for word in phrase if word.strip() != "-")) for phrase in each)


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
    requests: frozenset[tuple[str, ...]] = field(default=frozenset())
    """A request only begun: what closes other sentences closes none after these ("could you please", "kannst du mir
    bitte")."""
    mentions: frozenset[tuple[str, ...]] = field(default=frozenset())
    """After these what closes is told of, not said, and shows nothing ("I wanted to thank you")."""
    either: frozenset[str] = field(default=frozenset())
    """Prepositions, particles, auxiliaries, pronouns: as a last word they end a sentence ("turn the light on") or do
    not ("book a flight on"), so that neither its length nor a full stop tells."""


ENDINGS: Mapping[str, Endings] = MappingProxyType(
    {
        "en": Endings(
            _phrases(
                "and, or, but, because, cause, cuz, if, while, than, as, the, a, an, so, and so, and then, but then",
                "although, unless, whereas, whether, until, towards, despite",
                "my, your, his, its, our, their, every",
                "to, of, at, for, with, from, by, into, between, i, i'm, i'll, i'd, we're, very, just, double, triple",
                "you know, i mean, kind of, sort of, such as, a lot of, going to, would like",
                "let me, let's, can you, could you, to please, and please, but please, so please, then please",
                "um, umm, uh, uhm, er, erm, hmm, it's, what's, the number is, my name is, for example",
                # What recognisers write for a long-drawn "the".
                "thee",
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
            _requests("can, could, would, will", "you", "-, just, also, maybe, tell me, give me, get me, pass me")
            | _requests("can, could, may", "i, we, somebody, someone", "-, just, also, maybe, have, get"),
            _phrases("to, say, said, says, saying, a, the, my, wanna"),
            _words(
                "about above across after against along around at before behind below beside beyond by down during "
                "except inside like near off on onto out outside over past per round since through throughout till "
                "toward under underneath up upon via within without "
                "again already also always even ever maybe mostly not only perhaps probably really still that "
                "then there's this these those too which who whom whose when where how what why "
                "am be been being have has had do does did don't doesn't didn't isn't wasn't aren't "
                "can can't cannot could couldn't may might must shall should will won't would wouldn't want wants need "
                "needs some any no more most less many much few he she they we he's she's they're you're you'll we'll "
                "gonna wanna get got make think know say said tell"
            ),
        ),
        "de": Endings(
            _phrases(
                "und dann, obwohl",
                "und, oder, aber, weil, wenn, dass, ob, als, denn, den, dem, des",
                "eine, einen, einem, einer, mein, meine",
                "dein, deine, zum, zur, von, vom, in, im, am, für, über, sehr",
                "ähm, äh, hm, zum beispiel, ich möchte, ich hätte gern",
                "könntest du, kannst du, die nummer ist, und bitte, aber bitte, dann bitte, also bitte",
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
            _requests(
                "kannst du, könntest du, würdest du, magst du, willst du, können sie, könnten sie, würden sie, könnt "
                "ihr, "
                "könntet ihr, können wir, könnten wir, kann ich, könnte ich, darf ich, dürfte ich, kann man",
                "-, mir, mich, uns, ihm, ihr, ihnen, das, es, ihn, sie, mir das, mir mal, uns mal, mal, noch, auch, "
                "jetzt",
            )
            | _phrases("ich möchte, wir möchten, ich hätte, ich hätte gern, ich hätte gerne, ich würde, ich brauche")
            | _phrases(
                "sag mir, sage mir, gib mir, zeig mir, zeige mir, erzähl mir, erzähle mir, mach, schalte, schalt"
            )
            | _phrases("stell, stelle, spiel, spiele, ruf, rufe, geben sie mir, sagen sie mir, zeigen sie mir"),
            _phrases("sag, sage, sagt, sagte, gesagt, wollte, wollte nur, möchte"),
            _words(
                "ab an auf aus außer bei bis durch gegen gegenüber hinter nach neben ohne seit statt trotz um unter "
                "vor "
                "während wegen zu zwischen gegen "
                "auch da dann doch eben eher einfach etwa gerade gern gerne gleich halt immer ja jetzt kaum mal nicht "
                "noch nochmal nur schon sehr so sogar vielleicht wieder wohl ziemlich zuerst zwar "
                "der die das ein kein keine keinen diese dieser dieses dieser ich du er sie es wir ihr man mich mir "
                "dich dir sich uns euch bin bist ist sind war waren hab habe hast hat haben hatte hatten kann kannst "
                "können könnte könnten muss müssen musste soll sollen sollte sollten will wollen wollte wollten werde "
                "wird werden wurde würde würden darf dürfen mag möchte möchten was wer wie wo wann warum welche"
            ),
        ),
        "fr": Endings(
            _phrases(
                "et puis, puisque",
                "et, ou, mais, donc, car, parce que, parce, que, comme, le, la, les, l', un, une, des, du, de, d'",
                "mon, ma, mes, ton, ta, tes, ce, cette, ces, à, au, aux, dans, sur",
                "pour, avec, par, chez, j'ai, très, euh, ben",
                "par exemple, je voudrais, est-ce que, le numéro est, et s'il te plaît, et s'il vous plaît",
            ),
            _phrases(
                "s'il te plaît, s'il vous plaît, merci, merci beaucoup, au revoir",
                "si tu peux s'il te plaît, si vous pouvez s'il vous plaît",
            ),
            _phrases("oui, non, non merci, stop, arrête, attends, attendez, encore, continue, aide, annule"),
            _words("zéro un deux trois quatre cinq six sept huit neuf"),
            _words("vingt trente quarante cinquante soixante cent cents mille million millions virgule plus"),
            _phrases(
                "numéro est, numéro c'est, code est, code postal est, adresse est, adresse c'est",
                "j'habite au, indicatif",
            ),
            _words("quel quelle quels quelles où quand qui pourquoi comment combien est-ce qu'est-ce peux pouvez"),
            _requests(
                "peux tu, pourrais tu, pouvez vous, pourriez vous, tu peux, tu pourrais, vous pouvez, vous pourriez, "
                "je peux, je pourrais, puis je, on peut, on pourrait, veux tu, voulez vous",
                "-, me, nous, lui, leur, le, la, les, me le, me dire, me donner, m'aider à, aussi, encore",
            )
            | _phrases("je voudrais, j'aimerais, je veux, je souhaite, nous voudrions, dis moi, dites moi"),
            _phrases("dire, dis, dit, disait, disant"),
            _words(
                "après avant contre depuis derrière devant durant entre envers hors jusque jusqu'à malgré parmi "
                "pendant "
                "près sans sauf selon sous vers voici voilà "
                "alors aussi bien déjà encore enfin ensuite juste même ne pas peut-être plus plutôt presque puis "
                "quand quelque quelques seulement si surtout tout tous toute toutes toujours trop vraiment y en "
                "je tu il elle on nous vous ils elles se me te lui leur leurs notre votre son sa ses qui dont où c'est "
                "suis es est sommes êtes sont était ai as a avons avez ont avait peux peut pouvez peuvent pourrait "
                "dois "
                "doit faut veux veut voulez vais va allons allez vont faire quel quelle"
            ),
        ),
        "es": Endings(
            _phrases(
                "y luego, y entonces, aunque",
                "y, e, o, pero, porque, que, si, cuando, como, pues, el, la, los, las, un, una, unos, unas, de, del",
                "mi, mis, tu, tus, su, sus, a, al, en, con, por, sin",
                "sobre, muy, eh, o sea, por ejemplo, quiero, quisiera",
                "me gustaría, puedes, el número es, y por favor, pero por favor",
            ),
            _phrases("por favor, gracias, muchas gracias, adiós, hasta luego, si puedes por favor, si puede por favor"),
            _phrases("sí, no, no gracias, para, alto, espera, espere, otra vez, continúa, sigue, ayuda, cancelar"),
            _words("cero uno dos tres cuatro cinco seis siete ocho nueve"),
            _words("treinta cuarenta cincuenta sesenta setenta ochenta noventa ciento mil millón millones coma más"),
            _phrases(
                "número es, teléfono es, código es, código postal es, dirección es, vivo en la calle",
                "extensión, prefijo",
            ),
            _words("qué dónde cuándo quién por cómo cuál cuánto cuánta cuántos cuántas puedes puede hay"),
            _requests(
                "puedes, podrías, puede, podría, pueden, podrían, puedo, podemos, me puedes, me podrías, me puede, "
                "me podría, nos puedes, nos puede, quieres, quiere",
                "-, tú, usted, también, decirme, darme",
            )
            | _phrases("quiero, quisiera, quería, querría, me gustaría, necesito, dime, dame, ponme, dígame, deme"),
            _phrases(
                "decir, decirte, decirle, di, dice, dijo, diciendo, dar, darte, darle, dar las, darte las, doy las"
            ),
            _words(
                "ante bajo contra desde durante entre hacia hasta mediante para según sobre tras cerca delante dentro "
                "detrás encima debajo fuera lejos antes después "
                "así aún aunque bien casi entonces luego más menos mientras no nunca quizá quizás siempre sólo solo "
                "tal "
                "también tampoco tan todavía tanto todo toda todos todas ya algún alguna algunos algo otro otra otros "
                "este esta esto estos estas ese esa eso esos esas yo él ella nosotros ellos ellas me te se nos os le "
                "les "
                "lo nuestro nuestra quien donde cuando cual soy eres es somos son era fue estoy está están estaba he "
                "has "
                "ha hemos han había hay puedo puede pueden podemos podría podríamos debo debe tengo tiene quiere voy "
                "va "
                "vamos van ir"
            ),
        ),
        "it": Endings(
            _phrases(
                "e poi, e quindi, anche se",
                "e, ed, o, ma, perché, che, se, quando, come, quindi, il, lo, la, i",
                "gli, le, un, una, di, del, della, dei",
                "a, al, alla, in, nel, nella, con, per, da, dal, molto",
                "ehm, cioè, per esempio, vorrei, puoi, il numero è, e per favore, ma per favore",
            ),
            _phrases(
                "per favore, per piacere, grazie, grazie mille, arrivederci, ciao, se puoi per favore, se può per "
                "favore"
            ),
            _phrases("sì, no, no grazie, basta, fermati, aspetta, ancora, continua, aiuto, annulla"),
            _words("zero uno due tre quattro cinque sei sette otto nove"),
            _words("venti trenta quaranta cinquanta sessanta settanta ottanta novanta cento mille milione virgola più"),
            _phrases(
                "numero è, codice è, cap è, indirizzo è, abito in via, interno, prefisso",
            ),
            _words("che cosa dove dov'è quando chi perché come quale quanto quanti puoi può"),
            _requests(
                "puoi, potresti, può, potrebbe, posso, potrei, possiamo, potete, potreste, mi puoi, mi potresti, mi "
                "può, "
                "mi potrebbe, ci puoi, ci può, vuoi",
                "-, anche, dirmi, darmi, tu, lei",
            )
            | _phrases("vorrei, vorremmo, voglio, mi piacerebbe, dimmi, dammi, mi dica, mi dia, mi dai, mi dici"),
            _phrases("dire, dirti, dirle, dico, dice, detto, dicendo"),
            _words(
                "attraverso avanti contro davanti dentro dietro dopo durante entro fino fra fuori lungo malgrado oltre "
                "presso prima salvo secondo senza sopra sotto su sul sulla sui sulle tra tranne verso vicino "
                "agli ai alle allo dagli dai dalla dalle degli delle dello negli nei nelle nello uno "
                "allora anche ancora appena bene così dunque già infatti mai meno mentre nemmeno non ogni più poi "
                "proprio pure qualche quasi sempre solo tanto troppo tutto tutta tutti tutte ci ne vi mi ti si lo io "
                "tu "
                "lui lei noi voi loro mio mia tuo tua suo sua nostro nostra questo questa questi quel quello quella "
                "chi "
                "cui dove sono sei è siamo siete era ero ho hai ha abbiamo avete hanno aveva c'è posso può possiamo "
                "potrebbe potremmo devo deve voglio vuole vado va andare fare"
            ),
        ),
        "pt": Endings(
            _phrases(
                "e depois, e então",
                "e, ou, mas, porque, que, se, quando, como, o, a, os, as, uma, uns, umas",
                "de, do, da, dos, das, em, no, na",
                "nos, nas, com, pra, por, pelo, pela, ao, muito, hum",
                "tipo, por exemplo, eu quero, eu quero um, gostaria",
                "você pode, o número é, e por favor, mas por favor",
            ),
            _phrases(
                "por favor, obrigado, obrigada, muito obrigado, muito obrigada, tchau, adeus, até logo",
                "se pode por favor, se podes por favor",
            ),
            _phrases("sim, não, não obrigado, não obrigada, pare, para, espera, espere, de novo, continua, ajuda"),
            _words("zero um dois três quatro cinco seis meia sete oito nove"),
            _words("vinte trinta quarenta cinquenta sessenta setenta oitenta noventa cento mil milhão vírgula mais"),
            _phrases(
                "número é, telefone é, código é, código postal é, cep é, endereço é, morada é, moro na rua",
                "ramal, indicativo",
            ),
            _words("que onde quando quem por como qual quais quanto quantos pode podes"),
            _requests(
                "pode, podes, poderia, poderias, podia, podias, podem, posso, podemos, você pode, você poderia, me "
                "pode, "
                "quer, queres",
                "-, me, nos, também, me dizer, dizer me, dar me, me dar",
            )
            | _phrases(
                "quero, queria, eu quero, eu queria, gostaria, gostava, preciso, diga me, diz me, me diga, me dá"
            ),
            _phrases("dizer, dizer te, dizer lhe, diz, diga, disse, dizendo, falar"),
            _words(
                "ante após até conforme contra desde durante entre mediante para perante perto sem sob sobre trás "
                "dentro "
                "fora longe antes depois através à às aos num numa dum duma um pelos pelas "
                "agora ainda além apenas assim bem então já lá mais mal menos mesmo nem nunca não quase sempre só "
                "também tanto tão todo toda todos todas talvez algum alguma alguns algo outro outra outros este esta "
                "isto estes esse essa isso esses aquele aquela aquilo eu tu ele ela você nós vocês eles elas me te se "
                "lhe lhes meu minha teu tua seu sua nosso nossa quem onde qual sou és é somos são era foi estou está "
                "estão estava tenho tem temos têm tinha há posso pode podemos podem poderia podíamos devo deve vou vai "
                "vamos vão ir fazer"
            ),
        ),
        "nl": Endings(
            _phrases(
                "en dan, en toen, hoewel",
                "en, of, maar, want, omdat, omdat ik, als, dus, de, een, mijn, jouw, onze, te, van, heel, eh, uh",
                "bijvoorbeeld, ik wil, ik zou, kun je, kan je, het nummer is, en alsjeblieft, maar alsjeblieft",
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
            _requests(
                "kun je, kan je, kunt u, kan u, zou je, zou u, wil je, wilt u, kunnen jullie, kunnen we, kan ik, mag "
                "ik, "
                "zou ik",
                "-, mij, me, ons, hem, haar, hun, het, dat, even, mij even, me even, ook, nog, mij het",
            )
            | _phrases("ik wil, ik wil graag, ik wou, ik wou graag, ik zou graag, ik had graag, geef me, geef mij, doe")
            | _phrases("zeg me, vertel me, vertel mij, laat me, zet, speel, bel"),
            _phrases("te, zeg, zegt, zei, zeggen, wilde, wou"),
            _words(
                "aan achter af behalve beneden bij binnen boven buiten door in langs met na naar naast om onder op "
                "over "
                "per rond sinds tegen tijdens tot tussen uit vanaf via volgens voor voorbij zonder "
                "al alleen allemaal altijd bijna dan daar eens er even gewoon graag hier hoe iets ja juist maar "
                "meer misschien niet nog nooit nu ook opnieuw pas sommige steeds toch toen vaak veel weer wel zeer "
                "zelfs "
                "zo zoals dat deze die dit geen het elk elke ik jij je hij zij ze wij we jullie u me mij jou hem haar "
                "ons hun zich wat wie waar wanneer welke ben bent is zijn was waren heb hebt heeft hebben had hadden "
                "kan "
                "kun kunt kunnen kon zou zouden moet moeten mag mogen wil wilt willen wilde wordt worden werd ga gaat "
                "gaan laat"
            ),
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
