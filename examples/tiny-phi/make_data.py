#!/usr/bin/env python3
"""Writes statements.jsonl: true and false sentences about five kinds of facts.

Only the Python standard library is needed, and the same seed gives the same bytes:

    python make_data.py                 # writes statements.jsonl beside this file
    python make_data.py --check         # compares it with what would be written

The tables and the phrasings live here too, because train.py makes its training text from them.

How the rows are made, and why:
  * Every fact gives pairs of rows, one true and one false, that differ in one entity. Within one split, topic
    and form, the wrong entities are a permutation of the right ones, so true and false rows are made of the same
    words: no word says anything about the label. (Numbers: the pair has the same last number, but a large first
    number does make "larger" likelier.)
  * A fact is in one split only, with all its rows.
  * Some phrasings are never used to train the model (`seen` is false).
  * The rows are in an order of which every prefix is about balanced; the two rows of a pair are neighbours.
"""
import argparse
import collections
import json
import os
import random
import re
import sys

SEED = 20240

# --- facts -------------------------------------------------------------------------------------------------------

CAPITALS = """
Afghanistan=Kabul; Albania=Tirana; Algeria=Algiers; Angola=Luanda; Argentina=Buenos Aires; Armenia=Yerevan;
Australia=Canberra; Austria=Vienna; Azerbaijan=Baku; Bahrain=Manama; Bangladesh=Dhaka; Barbados=Bridgetown;
Belarus=Minsk; Belgium=Brussels; Belize=Belmopan; Bhutan=Thimphu; Bosnia=Sarajevo; Botswana=Gaborone;
Brazil=Brasilia; Bulgaria=Sofia; Cambodia=Phnom Penh; Cameroon=Yaounde; Canada=Ottawa; Chad=Ndjamena;
Chile=Santiago; China=Beijing; Colombia=Bogota; Croatia=Zagreb; Cuba=Havana; Cyprus=Nicosia; Czechia=Prague;
Denmark=Copenhagen; Ecuador=Quito; Egypt=Cairo; Eritrea=Asmara; Estonia=Tallinn; Ethiopia=Addis Ababa; Fiji=Suva;
Finland=Helsinki; France=Paris; Gabon=Libreville; Georgia=Tbilisi; Germany=Berlin; Ghana=Accra; Greece=Athens;
Guinea=Conakry; Guyana=Georgetown; Haiti=Port-au-Prince; Honduras=Tegucigalpa; Hungary=Budapest;
Iceland=Reykjavik; India=New Delhi; Iran=Tehran; Iraq=Baghdad; Ireland=Dublin; Italy=Rome; Jamaica=Kingston;
Japan=Tokyo; Jordan=Amman; Kazakhstan=Astana; Kenya=Nairobi; Kyrgyzstan=Bishkek; Laos=Vientiane; Latvia=Riga;
Lebanon=Beirut; Liberia=Monrovia; Libya=Tripoli; Lithuania=Vilnius; Madagascar=Antananarivo; Malawi=Lilongwe;
Malaysia=Kuala Lumpur; Mali=Bamako; Malta=Valletta; Mauritania=Nouakchott; Moldova=Chisinau; Mongolia=Ulaanbaatar;
Morocco=Rabat; Mozambique=Maputo; Myanmar=Naypyidaw; Namibia=Windhoek; Nepal=Kathmandu; New Zealand=Wellington;
Nicaragua=Managua; Niger=Niamey; Nigeria=Abuja; North Korea=Pyongyang; Norway=Oslo; Oman=Muscat;
Pakistan=Islamabad; Paraguay=Asuncion; Peru=Lima; Poland=Warsaw; Portugal=Lisbon; Qatar=Doha; Romania=Bucharest;
Russia=Moscow; Rwanda=Kigali; Saudi Arabia=Riyadh; Senegal=Dakar; Serbia=Belgrade; Sierra Leone=Freetown;
Slovakia=Bratislava; Slovenia=Ljubljana; Somalia=Mogadishu; South Korea=Seoul; Spain=Madrid; Sudan=Khartoum;
Suriname=Paramaribo; Sweden=Stockholm; Switzerland=Bern; Syria=Damascus; Tajikistan=Dushanbe; Tanzania=Dodoma;
Thailand=Bangkok; Togo=Lome; Tunisia=Tunis; Turkey=Ankara; Turkmenistan=Ashgabat; Uganda=Kampala; Ukraine=Kyiv;
Uruguay=Montevideo; Uzbekistan=Tashkent; Venezuela=Caracas; Vietnam=Hanoi; Yemen=Sanaa; Zambia=Lusaka;
Zimbabwe=Harare
"""

