"""Whether a question is in English."""

from __future__ import annotations

import re
import unicodedata

_WORD = re.compile(r"[^\W\d_]+")


def _words(text: str) -> list[str]:
    return text.split()


SCRIPTS = {
    "ARABIC": "Arabic script",
    "BENGALI": "Bengali script",
    "CJK": "Chinese or Japanese",
    "CYRILLIC": "Cyrillic script",
    "DEVANAGARI": "Devanagari script",
    "ETHIOPIC": "Ethiopic script",
    "GREEK": "Greek script",
    "HANGUL": "Korean",
    "HEBREW": "Hebrew script",
    "HIRAGANA": "Japanese",
    "KATAKANA": "Japanese",
    "TAMIL": "Tamil script",
    "THAI": "Thai script",
}
"""First words of Unicode's character names, and what a reader calls the writing."""

ENGLISH = frozenset(
    _words(
        """
        the is are what which where how does this that these there of with and any was were has
        have can it its from for been be did you your by at who why when do should would could will
        shown seen image picture scan patient left right side normal abnormal type kind part organ
        located evidence visible lung lungs heart liver brain chest kidney most if
    """
    )
)
"""Words that make a sentence English, or are common in questions about images."""

OTHERS = {
    "French": frozenset(
        _words(
            """
        le la les est ce cette cet ces quel quelle quels quelles où y il elle une un des du dans
        sur avec pour qui que quoi comment pourquoi combien sont être avoir au aux et ou sans
        anomalie anormale montrez moi poumon poumons coeur cœur foie radiographie voit voyez vous
        gauche droite droit cerveau rein reins côté qu patiente décrivez décrire
    """
        )
    ),
    "Spanish": frozenset(
        _words(
            """
        el la los las es está están hay qué que cuál cuáles dónde donde cómo como cuántos cuántas
        por para con una un unos del en esta este estas estos imagen radiografía se y o paciente
        pulmón pulmones corazón hígado riñón riñones cerebro izquierdo izquierda derecho derecha
        anormal fractura ve puede muestra tiene al lado su órgano signos describa
    """
        )
    ),
    "Portuguese": frozenset(
        _words(
            """
        o os as é está estão há que qual quais onde como quantos quantas por para com uma um da das
        dos em no na nos nas esta este essa esse imagem radiografia se e ou paciente pulmão pulmões
        coração fígado rim rins cérebro esquerdo esquerda direito direita anormal fratura vê pode
        mostra tem ao à lado existe alguma algum são foi órgão sinais descreva
    """
        )
    ),
    "German": frozenset(
        _words(
            """
        der das den dem des ein eine einer einem einen ist sind was wie wo welche welcher welches
        warum gibt es auf bild röntgenbild und oder mit ohne für von zu zum zur im nicht kein keine
        sieht sehen man lunge leber herz gehirn niere nieren links rechts seite diesem dieses
        dieser zeigt wird vorhanden hier anzeichen patienten körperteil zeichen sie lungen
        beschreiben beschreibe
    """
        )
    ),
    "Swahili": frozenset(
        _words(
            """
        je ni na ya wa kwa hii hiki huyu kuna picha nini wapi gani yoyote yoyo katika mapafu moyo
        mgonjwa ini ubongo figo upande kulia kushoto inaonyesha ngapi au la ndiyo hapana ugonjwa
        kiungo sehemu mwili ipi hizi cha vya za ana mfupa umevunjika imevunjika onyesha kawaida
        dalili eksirei tafadhali kifua maji uvimbe unaweza kuona zipo ipo kipi eleza
    """
        )
    ),
    "Italian": frozenset(
        _words(
            """
        il lo gli che è c'è sono della dello del nel nella questa questo quale quali dove come
        quanti una un con per di immagine polmone polmoni cuore fegato cervello sinistra destra
        radiografia paziente si vede presenza ci e mostra rene reni lato anomalie
    """
        )
    ),
    "Dutch": frozenset(
        _words(
            """
        het een deze dit zijn wat waar welke hoe er op van met voor niet geen afbeelding foto long
        longen hart lever hersenen nier links rechts zie je ziet patiënt en of aan
    """
        )
    ),
}
"""Words of other languages in the Latin alphabet; those that English shares count for neither."""

_SHARED = frozenset(
    _words(
        """
        a an ao as au ce de en et im in la man me na no on os se so son
    """
    )
)


def other_language(text: str) -> str | None:
    """What language a question looks like where it does not look like English.

    Letters of another script decide; in the Latin alphabet the words that are known of each
    language are counted, and English has to have fewer. A lone medical term is left alone.

    Args:
        text: In lower case.

    Example:
        >>> other_language("où est le foie ?")
        'French'
        >>> other_language("is there a pneumothorax?") is None
        True
    """
    letters = [character for character in text if character.isalpha()]
    foreign = [name for name in map(_script, letters) if name is not None]
    if letters and len(foreign) / len(letters) > 0.2:  # noqa: PLR2004 (a Greek letter or two is a term)
        return SCRIPTS[max(set(foreign), key=foreign.count)]
    words = [word for word in _WORD.findall(text) if word not in _SHARED]
    english = sum(word in ENGLISH for word in words)
    counts = {
        name: sum(word in known and word not in ENGLISH for word in words)
        for name, known in OTHERS.items()
    }
    name = max(counts, key=lambda language: counts[language])
    return name if counts[name] > english else None


def _script(letter: str) -> str | None:
    """The key of `SCRIPTS` that a letter belongs to, if any."""
    first = unicodedata.name(letter, "").split(" ")[0].split("-")[0]
    return first if first in SCRIPTS else None
