"""Ways to reach a customer: one stored shape (TMF629 v5, one class per medium) shown to v4 clients in theirs. Pure.

v5 says what a medium is by @type and writes its attributes flat; v4 has one class, says it by the free text mediumType
and puts the attributes into `characteristic`. Whatever one side has no place for is kept beside it under its own name
(v4's wording of mediumType in the stored element, v5's id and geographicAddress in the v4 element), so that a round
trip from either side loses nothing. Only a class goes from implied to said: an element without @type, or with that of
the abstract base, gets the class that its medium tells.
"""

from __future__ import annotations

from tmfkit.types import Document, Json

BASE = "ContactMedium"
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "EmailContactMedium": ("emailAddress",),
    "PhoneContactMedium": ("phoneNumber",),
    "FaxContactMedium": ("faxNumber",),
    "SocialContactMedium": ("socialNetworkId",),
    "GeographicAddressContactMedium": ("street1", "street2", "city", "postCode", "stateOrProvince", "country"),
}
CHARACTERISTICS = frozenset({"contactType", *(a for names in ATTRIBUTES.values() for a in names)})
MEDIUM_TYPE = {
    "EmailContactMedium": "email",
    "PhoneContactMedium": "phone",
    "FaxContactMedium": "fax",
    "SocialContactMedium": "socialNetwork",
    "GeographicAddressContactMedium": "postalAddress",
    BASE: "other",
}
WORDS = {
    "email": "EmailContactMedium",
    "emailaddress": "EmailContactMedium",
    "phone": "PhoneContactMedium",
    "phonenumber": "PhoneContactMedium",
    "telephone": "PhoneContactMedium",
    "telephonenumber": "PhoneContactMedium",
    "mobile": "PhoneContactMedium",
    "mobilephone": "PhoneContactMedium",
    "mobilenumber": "PhoneContactMedium",
    "landline": "PhoneContactMedium",
    "sms": "PhoneContactMedium",
    "fax": "FaxContactMedium",
    "faxnumber": "FaxContactMedium",
    "social": "SocialContactMedium",
    "socialmedia": "SocialContactMedium",
    "socialnetwork": "SocialContactMedium",
    "address": "GeographicAddressContactMedium",
    "postal": "GeographicAddressContactMedium",
    "postaladdress": "GeographicAddressContactMedium",
    "mailingaddress": "GeographicAddressContactMedium",
    "geographicaddress": "GeographicAddressContactMedium",
}


def medium_class(medium_type: Json, attributes: frozenset[str]) -> str:
    """The v5 class of a v4 medium: by its word, else by the attributes that it has, else the base class."""
    word = "".join(c for c in medium_type.lower() if c.isalpha()) if isinstance(medium_type, str) else ""
    if word in WORDS:
        return WORDS[word]
    return next((name for name, own in ATTRIBUTES.items() if attributes.intersection(own)), BASE)


def down(stored: Json) -> Json:
    """A stored (v5) contact medium as v4 shows it."""
    if not isinstance(stored, dict):
        return stored
    kind = stored.get("@type") or medium_class(stored.get("mediumType"), frozenset(stored))
    rest = stored.get("characteristic")
    characteristic: Document = dict(rest) if isinstance(rest, dict) else {}
    characteristic |= {k: v for k, v in stored.items() if k in CHARACTERISTICS}
    medium_type = stored.get("mediumType", MEDIUM_TYPE.get(kind, kind))
    out: Document = {"mediumType": medium_type, "characteristic": characteristic}
    out |= {k: v for k, v in stored.items() if k not in CHARACTERISTICS and k not in ("@type", *out)}
    if "@type" in stored and kind != medium_class(medium_type, frozenset(characteristic)):
        out["@type"] = kind
    return out


def up(medium: Json) -> Json:
    """A v4 contact medium in the stored (v5) shape."""
    if not isinstance(medium, dict):
        return medium
    given = medium.get("characteristic")
    characteristic: Document = given if isinstance(given, dict) else {}
    medium_type = medium.get("mediumType")
    kind = medium.get("@type", BASE)
    if kind == BASE:
        kind = medium_class(medium_type, frozenset(characteristic))
    out: Document = {"@type": kind}
    out |= {k: v for k, v in medium.items() if k not in ("@type", "mediumType", "characteristic")}
    out |= {k: v for k, v in characteristic.items() if k in CHARACTERISTICS}
    if medium_type is not None and medium_type != MEDIUM_TYPE.get(kind, kind):
        out["mediumType"] = medium_type
    rest = {k: v for k, v in characteristic.items() if k not in CHARACTERISTICS}
    if rest:
        out["characteristic"] = rest
    return out