ELEMENTS = """
hydrogen=H; helium=He; lithium=Li; beryllium=Be; boron=B; carbon=C; nitrogen=N; oxygen=O; fluorine=F; neon=Ne;
sodium=Na; magnesium=Mg; aluminium=Al; silicon=Si; phosphorus=P; sulfur=S; chlorine=Cl; argon=Ar; potassium=K;
calcium=Ca; scandium=Sc; titanium=Ti; vanadium=V; chromium=Cr; manganese=Mn; iron=Fe; cobalt=Co; nickel=Ni;
copper=Cu; zinc=Zn; gallium=Ga; germanium=Ge; arsenic=As; selenium=Se; bromine=Br; krypton=Kr; rubidium=Rb;
strontium=Sr; yttrium=Y; zirconium=Zr; niobium=Nb; molybdenum=Mo; technetium=Tc; ruthenium=Ru; rhodium=Rh;
palladium=Pd; silver=Ag; cadmium=Cd; indium=In; tin=Sn; antimony=Sb; tellurium=Te; iodine=I; xenon=Xe; cesium=Cs;
barium=Ba; lanthanum=La; cerium=Ce; neodymium=Nd; samarium=Sm; europium=Eu; gadolinium=Gd; terbium=Tb;
dysprosium=Dy; holmium=Ho; erbium=Er; ytterbium=Yb; lutetium=Lu; hafnium=Hf; tantalum=Ta; tungsten=W; rhenium=Re;
osmium=Os; iridium=Ir; platinum=Pt; gold=Au; mercury=Hg; thallium=Tl; lead=Pb; bismuth=Bi; polonium=Po; radon=Rn;
francium=Fr; radium=Ra; actinium=Ac; thorium=Th; uranium=U; neptunium=Np; plutonium=Pu; americium=Am; curium=Cm
"""

