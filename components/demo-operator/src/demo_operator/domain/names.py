"""Material for made-up people and places: no real person, street or town is meant."""

from __future__ import annotations

GIVEN_NAMES: tuple[str, ...] = (
    *(
        "Ada",
        "Alan",
        "Amina",
        "Anders",
        "Anna",
        "Arjun",
        "Astrid",
        "Bela",
        "Boris",
        "Carla",
        "Cecilia",
        "Chen",
        "Clara",
    ),
    *("Daniel", "Daria", "Dilan", "Edgar", "Elena", "Elif", "Emil", "Esther", "Fatima", "Felix", "Fiona", "Frida"),
    *("Gita", "Greta", "Hana", "Hugo", "Ines", "Ivan", "Jana", "Jonas", "Julia", "Kaito", "Karim", "Katja", "Kofi"),
    *("Lars", "Layla", "Leon", "Lina", "Luca", "Maja", "Marco", "Maria", "Mateo", "Mei", "Milan", "Mina", "Nadia"),
    *("Nils", "Noor", "Olga", "Omar", "Oscar", "Paula", "Pedro", "Petra", "Priya", "Rafael", "Ravi", "Rosa", "Sami"),
    *("Sara", "Selma", "Simon", "Sofia", "Stefan", "Tara", "Theo", "Tomas", "Uma", "Vera", "Viktor", "Yara", "Zoe"),
)
FAMILY_NAMES: tuple[str, ...] = (
    *("Abbas", "Adler", "Almeida", "Andersson", "Baker", "Banerjee", "Barros", "Becker", "Berg", "Bianchi", "Bosch"),
    *("Brandt", "Castro", "Chowdhury", "Costa", "Dahl", "Demir", "Diaz", "Dubois", "Eriksen", "Farkas", "Ferrari"),
    *("Fischer", "Fontaine", "Garcia", "Georgiou", "Gruber", "Haddad", "Hansen", "Hoffmann", "Horvat", "Ibrahim"),
    *("Ivanova", "Jansen", "Jensen", "Kaya", "Keller", "Khan", "Kim", "Kovacs", "Kowalska", "Kumar", "Laine", "Larsen"),
    *("Leroy", "Lindqvist", "Lopez", "Marin", "Martens", "Mensah", "Meyer", "Molnar", "Moreau", "Nagy", "Nakamura"),
    *("Nguyen", "Novak", "Okafor", "Olsen", "Papadopoulos", "Park", "Patel", "Pereira", "Petrov", "Popescu", "Ricci"),
    *("Rossi", "Sanchez", "Santos", "Sato", "Schmidt", "Silva", "Singh", "Sokolov", "Svensson", "Tanaka", "Toth"),
    *("Varga", "Virtanen", "Wagner", "Weber", "Wong", "Yilmaz", "Zhang", "Zimmer"),
)
AREA_NAMES: tuple[str, ...] = (
    *("Northgate", "Harbourside", "Millbrook", "Old Town", "Eastfield", "Ironworks", "Lakeview", "Southmoor"),
    *("Westhaven", "Hillcrest", "Riverbend", "Stonebridge", "Fairholt", "Ashdown", "Kingsmead", "Portway"),
)
STREETS: tuple[str, ...] = (
    *("Mill Lane", "Station Road", "Orchard Street", "Bridge Street", "Garden Row", "Chapel Hill", "Market Square"),
    *("Quay Street", "Linden Avenue", "School Road", "Foundry Street", "Meadow Way", "Tower Street", "Canal Walk"),
)
PHONE_MODELS: tuple[str, ...] = (
    "Aster 5",
    "Aster 7 Pro",
    "Corvid X",
    "Corvid Lite",
    "Halo 12",
    "Halo 14",
    "Nimbus One",
)
