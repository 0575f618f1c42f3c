"""Signs that a text means a real, named person. Heuristics: they err on the side of protecting someone. Pure."""

import re

from gesso.safety.words import terms

# Said outright.
REAL = terms("""
    celebrity, celebrities, celeb, celebs, famous actress*, famous actor*, famous singer*,
    famous person, famous people, movie star*, film star*, pop star*, popstar*, tv star*,
    real person, real people, real life person, real woman named, real man named, politician*,
    president of, prime minister*, the queen of england, the pope, royal family, influencer*,
    streamer*, youtuber*, deepfake*, deep fake*, deep faked, face swap*, faceswap*,
    look alike of, lookalike of, looks exactly like, with the face of, face of my, my ex,
    my ex girlfriend, my ex boyfriend, my ex wife, my ex husband, my neighbour, my neighbor,
    my coworker, my co worker, my colleague, my classmate, my boss, my teacher, my crush,
    my friend, my best friend, my girlfriend, my boyfriend, my wife, my husband, my sister,
    my mother, my mom, my mum, my cousin, my roommate, this person, this woman in the photo,
    person in the photo
""")

# People whose likeness is abused most often; lower case, so that they are found however they are written.
KNOWN = terms("""
    taylor swift, scarlett johansson, emma watson, jennifer lawrence, jennifer aniston,
    angelina jolie, margot robbie, natalie portman, anne hathaway, kim kardashian, kylie jenner,
    kendall jenner, ariana grande, selena gomez, billie eilish, dua lipa, katy perry, lady gaga,
    miley cyrus, britney spears, megan fox, gal gadot, emma stone, jenna ortega,
    millie bobby brown, sydney sweeney, ana de armas, florence pugh, emilia clarke,
    sabrina carpenter, olivia rodrigo, beyonce, rihanna, zendaya, shakira, nicki minaj, cardi b,
    jennifer lopez, gigi hadid, bella hadid, victoria beckham, kate middleton, meghan markle,
    princess diana, queen elizabeth, prince william, prince harry, king charles, donald trump,
    melania trump, ivanka trump, joe biden, kamala harris, barack obama, michelle obama,
    hillary clinton, alexandria ocasio cortez, vladimir putin, emmanuel macron, angela merkel,
    giorgia meloni, ursula von der leyen, narendra modi, xi jinping, elon musk, mark zuckerberg,
    jeff bezos, greta thunberg, tom cruise, brad pitt, leonardo dicaprio, johnny depp,
    tom holland, timothee chalamet, harry styles, justin bieber, chris hemsworth, ryan gosling,
    ryan reynolds, dwayne johnson, keanu reeves, robert pattinson, cristiano ronaldo,
    lionel messi, serena williams, marilyn monroe, audrey hepburn, elvis presley,
    michael jackson, blackpink, pokimane, amouranth
""")