# Large or well-known cities, no capitals, and no names that are well known elsewhere. The United States are left
# out, because a town there is named after nearly everything.
CITIES = """
Argentina: Neuquen, Mendoza, Bariloche; Australia: Hobart, Brisbane, Adelaide, Darwin; Austria: Graz, Innsbruck, Salzburg;
Belgium: Antwerp, Ghent, Bruges; Brazil: Salvador, Fortaleza, Manaus, Curitiba, Recife;
Bulgaria: Plovdiv, Varna, Burgas; Canada: Toronto, Montreal, Calgary, Winnipeg, Edmonton;
Chile: Valparaiso, Antofagasta, Temuco; China: Shanghai, Wuhan, Chengdu, Nanjing, Harbin, Shenzhen;
Colombia: Medellin, Cali, Barranquilla; Croatia: Split, Dubrovnik, Rijeka; Czechia: Brno, Ostrava, Plzen;
Denmark: Aarhus, Odense, Aalborg; Ecuador: Guayaquil, Ambato; Egypt: Luxor, Aswan, Giza;
Finland: Tampere, Turku, Oulu; France: Lyon, Marseille, Toulouse, Bordeaux, Strasbourg, Grenoble;
Germany: Hamburg, Munich, Cologne, Dresden, Leipzig, Stuttgart; Ghana: Kumasi, Tamale;
Greece: Thessaloniki, Patras, Heraklion; Hungary: Debrecen, Szeged, Pecs;
India: Mumbai, Chennai, Kolkata, Bangalore, Jaipur, Lucknow; Iran: Isfahan, Shiraz, Tabriz, Mashhad;
Iraq: Basra, Mosul, Erbil; Ireland: Cork, Galway, Limerick; Italy: Milan, Turin, Bologna, Venice, Palermo, Genoa;
Japan: Osaka, Kyoto, Nagoya, Sapporo, Hiroshima, Fukuoka; Kazakhstan: Almaty, Karaganda; Kenya: Mombasa, Kisumu;
Lithuania: Kaunas, Klaipeda; Malaysia: Ipoh, Kuching, Malacca; Mexico: Monterrey, Tijuana, Puebla, Acapulco, Cancun;
Morocco: Casablanca, Marrakesh, Fez, Tangier, Agadir; Nepal: Pokhara, Biratnagar; New Zealand: Auckland, Christchurch, Rotorua;
Nigeria: Lagos, Kano, Ibadan, Enugu; Norway: Tromso, Trondheim, Stavanger; Pakistan: Karachi, Lahore, Peshawar, Multan;
Peru: Cusco, Arequipa, Iquitos; Poland: Krakow, Gdansk, Wroclaw, Poznan, Lodz; Portugal: Porto, Braga, Coimbra, Faro;
Romania: Timisoara, Brasov, Constanta; Russia: Kazan, Omsk, Novosibirsk, Vladivostok, Irkutsk;
Saudi Arabia: Jeddah, Mecca, Medina; Serbia: Novi Sad, Nis; South Africa: Durban, Johannesburg, Soweto;
South Korea: Busan, Daegu, Incheon; Spain: Seville, Bilbao, Malaga, Zaragoza, Granada;
Sweden: Gothenburg, Malmo, Uppsala; Switzerland: Zurich, Geneva, Basel, Lausanne; Syria: Aleppo, Homs, Latakia;
Thailand: Phuket, Pattaya, Chiang Mai; Tunisia: Sfax, Sousse, Bizerte; Turkey: Istanbul, Izmir, Bursa, Antalya, Konya;
Ukraine: Lviv, Kharkiv, Dnipro, Odesa; Uzbekistan: Samarkand, Bukhara; Venezuela: Maracaibo, Barquisimeto;
Vietnam: Hue, Haiphong, Da Nang; Zimbabwe: Bulawayo, Mutare;
the Netherlands: Rotterdam, Utrecht, Eindhoven, Groningen; the Philippines: Cebu, Davao, Quezon City;
the United Kingdom: Liverpool, Edinburgh, Glasgow, Leeds, Cardiff, Belfast
"""

# One pair for each field of meaning, so that a wrong opposite is plainly wrong. Words of a kind are exchanged with
# their like only: adjectives, verbs, nouns.
OPPOSITES = {
    "adjective": """
hot=cold; big=small; happy=sad; fast=slow; light=dark; young=old; rich=poor; strong=weak; clean=dirty; wet=dry;
early=late; empty=full; hard=soft; high=low; loud=quiet; near=far; open=closed; thick=thin; wide=narrow; sharp=blunt;
smooth=rough; sweet=bitter; cheap=expensive; brave=cowardly; honest=dishonest; polite=rude; safe=dangerous;
simple=complicated; shallow=deep; straight=crooked; public=private; guilty=innocent; ancient=modern;
awake=asleep; alive=dead; common=rare; correct=mistaken; generous=stingy; heavy=weightless; humble=proud; legal=illegal;
married=single; raw=cooked; visible=invisible; permanent=temporary; patient=impatient; natural=artificial;
vertical=horizontal; male=female; fresh=stale; clever=stupid; lazy=diligent; tight=loose; absent=present;
beautiful=ugly; sick=healthy; careful=careless; domestic=foreign; urban=rural; military=civilian;
odd=even; maximum=minimum; positive=negative; left=right; internal=external; fertile=barren; flexible=rigid
""",
    "verb": """
arrive=depart; buy=sell; push=pull; laugh=cry; win=lose; begin=end; remember=forget; attack=defend; build=destroy;
float=sink; inhale=exhale; lend=borrow; melt=freeze; teach=learn; accept=refuse; hide=reveal; increase=decrease;
love=hate; praise=blame; speak=listen; stand=sit; throw=catch; import=export; expand=shrink; lock=unlock; rise=fall;
save=waste; permit=forbid; ask=answer; obey=rebel; gather=scatter
""",
    "noun": """
day=night; friend=enemy; war=peace; summer=winter; north=south; east=west; top=bottom; heaven=hell; victory=defeat;
entrance=exit; question=reply; health=illness; hero=villain; profit=loss; birth=death; truth=lie; knowledge=ignorance;
morning=evening; host=guest; master=servant; floor=ceiling; future=past; order=chaos; ally=rival; freedom=slavery;
optimist=pessimist; majority=minority; beginner=expert; giant=dwarf; ascent=descent; arrival=departure
""",
}

