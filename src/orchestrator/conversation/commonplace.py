"""Words that prove nothing when two people say them, and words that are wishes. Data per language.

`COMMON`: articles, pronouns, prepositions and the like: that a reply has one of them too is chance. `WISHES`: what
somebody says who wants the floor; such a word is only taken for the loudspeaker's when the reply has it just then. In
Chinese and Japanese both are found within the text, as there are no spaces.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

COMMON: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        language: frozenset(" ".join(lines).split())
        for language, lines in {
            "en": (
                "a an the this that these those it its it's i i'm",
                "i'll me my you you're your he she we we're they them",
                "his her our their is are was were be been am do does did have has had can could will would shall",
                "should may might must of to in on at by for from with into over about as and or but if so than then",
                "there here not too very just also more some any all one two out up down off let let's go now well",
                "oh okay ok yes yeah right good like know think see say tell that's there's",
            ),
            "de": (
                "der die das den dem des ein eine einen einem einer es",
                "ich mich mir du dich dir er sie wir uns ihr ihnen",
                "mein dein sein unser ist sind war waren bin bist",
                "hat habe haben kann können will wird werden soll muss",
                "von zu zum zur in im an am auf bei für mit aus nach um über als und oder aber wenn so dann da hier",
                "nicht auch sehr nur noch mehr schon mal doch ja gut okay dass man",
            ),
            "fr": (
                "le la les l un une des du de d ce c'est c cette",
                "ces il elle on je j j'ai tu nous vous ils elles me te se",
                "mon ma mes ton ta tes son sa ses notre votre est",
                "sont était être ai as a avons avez ont fait peut va",
                "à au aux en dans sur par pour avec sans chez et",
                "ou mais si que qui donc alors là ici pas plus très aussi",
                "bien oui tout y ne qu'il",
            ),
            "es": (
                "el la los las un una unos unas lo le les yo tú",
                "él ella nosotros ellos me te se mi tu su es son era ser",
                "está están hay ha he tiene puede va de del a al",
                "en con por para sin sobre y o pero si que como cuando",
                "más muy también ya bien sí eso esto ese este aquí allí así",
            ),
            "it": (
                "il lo la i gli le l un uno una io tu lui lei noi",
                "voi loro mi ti si ci è sono era essere ha ho hai può va",
                "di del della dei a al alla in nel nella con su per",
                "da dal e o ma se che come quando più molto anche già",
                "bene sì questo quello qui lì così non c'è",
            ),
            "pt": (
                "o a os as um uma uns umas eu tu você ele ela nós",
                "eles me te se meu seu é são era ser está tem há pode vai",
                "de do da dos das em no na nos nas com por",
                "para sem e ou mas que como quando mais muito também já bem",
                "sim isso isto esse este aqui ali assim",
            ),
            "nl": (
                "de het een ik je jij u hij zij ze we wij jullie",
                "mij me jou mijn jouw zijn haar ons is was waren ben bent",
                "heb hebt heeft kan kunnen wil wordt moet van te in op",
                "aan bij voor met uit naar om over als en of maar",
                "dat die dit er hier daar niet ook heel nog meer al wel dan zo ja goed",
            ),
            "zh": (
                "的 了 是 在 我 你 他 她 它 们 這 这 那 有 和 就 都",
                "也 很 吗 呢 吧 啊 一 个 個 要 会 會 能 可 以 我们 你们",
            ),
            "ja": ("の は が を に で と も か ね よ です ます した して する いる ある この その あの これ それ",),
        }.items()
    }
)

WISHES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        language: frozenset(line.split())
        for language, line in {
            "en": (
                "stop wait no nope hold hang quiet silence shut enough pause cancel again repeat help hey listen sorry "
                "excuse what why who when where how which actually but never don't quit skip next back"
            ),
            "de": (
                "stopp stop halt warte warten moment nein nee ruhe still genug pause abbrechen nochmal hilfe hey hör "
                "entschuldigung sorry was warum wieso wer wann wo wie welche aber eigentlich nie weiter zurück"
            ),
            "fr": (
                "stop arrête arrêtez attends attendez non silence chut assez pause annule encore répète aide hé écoute "
                "pardon désolé quoi pourquoi comment quand où quel quelle mais jamais suivant retour"
            ),
            "es": (
                "para alto espera espere no silencio calla basta pausa cancela repite ayuda oye escucha perdón qué por "
                "quién cuándo dónde cómo cuál pero nunca siguiente atrás"
            ),
            "it": (
                "stop ferma fermati aspetta no silenzio zitto basta pausa annulla ripeti aiuto ehi ascolta scusa cosa "
                "perché chi quando dove come quale ma mai avanti indietro"
            ),
            "pt": (
                "para pare espera espere não silêncio chega basta pausa cancela repete ajuda ei escuta desculpa quê "
                "porquê quem quando onde qual mas nunca próximo volta"
            ),
            "nl": (
                "stop wacht nee stil genoeg pauze annuleer opnieuw help hé hey luister sorry pardon wat waarom wie "
                "wanneer waar hoe welke maar nooit verder terug"
            ),
            "zh": "停 等 不 别 別 够 夠 闭嘴 閉嘴 安静 安靜 什么 什麼 为什么 怎么 谁 哪 再说 重复 帮 喂 抱歉 可是 但是",
            "ja": "待 まって 止 やめ ストップ 違う ちがう いや いいえ だめ "
            "静か うるさい 何 なに なぜ どうして 誰 どこ もう一度 ちょっと すみません でも",
        }.items()
    }
)
