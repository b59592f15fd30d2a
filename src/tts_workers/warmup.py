"""What a voice says to itself before anyone hears it, so that its loudness can be measured. Data.

Five to ten seconds a language, with the sounds and pauses of ordinary speech; other languages count, which nearly every
voice can do in its own words.
"""

from __future__ import annotations

from base.language import primary

_COUNTING = "1 2 3 4 5, 6 7 8 9 10. 11 12 13 14 15, 16 17 18 19 20."

_TEXTS = {
    "chr": "ᎣᏏᏲ, ᏙᎯᏧ? ᎣᏍᏓ ᏑᎾᎴᎢ. ᏩᏙ, ᏙᎾᏓᎪᎲᎢ. ᎣᏏᏲ, ᏙᎯᏧ? ᎣᏍᏓ ᏑᎾᎴᎢ. ᏩᏙ, ᏙᎾᏓᎪᎲᎢ. ᎣᏏᏲ, ᎣᏍᏓ ᏑᎾᎴᎢ. ᏩᏙ, ᏙᎾᏓᎪᎲᎢ.",
    "cv": "Ыр кун пултӑр! Эсир мӗнле ҫывӑрнӑ? Паян ҫул ҫине тухмалла, ҫанталӑк аван.",
    "de": "Guten Morgen, wie haben Sie geschlafen? Der Zug nach Hamburg fährt heute zwanzig Minuten später ab. "
    "Wir könnten noch einen Kaffee trinken, oder ein Stück am Fluss entlang gehen.",
    "en": "Good morning, how did you sleep last night? The train to the coast leaves twenty minutes later today. "
    "We could have another cup of coffee, or walk along the river for a while.",
    "es": "Buenos días, ¿cómo ha dormido usted? El tren de la costa sale hoy veinte minutos más tarde. "
    "Podríamos tomar otro café, o pasear un rato junto al río.",
    "fr": "Bonjour, avez-vous bien dormi cette nuit? Le train pour la côte part aujourd'hui vingt minutes plus tard. "
    "Nous pourrions prendre encore un café, ou marcher un peu le long de la rivière.",
    "it": "Buongiorno, come ha dormito questa notte? Il treno per la costa parte oggi venti minuti più tardi. "
    "Potremmo prendere un altro caffè, o camminare un po' lungo il fiume.",
    "ja": "おはようございます。よくねむれましたか。きょうのれっしゃは、にじゅっぷんおくれています。"
    "もういっぱいコーヒーをのむか、かわのほとりをあるきましょう。",
    "nl": "Goedemorgen, hoe heeft u vannacht geslapen? De trein naar de kust vertrekt vandaag twintig minuten later. "
    "We kunnen nog een kopje koffie drinken, of een stukje langs de rivier lopen.",
    "pl": "Dzień dobry, jak się pani spało tej nocy? Pociąg nad morze odjeżdża dziś dwadzieścia minut później. "
    "Możemy jeszcze wypić kawę albo pospacerować trochę nad rzeką.",
    "pt": "Bom dia, como é que dormiu esta noite? O comboio para a costa parte hoje vinte minutos mais tarde. "
    "Podíamos tomar mais um café, ou passear um pouco junto ao rio.",
    "ru": "Доброе утро, как вам спалось этой ночью? Поезд на побережье сегодня отправится на двадцать минут позже. "
    "Мы могли бы выпить ещё кофе или немного погулять вдоль реки.",
    "sjn": "Mae govannen, mellon nîn. Le hannon, a na lû e-govaned vîn. Pedo mellon a minno.",
    "zh": "早上好，昨天晚上睡得好吗？今天去海边的火车晚开二十分钟。我们可以再喝一杯咖啡，或者沿着河边走一走。",
}


def warm_up_text(language: str) -> str:
    """For a BCP 47 tag; the empty one and unknown ones are counted in."""
    return _TEXTS.get(primary(language), _COUNTING) if language else _COUNTING