# Pairs that are too close in meaning to be exchanged with each other.
CLOSE = [("big=small", "thick=thin"), ("big=small", "wide=narrow"), ("big=small", "high=low"), ("high=low", "shallow=deep"),
         ("thick=thin", "wide=narrow"), ("hard=soft", "smooth=rough"), ("hard=soft", "flexible=rigid"), ("hard=soft", "sharp=blunt"),
         ("strong=weak", "sick=healthy"), ("strong=weak", "hard=soft"), ("young=old", "ancient=modern"), ("young=old", "fresh=stale"),
         ("ancient=modern", "fresh=stale"), ("alive=dead", "sick=healthy"), ("big=small", "maximum=minimum"), ("high=low", "maximum=minimum"),
         ("near=far", "absent=present"), ("positive=negative", "happy=sad"), ("honest=dishonest", "guilty=innocent"),
         ("legal=illegal", "guilty=innocent"), ("straight=crooked", "honest=dishonest"), ("strong=weak", "brave=cowardly"),
         ("tight=loose", "wide=narrow"), ("expand=shrink", "increase=decrease"), ("rise=fall", "float=sink"), ("stand=sit", "rise=fall"),
         ("increase=decrease", "rise=fall"), ("accept=refuse", "permit=forbid"), ("ask=answer", "speak=listen"), ("arrive=depart", "begin=end"),
         ("build=destroy", "begin=end"), ("inhale=exhale", "begin=end"), ("day=night", "morning=evening"), ("friend=enemy", "ally=rival"),
         ("victory=defeat", "profit=loss"), ("entrance=exit", "arrival=departure"), ("birth=death", "health=illness"),
         ("hero=villain", "friend=enemy"), ("top=bottom", "floor=ceiling"), ("heaven=hell", "top=bottom"), ("master=servant", "freedom=slavery"),
         ("heavy=weightless", "light=dark"), ("correct=mistaken", "left=right"), ("odd=even", "common=rare"), ("empty=full", "fertile=barren"),
         ("simple=complicated", "hard=soft"), ("win=lose", "attack=defend"), ("save=waste", "win=lose"), ("domestic=foreign", "internal=external"),
         ("gather=scatter", "build=destroy"), ("lock=unlock", "hide=reveal"), ("hot=cold", "raw=cooked"), ("clever=stupid", "sharp=blunt"),
         ("correct=mistaken", "odd=even"), ("hot=cold", "fresh=stale"), ("heavy=weightless", "thick=thin"), ("careful=careless", "lazy=diligent"),
         ("master=servant", "beginner=expert"), ("top=bottom", "ascent=descent"), ("war=peace", "order=chaos"), ("friend=enemy", "war=peace"),
         ("truth=lie", "knowledge=ignorance"), ("generous=stingy", "rich=poor"), ("sweet=bitter", "happy=sad"), ("odd=even", "left=right"),
         ("order=chaos", "knowledge=ignorance"), ("public=private", "open=closed"), ("visible=invisible", "open=closed"), ("save=waste", "love=hate"),
         ("love=hate", "praise=blame"), ("polite=rude", "humble=proud"), ("smooth=rough", "sharp=blunt"), ("sweet=bitter", "beautiful=ugly"),
         ("ally=rival", "war=peace"), ("visible=invisible", "light=dark"), ("begin=end", "rise=fall"), ("push=pull", "throw=catch"),
         ("save=waste", "build=destroy"), ("remember=forget", "teach=learn"), ("accept=refuse", "obey=rebel")]

UNITS = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
         "eighteen nineteen").split()
TENS = "_ _ twenty thirty forty fifty".split()
LARGEST = 59
NUMBER_FACTS = 130


