"""What the chunker must know of a language: data only. An unknown language has none of it.

Abbreviations are lower case and without their last dot. What a rule finds by itself is not listed: initials ("J. R."),
dotted letters before a small letter ("a.m. on"), and short words before a digit or a small letter ("No. 5", "Abb. 3").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from base.language import primary


@dataclass(frozen=True, slots=True)
class Abbreviations:
    never: frozenset[str] = frozenset()
    """Never end a sentence: titles, "e.g."."""
    maybe: frozenset[str] = frozenset()
    """End a sentence when a capital letter follows: "etc."."""
    words: frozenset[str] = frozenset()
    """Words of one capital letter, which are no initials: "I"."""
    joints: frozenset[str] = frozenset()
    """Words before which a long sentence may be cut: conjunctions, relative words, prepositions."""
    ordinals: bool = False
    """A number and a dot is an ordinal: "am 3. Mai"."""


def _language(never: str, maybe: str, joints: str, words: str = "", ordinals: bool = False) -> Abbreviations:
    return Abbreviations(
        never=frozenset(never.split()),
        maybe=frozenset(maybe.split()),
        words=frozenset(words.split()),
        joints=frozenset(joints.split()),
        ordinals=ordinals,
    )


NONE = Abbreviations()

_LANGUAGES: Mapping[str, Abbreviations] = MappingProxyType(
    {
        "en": _language(
            never="""
                dr mr mrs ms messrs mx prof st ste mt ft rev fr hon gen adm col maj capt cmdr lt sgt gov sen rep
                pres supt atty vs e.g i.e viz cf approx u.s u.k
            """,
            maybe="""
                etc al jr sr inc ltd co corp bros dept est ave blvd rd univ a.m p.m b.c a.d ph.d m.d b.a m.a d.c
            """,
            joints="""
                and but or nor so yet because since although though while when whenever where wherever whereas if
                unless until that which who whose whom than as after before about above across against along among
                around at between by for from in into like near of on onto over through to toward towards under upon
                with within without
            """,
            words="I",
        ),
        "de": _language(
            never="""
                dr prof hr fr st nr abs abt art bd bzw ca dipl ing evtl exkl fam frl ggf gem geb inkl insb jh kath
                max min mio mrd mwst ong phil rel resp sog str tel u.a u.ä usf vgl z.b z.t z.zt d.h i.d.r i.a o.ä
                s.o s.u v.a v.chr n.chr dr.med zzgl zzt allg bspw
            """,
            maybe="usw etc uvm jr sen",
            joints="""
                und aber oder denn sondern weil dass daß ob wenn als wie während obwohl damit bevor nachdem der die
                das den dem welche welcher welches wo mit ohne für gegen bei nach von zu aus auf in an über unter
                vor durch um
            """,
            ordinals=True,
        ),
        "fr": _language(
            never="""
                m mm mme mmes mlle mlles dr pr me mgr st ste p.ex c.-à-d cf env av bd boul éd fig chap art tél vol
            """,
            maybe="etc jr ltée inc",
            joints="""
                et mais ou donc or ni car que qui dont où quand lorsque puisque parce si comme avec sans pour dans
                sur sous par de du des à au aux en vers chez entre depuis pendant
            """,
        ),
        "es": _language(
            never="""
                sr sra srta sres dr dra prof profa d dña ud uds vd vds p.ej pág págs núm tel av avda c cap art aprox
                fig gral lic ing
            """,
            maybe="etc s.a ee.uu jr",
            joints="""
                y e pero o u ni sino que porque aunque cuando donde si como mientras con sin para por en de del a al
                desde hasta entre sobre según
            """,
        ),
        "it": _language(
            never="""
                sig sigg sig.ra sig.na dott dott.ssa prof prof.ssa ing avv arch geom on sen p.es es pag pagg art cap
                fig n tel v gent spett ca
            """,
            maybe="ecc s.p.a s.r.l",
            joints="""
                e ed ma o od né che perché anche quando dove se come mentre con senza per in di del della dei delle
                a al alla da dal dalla su tra fra
            """,
        ),
        "pt": _language(
            never="""
                sr sra srta dr dra prof profa eng exmo exma d p.ex pág págs núm tel av cap art aprox fig lda
            """,
            maybe="etc s.a ltda jr",
            joints="""
                e mas ou nem que porque embora quando onde se como enquanto com sem para por em de do da dos das a
                ao à desde até entre sobre
            """,
        ),
        "nl": _language(
            never="""
                dhr mevr mw dr drs ir ing mr prof st bijv bv b.v d.w.z o.a m.b.t i.p.v t.o.v t/m ca nr blz tel vgl
                art afb
            """,
            maybe="enz etc jr",
            joints="""
                en maar of want dus omdat dat als toen terwijl hoewel wanneer waar die wie met zonder voor van op in
                aan bij naar uit over onder door tot
            """,
        ),
        "sv": _language(
            never="dr prof hr fr t.ex bl.a d.v.s dvs s.k f.d ca nr kl tel sid jfr",
            maybe="osv etc m.m",
            joints="och men eller att som om när för med i på till av",
        ),
        "da": _language(
            never="dr prof hr fr f.eks bl.a dvs d.v.s s.k ca nr kl tlf jf",
            maybe="osv etc m.m m.v",
            joints="og men eller at som hvis når for med i på til af",
            ordinals=True,
        ),
        "no": _language(
            never="dr prof hr fr f.eks bl.a dvs d.v.s s.k ca nr kl tlf jf",
            maybe="osv etc m.m m.v",
            joints="og men eller at som hvis når for med i på til av",
            ordinals=True,
        ),
        "fi": _language(
            never="esim mm ks vrt n ts prof tri",
            maybe="jne yms ym",
            joints="ja mutta tai että koska kun jos joka",
            ordinals=True,
        ),
        "pl": _language(
            never="dr prof mgr inż p ul al św np m.in tj tzw ok nr tel godz str por ks im",
            maybe="itd itp r w",
            joints="i a ale lub albo że bo gdy jeśli który w z na do od po przez",
            ordinals=True,
        ),
        "cs": _language(
            never="dr mgr ing prof doc p sv např tj tzn tzv cca č tel str ul mj",
            maybe="atd apod",
            joints="a ale nebo že protože když pokud který v z na do od po",
            ordinals=True,
        ),
        "ru": _language(
            never="г-н г-жа им ул д кв т.е т.к напр см стр гл проф акад св",
            maybe="т.д т.п др пр г гг в вв руб",
            joints="и а но или что чтобы потому если когда который в на с по из от до для",
        ),
        "uk": _language(
            never="п ім вул буд т.зв напр див стор проф акад св",
            maybe="т.д т.п ін р рр ст грн",
            joints="і й та а але або що щоб якщо коли який в на з по із від до для",
        ),
        "tr": _language(
            never="dr prof doç av sn bkz örn yy hz",
            maybe="vb vs",
            joints="ve ama veya çünkü eğer ki ile için",
            ordinals=True,
        ),
    }
)


def abbreviations(language: str) -> Abbreviations:
    """For a BCP 47 tag: "de-AT" is "de". Unknown or empty: none."""
    key = primary(language)
    return _LANGUAGES.get("no" if key == "nn" else key, NONE)
