"""What the words of a prompt ask of the painter: which recipe, which palette."""

import hashlib
import re
from collections.abc import Mapping

# A word that names a technique or the main thing outweighs one that merely fits the mood.
_RECIPE_WORDS: Mapping[str, tuple[str, str]] = {
    "still": (
        "bottle|vase|product|still life|packshot|pack shot|perfume|serum|cosmetic|jar|skincare|ceramic|pottery|3d",
        "sphere|ball|mug|cup|candle|studio|commercial|advert|advertising|glossy|torus|toy|lamp|table|object|shampoo"
        "|cream|fruit|render",
    ),
    "dunes": ("dune|desert|sahara|sand", "sunset|sunrise|dawn|dusk|landscape|horizon|caravan|mars|savanna|field"),
    "peaks": (
        "mountain|peak|alps|himalaya|ridge|summit|mountain range",
        "valley|cliff|canyon|mist|hike|snow|landscape|lake",
    ),
    "paper": (
        "paper|papercut|paper-cut|cutout|cut-out|origami|layered|diorama",
        "forest|tree|pine|hill|mountain|valley|cave|children|storybook|cosy|cozy|village|fox|deer",
    ),
    "glass": (
        "stained glass|stained-glass|mosaic|cathedral|kaleidoscope|rose window",
        "jewel|gem|church|crystal|window|butterfly",
    ),
    "ink": (
        "ink|sumi|sumi-e|wash|watercolour|watercolor|calligraphy|brush painting",
        "japan|japanese|chinese|mist|fog|crane|bamboo|zen|haiku|minimal|island",
    ),
    "bauhaus": (
        "bauhaus|geometric|poster|pattern|suprematist|constructivist",
        "abstract|shape|grid|modernist|retro|logo|graphic|flat|vector|city|architecture|music|jazz",
    ),
    "aurora": (
        "aurora|northern lights|night sky|milky way|polar light",
        "night|star|starry|sky|fjord|arctic|galaxy|space|cosmic|nebula|planet|moon|winter",
    ),
    "flow": (
        "flow|swirl|oil painting|van gogh|impasto|brushstroke|brush stroke|abstract",
        "wave|ocean|sea|wind|hair|smoke|fire|dream|river|storm|silk|flower|garden|portrait|woman|man|cat|dog|bird",
    ),
}

_PALETTE_WORDS: Mapping[str, str] = {
    "amber": "amber|orange|autumn|copper|honey|warm|fire|terracotta|rust|brown|whisky|cinnamon",
    "dawn": "dawn|sunrise|morning|pastel|peach|golden hour|soft",
    "rose": "rose|pink|blush|romantic|magenta|cherry|blossom|red|ruby|crimson|love",
    "teal": "teal|turquoise|petrol|lagoon|cyan|jade",
    "ocean": "ocean|sea|blue|water|azure|marine|coast|underwater|rain|ice|winter",
    "night": "night|midnight|moon|starry|navy|dark blue|indigo",
    "noir": "noir|black|dark|gothic|moody|luxury|gold|golden|mysterious",
    "violet": "violet|purple|lavender|lilac|iris|neon|cyberpunk|synthwave|magic|magical|fantasy|orchid",
    "mint": "mint|fresh|clean|spa|pistachio|spring|sage",
    "forest": "forest|green|moss|jungle|leaf|leaves|nature|botanical|olive|pine|meadow|emerald",
    "sand": "sand|beige|linen|clay|earth|earthy|neutral|vintage|sepia|cream|coffee",
    "coral": "coral|sunset|tropical|summer|salmon|flamingo|mango|dusk",
    "slate": "slate|grey|gray|monochrome|black and white|minimal|fog|foggy|misty|silver|concrete|steel",
    "carnival": "carnival|colourful|colorful|rainbow|vivid|bright|pop art|festival|playful|primary",
}

# Without a colour word each recipe keeps to palettes that suit it.
_SUITING: Mapping[str, tuple[str, ...]] = {
    "still": ("amber", "rose", "mint", "noir", "sand", "violet", "teal"),
    "dunes": ("dawn", "amber", "coral", "rose", "sand"),
    "peaks": ("teal", "violet", "ocean", "dawn", "slate", "night"),
    "paper": ("dawn", "coral", "teal", "night", "carnival", "forest"),
    "glass": ("carnival", "ocean", "violet", "rose", "teal"),
    "ink": ("slate", "night", "teal", "noir"),
    "bauhaus": ("amber", "ocean", "carnival", "coral", "teal", "violet"),
    "aurora": ("mint", "teal", "violet", "rose", "ocean"),
    "flow": ("ocean", "amber", "violet", "coral", "teal", "night", "rose"),
}

RECIPE_NAMES: tuple[str, ...] = tuple(_RECIPE_WORDS)


def _count(pattern: str, text: str) -> int:
    return len(re.findall(rf"\b(?:{pattern})(?:s|es)?\b", text))


def prompt_number(prompt: str, salt: str = "") -> int:
    """A stable 128-bit number for a prompt: the same in every process and on every machine."""
    return int.from_bytes(hashlib.sha256(f"{salt}\0{prompt}".encode()).digest()[:16], "big")


def choose_recipe(prompt: str) -> str:
    """The recipe the words ask for; without such words one chosen by the prompt's hash, the same for every seed."""
    text = prompt.lower()
    scores = {name: 3 * _count(strong, text) + _count(mild, text) for name, (strong, mild) in _RECIPE_WORDS.items()}
    best = max(scores.values())
    names = [name for name, score in scores.items() if score == best]
    return names[prompt_number(prompt, "recipe") % len(names)]


def choose_palette(prompt: str, recipe: str, seed: int) -> str:
    """The palette the words ask for; without such words one that suits the recipe, differing from seed to seed."""
    text = prompt.lower()
    scores = {name: _count(pattern, text) for name, pattern in _PALETTE_WORDS.items()}
    best = max(scores.values())
    names = [n for n, score in scores.items() if score == best] if best else list(_SUITING[recipe])
    return names[prompt_number(prompt, f"palette {seed}") % len(names)]
