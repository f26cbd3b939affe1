"""Names: stars as old catalogues have them, constellations that fell off the charts, and worlds."""

from __future__ import annotations

_STARS = """
Achernar Acrux Acubens Adhara Albireo Alcor Alcyone Aldebaran Alderamin Algieba Algol Alhena Alioth
Alkaid Alkes Almach Alnair Alnilam Alnitak Alphard Alphecca Alpheratz Alrescha Altair Aludra Ankaa
Antares Arcturus Arneb Ascella Aspidiske Atlas Atria Avior Bellatrix Betelgeuse Canopus Capella Caph
Castor Celaeno Chara Deneb Denebola Diphda Dschubba Dubhe Edasich Electra Elnath Eltanin Enif Errai
Fomalhaut Furud Gacrux Giausar Gienah Gomeisa Grumium Hadar Hamal Homam Izar Kitalpha Kochab Kornephoros
Kraz Lesath Maia Markab Matar Mebsuta Megrez Menkalinan Menkar Menkent Merak Merope Mesarthim Miaplacidus
Mimosa Mintaka Mira Mirach Mirfak Mizar Muphrid Naos Nashira Nekkar Nihal Nunki Okab Peacock Phact Phecda
Pherkad Polaris Pollux Porrima Procyon Rasalgethi Rasalhague Rastaban Regulus Rigel Rotanev Ruchbah Sabik
Sadachbia Sadalmelik Sadalsuud Sadr Saiph Sargas Scheat Schedar Seginus Shaula Sheliak Sheratan Sirius
Spica Sualocin Suhail Sulafat Syrma Talitha Tarazed Taygeta Tegmine Thuban Unukalhai Vega Vindemiatrix
Wasat Wezen Zaniah Zaurak Zavijava Zosma Zubenelgenubi Zubeneschamali
"""
STARS = tuple(_STARS.split())
"""Names in use for centuries: Greek, Latin, and Arabic as copyists heard it."""

_GREEK = """
Alpha Beta Gamma Delta Epsilon Zeta Eta Theta Iota Kappa Lambda Mu Nu Xi Omicron Pi Rho Sigma Tau Upsilon
Phi Chi Psi Omega
"""
GREEK = tuple(_GREEK.split())

LOST_CONSTELLATIONS = (
    "Anseris",
    "Antinoi",
    "Argus Navis",
    "Bufonis",
    "Cerberi",
    "Custodis Messium",
    "Felis",
    "Galli",
    "Globi Aerostatici",
    "Limacis",
    "Lochii Funis",
    "Machinae Electricae",
    "Montis Maenali",
    "Muscae Borealis",
    "Noctuae",
    "Officinae Typographicae",
    "Psalterii Georgii",
    "Quadrantis Muralis",
    "Rangiferi",
    "Roboris Carolini",
    "Sceptri Brandenburgici",
    "Tarandi",
    "Telescopii Herschelii",
    "Trianguli Minoris",
    "Turdi Solitarii",
)
"""Genitives of constellations that were once engraved and are charted no more: the cat, the owl, the slug,
the balloon, the printing press. Here they still have stars, such as Epsilon Noctuae."""

HOME_WORLDS = (
    "Arda",
    "Bellwether",
    "Candlewick",
    "Cinderhaven",
    "Dunmarrow",
    "Evenfall",
    "Fairlight",
    "Farthingale",
    "Gloaming",
    "Harrowgate",
    "Hearthstone",
    "Highmeadow",
    "Ironwold",
    "Kestrel's Rest",
    "Lantern",
    "Long Acre",
    "Marrowmere",
    "Merrow",
    "New Ithaca",
    "Nightingale",
    "Oversea",
    "Perihelion",
    "Quillon",
    "Rookhope",
    "Saltmarsh",
    "Samphire",
    "Thistledown",
    "Tidewrack",
    "Ultima",
    "Vesper",
    "Wayfarer",
    "Westering",
    "Winterbourne",
    "Yarrow",
)
"""What settlers call the place where they put down their bags."""