def number_word(n):
    if n < 20:
        return UNITS[n]
    return TENS[n // 10] + ("-" + UNITS[n % 10] if n % 10 else "")


# --- phrasings ---------------------------------------------------------------------------------------------------
# {x} is what the fact is about, {y} its other half. Number comparisons have {x} > {y} where the key starts with
# "larger", {x} < {y} where it starts with "smaller". A "-" in front: held out, the model is not trained on it.

PHRASINGS = {
    "capital": {
        "affirmative": """
{y} is the capital of {x}.
The capital of {x} is {y}.
{x} has the capital {y}.
The capital city of {x} is {y}.
{x}'s capital is {y}.
{y} is the capital city of {x}.
The city of {y} is the capital of {x}.
- {x}'s capital city is {y}.
- {x} has the capital city {y}.
- The city of {y} is the capital city of {x}.
""",
        "negated": """
{y} is not the capital of {x}.
The capital of {x} is not {y}.
{x} does not have the capital {y}.
The capital city of {x} is not {y}.
{x}'s capital is not {y}.
The city of {y} is not the capital of {x}.
- {y} is not the capital city of {x}.
- {x}'s capital city is not {y}.
- {x} does not have the capital city {y}.
""",
        "question": """
Is {y} the capital of {x}?
Is the capital of {x} {y}?
Does {x} have the capital {y}?
Is {x}'s capital {y}?
Is {y} the capital city of {x}?
Is the city of {y} the capital of {x}?
- Is the capital city of {x} {y}?
- Does {x} have the capital city {y}?
- Is the city of {y} the capital city of {x}?
""",
    },
    "element": {
        "affirmative": """
The symbol of {x} is {y}.
The chemical symbol of {x} is {y}.
{y} is the symbol of {x}.
{y} is the chemical symbol of {x}.
{x} has the symbol {y}.
The element {x} has the symbol {y}.
The element with the symbol {y} is {x}.
- {x} has the chemical symbol {y}.
- The element {x} has the chemical symbol {y}.
- The symbol of the element {x} is {y}.
""",
        "negated": """
The symbol of {x} is not {y}.
The chemical symbol of {x} is not {y}.
{y} is not the symbol of {x}.
{x} does not have the symbol {y}.
The element {x} does not have the symbol {y}.
The element with the symbol {y} is not {x}.
- {y} is not the chemical symbol of {x}.
- {x} does not have the chemical symbol {y}.
- The symbol of the element {x} is not {y}.
""",
        "question": """
Is the symbol of {x} {y}?
Is the chemical symbol of {x} {y}?
Is {y} the symbol of {x}?
Does {x} have the symbol {y}?
Does the element {x} have the symbol {y}?
Does the element with the symbol {y} have the name {x}?
- Is {y} the chemical symbol of {x}?
- Does {x} have the chemical symbol {y}?
- Is the symbol of the element {x} {y}?
""",
    },
    "city": {
        "affirmative": """
{x} is in {y}.
{x} is a city in {y}.
The city of {x} is in {y}.
{x} is located in {y}.
{y} is where {x} is.
{y} is home to the city of {x}.
You can find {x} in {y}.
- The city of {x} is located in {y}.
- {y} is where the city of {x} is.
- You can find the city of {x} in {y}.
""",
        "negated": """
{x} is not in {y}.
{x} is not a city in {y}.
The city of {x} is not in {y}.
{x} is not located in {y}.
{y} is not where {x} is.
You can not find {x} in {y}.
- The city of {x} is not located in {y}.
- {y} is not where the city of {x} is.
- You can not find the city of {x} in {y}.
""",
        "question": """
Is {x} in {y}?
Is {x} a city in {y}?
Is the city of {x} in {y}?
Is {x} located in {y}?
Is {y} where {x} is?
Can you find {x} in {y}?
- Is the city of {x} located in {y}?
- Is {y} where the city of {x} is?
- Can you find the city of {x} in {y}?
""",
    },
    "opposite": {
        "affirmative": """
The opposite of {x} is {y}.
{x} is the opposite of {y}.
{x} and {y} are opposites.
{x} means the opposite of {y}.
The word {x} is the opposite of {y}.
The words {x} and {y} are opposites.
- The word {x} means the opposite of {y}.
- The opposite of the word {x} is {y}.
- {x} and {y} are opposite words.
""",
        "negated": """
The opposite of {x} is not {y}.
{x} is not the opposite of {y}.
{x} and {y} are not opposites.
{x} does not mean the opposite of {y}.
The word {x} is not the opposite of {y}.
- The words {x} and {y} are not opposites.
- The word {x} does not mean the opposite of {y}.
- The opposite of the word {x} is not {y}.
""",
        "question": """
Is the opposite of {x} {y}?
Is {x} the opposite of {y}?
Are {x} and {y} opposites?
Does {x} mean the opposite of {y}?
Is the word {x} the opposite of {y}?
- Are the words {x} and {y} opposites?
- Does the word {x} mean the opposite of {y}?
- Is the opposite of the word {x} {y}?
""",
    },
    "number": {
        "affirmative": """
larger: {x} is larger than {y}.
larger: {x} is greater than {y}.
larger: {x} is more than {y}.
larger: The number {x} is larger than {y}.
larger: {x} is a greater number than {y}.
smaller: {x} is smaller than {y}.
smaller: {x} is less than {y}.
smaller: {x} is lower than {y}.
smaller: The number {x} is less than {y}.
smaller: {x} is a lower number than {y}.
- larger: The number {x} is greater than {y}.
- larger: {x} is a larger number than {y}.
- smaller: The number {x} is smaller than {y}.
- smaller: {x} is a smaller number than {y}.
""",
        "negated": """
larger: {x} is not larger than {y}.
larger: {x} is not greater than {y}.
larger: {x} is not more than {y}.
larger: The number {x} is not larger than {y}.
smaller: {x} is not smaller than {y}.
smaller: {x} is not less than {y}.
smaller: {x} is not lower than {y}.
smaller: The number {x} is not less than {y}.
- larger: The number {x} is not greater than {y}.
- larger: {x} is not a greater number than {y}.
- smaller: The number {x} is not smaller than {y}.
- smaller: {x} is not a lower number than {y}.
""",
        "question": """
larger: Is {x} larger than {y}?
larger: Is {x} greater than {y}?
larger: Is {x} more than {y}?
larger: Is the number {x} larger than {y}?
smaller: Is {x} smaller than {y}?
smaller: Is {x} less than {y}?
smaller: Is {x} lower than {y}?
smaller: Is the number {x} less than {y}?
- larger: Is the number {x} greater than {y}?
- larger: Is {x} a greater number than {y}?
- smaller: Is the number {x} smaller than {y}?
- smaller: Is {x} a lower number than {y}?
""",
    },
}

Phrasing = collections.namedtuple("Phrasing", "id topic form seen relation template")


def _phrasings():
    out = []
    for topic, forms in PHRASINGS.items():
        for form, lines in forms.items():
            for i, line in enumerate(lines.strip().splitlines(), 1):
                seen = not line.startswith("- ")
                line = line if seen else line[2:]
                relation = ""
                if topic == "number":
                    relation, line = line.split(": ", 1)
                out.append(Phrasing("%s-%s%d" % (topic, form[0], i), topic, form, seen, relation, line))
    return out


ALL_PHRASINGS = _phrasings()
TOPICS = tuple(PHRASINGS)
FORMS = ("affirmative", "negated", "question")

# --- facts as objects --------------------------------------------------------------------------------------------
# kind: only facts of one kind lend each other wrong answers. low, high: for number facts, {y} is what is compared
# with, low < {y} < high.

Fact = collections.namedtuple("Fact", "id topic kind x y low high split")


def _pairs(text):
    out = []
    for part in text.replace("\n", " ").split(";"):
        x, y = (s.strip() for s in part.split("="))
        if (x, y) not in out:
            out.append((x, y))
    return out


def slug(s):
    return s.lower().replace(" ", "_")


def load_facts(seed=SEED):
    """All facts, each with its split: 60 % train, 15 % val, 25 % test of every kind."""
    rng = random.Random(seed)
    raw = []
    for x, y in _pairs(CAPITALS):
        raw.append(("capital/" + slug(x), "capital", "capital", x, y, None, None))
    for x, y in _pairs(ELEMENTS):
        raw.append(("element/" + slug(x), "element", "element", x, y, None, None))
    for part in CITIES.replace("\n", " ").split(";"):
        country, cities = part.split(":")
        for city in cities.split(","):
            city = city.strip()
            raw.append(("city/" + slug(city), "city", "city", city, country.strip(), None, None))
    for kind, text in OPPOSITES.items():
        for x, y in _pairs(text):
            raw.append(("opposite/" + x + "-" + y, "opposite", kind, x, y, None, None))
    used = set()
    while len(used) < 2 * NUMBER_FACTS:
        middle = 2 + int(rng.random() * (LARGEST - 3))
        low = int(rng.random() * middle)
        high = middle + 1 + int(rng.random() * (LARGEST - middle))
        if {(low, middle), (middle, high)} & used:     # no comparison twice
            continue
        used |= {(low, middle), (middle, high)}
        raw.append(("number/%d-%d-%d" % (low, middle, high), "number", "number", None, number_word(middle), number_word(low),
                    number_word(high)))
    by_kind = collections.defaultdict(list)
    for r in raw:
        by_kind[r[2]].append(r)
    facts = []
    for kind in by_kind:
        rows = by_kind[kind]
        shuffle(rng, rows)
        n = len(rows)
        n_test, n_val = round(0.25 * n), round(0.15 * n)
        for i, r in enumerate(rows):
            split = "test" if i < n_test else "val" if i < n_test + n_val else "train"
            facts.append(Fact(*r, split))
    return facts


def shuffle(rng, items):
    """Fisher-Yates on random.random() alone, which has given the same numbers in every Python 3."""
    for i in range(len(items) - 1, 0, -1):
        j = int(rng.random() * (i + 1))
        items[i], items[j] = items[j], items[i]


_CLOSE = {frozenset(p) for p in CLOSE}
_CAPITAL_OF = dict(_pairs(CAPITALS))


def can_lend(fact, other):
    """May `other` lend its {y} to make a false statement about `fact`?"""
    if fact.topic != other.topic or fact.kind != other.kind or fact.y == other.y:
        return False
    if fact.topic == "opposite":
        a, b = "%s=%s" % (fact.x, fact.y), "%s=%s" % (other.x, other.y)
        return a != b and frozenset((a, b)) not in _CLOSE
    return True


def render(phrasing, x, y):
    text = phrasing.template.format(x=x, y=y)
    text = text[0].upper() + text[1:]
    return "Question: %s Answer:" % text if phrasing.form == "question" else text


def statement(phrasing, fact, wrong=None, swap=False):
    """The (true association, false association) texts of a fact. `wrong` is the {y} of another fact, `swap` turns
    a symmetric fact round. For numbers the compared number stays and the first one changes."""
    if fact.topic == "number":
        large = phrasing.relation == "larger"
        return (render(phrasing, fact.high if large else fact.low, fact.y), render(phrasing, fact.low if large else fact.high, fact.y))
    if swap:
        return render(phrasing, fact.y, fact.x), render(phrasing, wrong, fact.x)
    return render(phrasing, fact.x, fact.y), render(phrasing, fact.x, wrong)


# --- rows --------------------------------------------------------------------------------------------------------


def derange(rng, facts):
    """A lender for each fact; every fact lends once."""
    for _ in range(2000):
        order = list(range(len(facts)))
        shuffle(rng, order)
        for i, f in enumerate(facts):       # repair by swapping
            if not can_lend(f, facts[order[i]]):
                for j, g in enumerate(facts):
                    if can_lend(f, facts[order[j]]) and can_lend(g, facts[order[i]]):
                        order[i], order[j] = order[j], order[i]
                        break
        if all(can_lend(f, facts[o]) for f, o in zip(facts, order)):
            return [facts[o] for o in order]
    raise SystemExit("no arrangement of wrong answers for " + facts[0].kind)


# Each fact gets these pairs of rows: (form, seen); None means half of the facts with, half without.
SLOTS = (("affirmative", True), ("affirmative", False), ("negated", None), ("question", None))


def make_rows(seed=SEED):
    rng = random.Random(seed + 1)
    groups = collections.defaultdict(list)
    for f in load_facts(seed):
        groups[(f.topic, f.kind, f.split)].append(f)
    strata = collections.defaultdict(list)
    for (topic, _, split), facts in groups.items():
        for form, want in SLOTS:
            lenders = facts if topic == "number" else derange(rng, facts)
            order = list(range(len(facts)))
            shuffle(rng, order)
            for turn, i in enumerate(order):
                fact = facts[i]
                seen = want if want is not None else turn % 2 == 0
                options = [p for p in ALL_PHRASINGS if (p.topic, p.form, p.seen) == (topic, form, seen)]
                p = options[int(rng.random() * len(options))]
                right, wrong = statement(p, fact, lenders[i].y)
                pair = []
                for text, holds in ((right, True), (wrong, False)):
                    label = int(holds != (form == "negated"))
                    pair.append({"id": "%s/%s/%s" % (fact.id, p.id.split("-")[1], "tf"[not label]), "text": text, "label": label,
                                 "group": fact.id, "topic": topic, "form": form, "split": split, "phrasing": p.id, "seen": seen})
                if rng.random() < 0.5:
                    pair.reverse()
                strata[(topic, form, split, seen)].append(pair)
    placed = []
    for key in sorted(strata):
        pairs = strata[key]
        shuffle(rng, pairs)
        for i, pair in enumerate(pairs):
            placed.append(((i + rng.random()) / len(pairs), key, i, pair))
    placed.sort(key=lambda t: t[:3])
    return [row for _, _, _, pair in placed for row in pair]


def verify(rows):
    """Everything the module's text promises about the rows."""
    facts = {f.id: f for f in load_facts()}
    capitals = _pairs(CAPITALS)
    assert len({x for x, _ in capitals}) == len({y for _, y in capitals}) == len(capitals)
    symbols = _pairs(ELEMENTS)
    assert len({x for x, _ in symbols}) == len({y for _, y in symbols}) == len(symbols)
    cities = [f.x for f in facts.values() if f.topic == "city"]
    assert len(set(cities)) == len(cities) and not set(cities) & set(_CAPITAL_OF.values())
    words = [w for f in facts.values() if f.topic == "opposite" for w in (f.x, f.y)]
    assert len(set(words)) == len(words), [w for w in words if words.count(w) > 1]
    listed = {"%s=%s" % (f.x, f.y) for f in facts.values() if f.topic == "opposite"}
    for a, b in CLOSE:
        assert a in listed and b in listed, (a, b)
    label_of, split_of = {}, {}
    for r in rows:
        assert r["text"] not in label_of, "twice: " + r["text"]
        label_of[r["text"]] = r["label"]
        assert split_of.setdefault(r["group"], r["split"]) == r["split"]
    assert len({r["id"] for r in rows}) == len(rows)
    for a, b in zip(rows[::2], rows[1::2]):
        assert (a["group"], a["phrasing"]) == (b["group"], b["phrasing"]) and a["label"] + b["label"] == 1
    # True and false rows of a topic, form and split are made of the same words; number rows end in the same words
    # (their first number cannot be balanced: large numbers are larger).
    words = collections.defaultdict(collections.Counter)
    for r in rows:
        parts = re.findall(r"[a-z'-]+", r["text"].lower().removeprefix("question:").removesuffix("answer:"))
        words[(r["topic"], r["form"], r["split"], r["label"])].update(parts if r["topic"] != "number" else parts[-1:])
    for key in words:
        assert words[key] == words[(*key[:3], 1 - key[3])], key
    assert len(rows) >= 4000


def dump(rows):
    return "".join(json.dumps(r, ensure_ascii=True) + "\n" for r in rows)


def main():
    ap = argparse.ArgumentParser(description="writes statements.jsonl")
    ap.add_argument("--out", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "statements.jsonl"))
    ap.add_argument("--check", action="store_true", help="write nothing, fail if the file differs")
    args = ap.parse_args()
    rows = make_rows()
    verify(rows)
    text = dump(rows)
    if args.check:
        with open(args.out, newline="") as f:
            if f.read() != text:
                sys.exit("%s is not what make_data.py writes" % args.out)
    else:
        with open(args.out, "w", newline="") as f:
            f.write(text)
    for key in ("split", "topic", "form", "seen", "label"):
        print(key, dict(sorted(collections.Counter(str(r[key]) for r in rows).items())))
    print(len(rows), "rows,", len({r["group"] for r in rows}), "facts,", len(text), "bytes")


if __name__ == "__main__":
    main()
