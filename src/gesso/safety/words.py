"""The vocabulary of the built-in rules. Data only; clinical on purpose.

A term ends in `*` to stand for every word that begins so; a space stands for spaces or hyphens. Terms are matched
in every reading that `normal.variants` gives, accents apart; one that begins with `=` keeps its accents.
Terms in scripts without spaces between words are matched anywhere.
"""


def terms(text: str) -> tuple[str, ...]:
    """A comma-separated list as a tuple."""
    return tuple(term.strip() for term in text.replace("\n", ",").split(",") if term.strip())


# Phrases that hold one of the words below and mean nothing of the kind. They are taken out before looking.
HARMLESS = terms("""
    naked mole rat*, naked eye, naked oat*, naked cake*, naked flame*, naked bulb*, naked tree*,
    naked branch*, naked truth, naked bike*, naked singularity, naked chef, naked lady lily,
    naked neck chicken*, nude colour*, nude color*, nude tone*, nude lipstick*, nude lip*,
    nude heel*, nude pump*, nude shoe*, nude shade*, nude palette*, nude makeup, nude make up,
    nude nail*, nude manicure, nude mouse, nude mice, nude descending a staircase,
    nude stocking*, topless car*, topless bus*, topless double decker*, topless jeep*, topless convertible*,
    topless tower*, same sex, opposite sex, both sexes, sex education, sex ratio,
    sex chromosome*, sex pistols, sexing chickens, sexual dimorphism,
    sexual reproduction of plants, rape field*, rape flower*, rape seed*, rape oil,
    rape blossom*, great tits, blue tits, coal tits, marsh tits, willow tits, crested tits,
    bearded tits, long tailed tits, pussy willow*, pussy cat*, pussy riot, bottle nipple*,
    grease nipple*, pipe nipple*, wire stripper*, paint stripper*, cable stripper*,
    weather stripper*, orgy of colour*, orgy of color*, orgy of light, human bondage,
    intercourse pennsylvania, social intercourse, xxx large, super bowl xxx, baby blue,
    baby pink, baby oil, baby s breath, baby grand, baby carrot*, baby powder, baby shower,
    kid leather, kid gloves, kid goat*, ursa minor, canis minor, asia minor, minor key,
    minor chord*, minor detail*, pin up girl*, old school*, art school, school of fish,
    school of thought, film school, neil young, young tree*, young plant*, teenage mutant ninja*,
    fromage rape, gruyere rape, parmesan rape, emmental rape, carottes rapees, coco rape,
    emperor has no clothes, emperor s new clothes, no clothes on the line, no clothes hanger*,
    pinup girl*, 裸足, 裸眼, 裸子, 裸麦, голые дерев*, голые ветв*, голые ветк*, голые стен*,
    nacktschnecke*, nacktmull*, arbol desnud*, arboles desnud*, ciplak ayak*, naaktslak*,
    pies desnudos
""")

# Words that are about sex or nakedness, whoever it is about.
EXPLICIT = terms("""
    sex, sexual, sexually, sexualis*, sexualiz*, sexuality, nsfw, porn, porno*, pornstar*,
    hentai, xxx, x rated, r18, nc17, erotic*, erotica, erotism, nude, nudes, nudity, nudist*,
    naturist*, naked, nakedness, topless, fully undressed, genital*, penis, penises, penile, vagina*, vulva*,
    labia, clitor*, testicle*, scrotum, areola*, nipple, nipples, bare breast*, exposed breast*,
    bare chested woman, large breasts, huge breasts, big breasts, orgasm*, masturbat*,
    intercourse, fellatio, blowjob*, blow job*, cunnilingus, handjob*, cumshot*, cumming,
    ejaculat*, orgy, orgies, threesome*, gangbang*, striptease*, strip tease, stripper*,
    strip club*, lewd*, horny, fetish*, bdsm, bondage, dominatrix, dildo*, sex toy*, sextape*,
    sex tape*, upskirt*, ahegao, ecchi, futanari, milf, incest*, molest*, rape, raped, raping,
    smut*, tits, titties, boobs, boobies, pussy, undressing, disrobing, unclothed,
    without clothes, without any clothes, no clothes, wearing nothing, wearing no clothes,
    taking off her clothes, taking off his clothes, clothes off, in the nude, adult content,
    adult film*, adult video*, adult movie*, kamasutra, kama sutra, camgirl*, rule34, rule 34,
    nackt*, sexuell*, pornogra*, erotisch*, unbekleidet*, entblosst*, seins nus, corps nu,
    femme nue, homme nu, fille nue, entierement nu, sexuel*, erotique*, nudite, desnud*,
    erotico*, erotica*, sessual*, nudez, naakt*, seksue*, naga kobieta, nagi mezczyzna, seksual*,
    erotyczn*, ciplak*, erotik*, голый, голая, голые, голых, голую, голым, обнажен*, обнажён*,
    секс*, порно*, эротич*, раздет*, ヌード, セックス, ポルノ, 色情, 性爱, 性愛, 情色, 做爱,
    누드, 섹스, 야한, 포르노, 알몸, عاري, عارية, إباحي, جنسي, नग्न, अश्लील, सेक्स, नंगी,
    mulher pelada, femmes nues, undressing herself, undressing himself, エロい, エロティック,
    エロチック, 全裸, 裸体, 裸體, 裸の, 裸婦, 裸照, 性行為, 性行为, 性交, 性的描写, 에로틱,
    donna nuda, ragazza nuda, uomo nudo, corpo nudo, nudo artistico, mulher nua, homem nu,
    nagie cialo, 赤裸
""")

