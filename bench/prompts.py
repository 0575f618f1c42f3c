"""Prompts as people write them: a few words very often, most hardly ever, several languages, the odd rarity.

Words follow Zipf's law over a vocabulary in order of use: what pictures are made of first, then the rest of the
English that Python's own reference is written in. Everything is drawn from a seed, so a run can be repeated.
"""

import re
from collections.abc import Sequence
from pydoc_data import topics

import numpy as np

_COMMON = re.findall(
    r"\w+",
    """
    light soft portrait cinematic detailed photo warm background golden hour shallow depth field studio film
    grain natural sky colour dark style morning window wide shot sharp focus mountain water shadow landscape
    city street night blue glass still life red paper green forest old white texture fog sea rain minimal
    ceramic table amber flower bottle wooden bright low angle evening mist stone house garden river vintage silk
    lamp snow close up aerial view macro editorial product plinth travertine linen velvet copper brass marble
    cotton wool smoke cloud storm sunrise sunset dusk dawn noon harbour lighthouse boat bridge tower roof market
    cafe library kitchen greenhouse workshop theatre station tram bicycle violin piano teapot cup plate bread
    lemon orange pear fig olive rosemary lavender moss fern pine birch oak willow meadow valley canyon desert
    dune island cliff beach wave lagoon waterfall glacier aurora comet moon planet nebula owl fox heron crane
    koi deer horse cat dog whale butterfly beetle ink watercolour gouache charcoal pastel linocut woodcut
    etching mosaic fresco stained origami collage isometric diorama axonometric blueprint poster cover
    illustration render octane volumetric backlit silhouette reflection symmetry pattern gradient bokeh flare
    dust haze
    """,
)
_PHRASES = (
    "golden hour", "long exposure", "soft side light", "shot on medium format", "shallow depth of field",
    "muted earth tones", "volumetric morning fog", "in the style of a linocut", "empty street after rain",
)  # fmt: skip
_ABROAD = (
    "alter Leuchtturm im Abendnebel, weiches Licht, Öl auf Leinwand",
    "stille Küche, Morgenlicht fällt auf einen Holztisch, Stillleben",
    "phare breton au crépuscule, brume légère, aquarelle délicate",
    "marché de nuit sous la pluie, reflets sur les pavés",
    "puerto pesquero al amanecer, barcas de colores, acuarela",
    "bosque nevado en silencio, luz azul, hora dorada",
    "старый маяк на закате, мягкий свет, акварель",
    "тихая улица после дождя, отражения фонарей",
    "παλιό λιμάνι το σούρουπο, απαλό φως",
    "夕暮れ の 灯台, 霧, 水彩画",
    "山水 水墨画 竹林 晨雾",
    "등대 해질녘 수채화 안개",
    "منارة قديمة عند الغروب، ضوء ناعم",
    "מגדלור ישן בשקיעה, אור רך",
    "पुराना प्रकाशस्तंभ सूर्यास्त जलरंग",
)
RARE = {"zephyranthes": 1, "quokka": 10, "theodolite": 100}
"""Words that stand in exactly so many prompts of an archive (or in every one of a smaller archive)."""
NOWHERE = "xylotheque"
"""A word that stands in none."""
_ABROAD_SHARE, _PHRASE_SHARE = 0.06, 0.25


def vocabulary() -> list[str]:
    """Words by how often they are used, the commonest first; a few thousand."""
    tail = set(re.findall(r"\b[a-z]{4,12}\b", " ".join(topics.topics.values())))
    tail -= {*_COMMON, *RARE, NOWHERE}
    return [*dict.fromkeys(_COMMON), *sorted(tail, key=lambda word: (hash_of(word), word))]


def hash_of(word: str) -> int:
    """A number that looks random and is the same on every run."""
    return int.from_bytes(word.encode(), "big") * 2_654_435_761 % 2**32


def prompts(count: int, seed: int) -> list[str]:
    """`count` prompts of 4 to 30 words, RARE words included as often as RARE says."""
    draw = np.random.default_rng(seed)
    words = np.array(vocabulary(), dtype=object)
    weights = 1 / (np.arange(len(words)) + 2.7) ** 1.05
    lengths = np.clip(draw.lognormal(2.45, 0.45, count), 4, 30).astype(int)
    chosen = draw.choice(len(words), size=int(lengths.sum()), p=weights / weights.sum())
    phrase, abroad = draw.random(count), draw.random(count)
    made: list[str] = []
    start = 0
    for number, length in enumerate(lengths):
        part = words[chosen[start : start + length]]
        start += length
        if abroad[number] < _ABROAD_SHARE:
            text = f"{_ABROAD[chosen[start - 1] % len(_ABROAD)]}, {part[0]}"
        else:
            text = _sentence(list(part))
        if phrase[number] < _PHRASE_SHARE:
            text += f", {_PHRASES[chosen[start - 1] % len(_PHRASES)]}"
        made.append(text)
    for word, times in RARE.items():
        for number in draw.choice(count, size=min(times, count), replace=False):
            made[number] += f", {word}"
    return made


def _sentence(words: Sequence[str]) -> str:
    """Words with a comma after every few of them."""
    return ", ".join(" ".join(words[first : first + 4]) for first in range(0, len(words), 4)).capitalize()