_FIRST_NAMES = frozenset(
    terms("""
    adam, adele, aisha, alan, albert, alejandro, alex, alexander, alexandra, alice, alicia,
    amanda, amber, amelia, amy, ana, andrea, andrew, angela, anna, anne, anthony, antonio,
    ariana, arthur, ashley, barack, barbara, benjamin, bella, beth, betty, brad, brandon, brian,
    britney, bruce, camila, carla, carlos, carmen, caroline, catherine, charles, charlotte,
    chloe, chris, christian, christina, christopher, claire, claudia, daniel, david, deborah,
    diana, donald, dorothy, dylan, edward, elena, elizabeth, ella, ellen, emily, emma, eric,
    erica, ethan, eva, evelyn, fatima, felix, fernando, fiona, francesca, frank, gabriel, george,
    giorgia, giulia, hannah, harry, heather, heidi, helen, henry, ian, ingrid, irene, isabel,
    isabella, ivan, jack, jackie, jacob, james, jane, janet, jason, javier, jean, jennifer,
    jeremy, jessica, jill, joan, joanna, joe, johanna, john, jonathan, jordan, jorge, jose,
    joseph, joshua, juan, judith, julia, julian, julie, justin, karen, karl, kate, katherine,
    kathy, katie, kelly, kenneth, kevin, kim, kimberly, kylie, lara, larry, laura, lauren,
    leonardo, lena, linda, lisa, louis, louise, lucas, lucy, luis, lukas, luke, madeleine, marco,
    margaret, margot, maria, marie, marilyn, mario, marta, martha, martin, mary, matthew, megan,
    melania, melissa, mia, michael, michelle, miguel, mila, miley, mohammed, monica, nancy,
    naomi, natalia, natalie, natasha, nicholas, nicole, nina, noah, nora, oliver, olivia, oscar,
    pablo, pamela, patricia, patrick, paul, paula, pedro, peter, philip, priyanka, rachel, ralph,
    rebecca, richard, robert, roberto, robin, roger, ronald, ryan, sabrina, samantha, samuel,
    sandra, sara, sarah, scarlett, sebastian, selena, serena, sharon, simon, sofia, sophia,
    sophie, stefan, stephanie, stephen, steven, susan, sydney, taylor, thomas, tiffany, timothy,
    tina, tom, tyler, valentina, vanessa, veronica, victoria, vincent, vladimir, walter, wendy,
    wilhelm, william, xavier, yasmin, yolanda, yuki, yvonne, zoe
""")
)
# A name said for its style belongs to whoever made a picture, not to who is in it.
_STYLE = re.compile(
    r"\b(?:in the )?(?:style of|styled after|inspired by|painted by|photographed by|drawn by|art by|painting by|by)"
    r"(?:\s+(?:[A-Z][\w'’.\-]+|van|von|de|da|di|der|del|la|le)){1,4}"
)
_PAIR = re.compile(r"\b([A-Z][a-zà-ÿ'’\-]+)\s+((?:(?:van|von|de|da|di|der|del|la|le|bin|al)\s+)?[A-Z][\w'’\-]+)")
_LEAD = re.compile(r"\b(?:of|as|named|called|like|featuring|starring|actress|actor|singer|model)\s+$", re.IGNORECASE)
_NOT_A_NAME = frozenset(
    terms("""
    the, a, an, new, old, north, south, east, west, great, grand, golden, blue, red, black,
    white, green, dark, light, art, studio, street, avenue, road, tower, bridge, canyon, beach,
    bay, lake, river, sea, ocean, island, islands, mountain, mountains, valley, desert, forest,
    park, garden, gardens, palace, castle, temple, church, cathedral, museum, hall, house, city,
    town, village, square, station, hotel, pool, room, sun, moon, venus, aphrodite, mars, greek,
    roman, gothic, baroque, renaissance, victorian, japanese, chinese, french, italian, spanish,
    german, english, american, african, asian, european, indian, russian, latin, middle, ages,
    january, february, march, april, may, june, july, august, september, october, november,
    december, monday, tuesday, wednesday, thursday, friday, saturday, sunday, hour, style,
    photography, portrait, painting, sculpture, statue, woman, women, man, men, lady, couple,
    nude, naked, sexual, erotic, body, figure, angeles, francisco, york, vegas, paris, london,
    rome, tokyo, berlin, canon, nikon, sony, kodak, leica, fuji, polaroid, unreal, engine
""")
)


def names_someone(text: str) -> bool:
    """Whether the original text (case kept) holds what looks like a person's full name, other than for a style."""
    text = _STYLE.sub(" ", text)
    words = re.findall(r"\b[A-Za-zÀ-ÿ][\w'’\-]*", text)
    titled = len(words) > 3 and sum(word[0].isupper() for word in words) >= 0.7 * len(words)
    for match in _PAIR.finditer(text):
        first, last = match[1].lower(), match[2].split()[-1].lower()
        if first in _NOT_A_NAME or last in _NOT_A_NAME:
            continue
        if first in _FIRST_NAMES or (not titled and _LEAD.search(text[: match.start()])):
            return True
    return False