# Words that only hint; they weigh where someone young or a known person is meant, or, for the first group,
# where any person is.
ALLURING = terms("""
    sexy, sexier, sexiest, seductive*, lustful*, kinky, lingerie, panties, thong, g string,
    cleavage, spread legs, legs spread, bedroom eyes, micro bikini, wet t shirt,
    provocative pose*, suggestive pose*, busty, see through dress*, see through shirt*,
    see through blouse*, see through clothes, see through top*, boudoir photo*, boudoir shoot*,
    sexually suggestive, seducing
""")
HINTING = terms("""
    sensual*, undressed, underwear, provocative outfit*, provocative clothing, bare bottom,
    bare body, transparent dress, transparent clothes, skimpy, scantily*, fondl*, intimate pose*,
    unterwasche, lenceria, in a bra, wearing a bra, bra and panties
""")

# Words that mean someone under age, or made to look so.
MINOR = terms("""
    child, children, childs, childlike, childish, kid, kids, kiddo*, kiddie*, toddler*, infant*,
    baby, babies, babyface*, baby face*, newborn*, minor, minors, underage*, under age,
    underaged, preteen*, pre teen*, tween, tweens, teen, teens, teenage*, teenie*, teenybopper*,
    adolescent*, adolescence, juvenile*, youngster*, schoolgirl*, school girl*, schoolboy*,
    school boy*, schoolchild*, schoolkid*, school uniform*, school age*, seifuku, sailor fuku,
    kindergart*, preschool*, elementary school*, primary school*, middle school*, junior high,
    high school*, highschool*, grade school*, first grader*, sixth grader*, seventh grader*,
    eighth grader*, little girl*, little boy*, small girl*, small boy*, young girl*, young boy*,
    girl scout*, boy scout*, lolita*, chibi, prepubescent*, pubescent*, puberty,
    undeveloped body, undeveloped breast*, flat chest*, training bra*, diaper*, barely legal,
    just turned 18, just turned eighteen, barely 18, barely eighteen, not yet 18, sweet sixteen,
    under 18, under eighteen, below 18, younger than 18, little sister*, little brother*,
    daughter*, stepdaughter*, step daughter*, stepson*, my son, niece*, nephew*, looks underage,
    youngling*, girlchild*, boychild*, girl child, boy child, =mädchen, maedchen, schulmadchen*,
    schulerin*, minderjahrig*, kinder, kindlich*, kleines kind, ein kind, jugendliche*, enfant*,
    fillette*, gamine*, gamin, mineure*, mineur, petite fille*, petit garcon, ecoliere*,
    lyceenne*, collegienne*, =niña, =niñas, =niño, =niños, menor de edad, menores de edad,
    colegiala*, chiquill*, bambin*, ragazzin*, minorenn*, adolescente*, =criança, =crianças,
    menina*, menino*, menor de idade, novinha*, kinderen, meisje*, jongetje*, minderjarig*,
    tiener*, dziewczynk*, dzieck*, dzieci*, nastolat*, nieletni*, cocuk*, kucuk kiz, ergen kiz,
    ребенок, ребёнок, ребенк*, дети, детей, детск*, девочк*, мальчик*, подрост*,
    несовершеннолетн*, школьниц*, школьник*, малолет*, 子供, 子ども, こども, 少女, 少年, 幼女,
    幼い, 女子高生, 小学生, 中学生, 高校生, 未成年, 女の子, 男の子, 学生服, 儿童, 兒童, 孩子,
    小孩, 女孩, 男孩, 高中生, 初中生, 学生妹, 아이, 어린, 소녀, 소년, 미성년, 여고생, 초등학생,
    중학생, طفل, طفلة, أطفال, قاصر, مراهق, बच्च, नाबालिग, 萝莉, 蘿莉, shota, shotas, ロリータ,
    로리타
""")

# Words that describe someone as young without naming an age: enough beside anything explicit.
YOUNG = terms("""
    young, younger, youngest, young looking, youthful*, youth, youths, girl, girls, 1girl,
    2girls, boy, boys, 1boy, 2boys, school, jung, junge, junger, junges, jungen, jeune*, joven*,
    jovem, jovens, giovane*, giovani, jonge, mloda*, mlody, genc, молод*, юная, юный, юной, 年轻,
    年輕, 若い, شابة, fille, filles, ragazza, ragazze, chica, chicas, garota*, dziewczyn*, 女生,
    लड़की
""")

# Words that stand for nothing else: refused by themselves.
FORBIDDEN = terms("""
    loli, lolis, lolicon*, shotacon*, toddlercon, jailbait, jail bait, csam, child porn*,
    childporn*, kiddie porn*, kiddy porn*, underage porn*, child sex*, child erotic*, pedo,
    pedos, pedophil*, paedophil*, paedo, 正太控, ロリコン, ロリっ子, ショタコン, 로리콘, 쇼타콘
""")

PERSON = terms("""
    woman, women, man, men, girl, girls, boy, boys, lady, ladies, guy, guys, female, male, model,
    models, nurse*, maid, maids, babe, babes, dancer*, wife, husband, girlfriend*, boyfriend*,
    person, people, she, her, he, him, couple, secretary, teacher*, 1girl, actress*, actor*
""")

# Clothes in a negative prompt ask for a person without any.
CLOTHES = terms("""
    clothes, clothing, clothed, fully clothed, dressed, garment, garments, attire, underwear,
    apparel
""")
GROWN = terms("""
    adult, adults, grown up, grown ups, mature, over 18, grown woman, grown man
""")
