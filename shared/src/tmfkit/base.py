"""What every TMF object is made of. Field names are the wire names; only the '@' attributes need an alias.

A field without a default is mandatory on POST. Markers inside Annotated say what the type cannot:
ReadOnly (the server sets it), CreateOnly (a client may set it on POST, never on PATCH) and
StoredAs (an attribute of an older API version that lives under another name in the stored document).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

SMALLEST, LARGEST = -(2**63), 2**64 - 1
"""Whole numbers that orjson reads as such; what is beyond is a fraction to it, and not exact."""
Json = Any


def _given(value: Any) -> Any:
    if value is None:
        raise PydanticCustomError("missing", "it is mandatory, and null is no value")
    return value


Given = Annotated[
    Any,
    AfterValidator(_given),
    WithJsonSchema({"type": ["array", "boolean", "number", "object", "string"], "items": {}}),
]
"""Any JSON but null, for what is mandatory: an attribute that is null is an attribute that is not there."""
Document = dict[str, Any]


@dataclass(frozen=True)
class ReadOnly:
    """Set by the server alone; dropped from a POST body, a 400 when a PATCH would change it."""


@dataclass(frozen=True)
class CreateOnly:
    """May be given on POST; a 400 when a PATCH would change it."""


@dataclass(frozen=True)
class StoredAs:
    """Where an attribute of an older version lives in the stored document, and how its value is turned.

    `down` maps a stored value (for lists: one element) to the older shape, `up` the way back; both pure.
    """

    name: str
    down: Callable[[Any], Any] | None = None
    up: Callable[[Any], Any] | None = None


def _rfc3339(value: datetime) -> str:
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat().replace("+00:00", "Z")


class InstantText:
    """Marks the instants of a model, so that the door can give an offset to those that have none (write.tidy)."""


Instant = Annotated[
    datetime,
    PlainSerializer(_rfc3339, return_type=str, when_used="json-unless-none"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
    InstantText(),
]
"""date-time of the TMF files. RFC 3339 asks for an offset; TM Forum's own samples leave it out: then it is UTC.
Stored with an offset always, so that text compares as an instant in SQL."""


Forms = Mapping[str, "type[TmfModel]"]
FORM, OTHER = "<form>", "<other>"
"""In the location of a validation error: read as the form that `@type` names; read as the model that has the forms."""
FORMS = "x-forms"
"""In the JSON schema of a model with forms: the `@type` of each choice, in their order; OTHER is the model itself."""


def forms_of(model: type[BaseModel]) -> Forms:
    """The forms of a model: those that itself declares, not those of a class above it."""
    found: Forms = vars(model).get("forms", {})
    return found


def form_of(model: type[BaseModel], value: Any) -> type[BaseModel]:
    """The model of a value: the form that its `@type` names, or the model itself."""
    forms = model.__dict__.get("forms")
    if not forms or not isinstance(value, dict):
        return model
    name = value.get("@type")
    return forms.get(name, model) if isinstance(name, str) else model


def mistakes(error: ValidationError) -> list[tuple[tuple[int | str, ...], str]]:
    """Place and text of each mistake in a document. Where a form was named, only what is wrong with that form."""
    found = error.errors(include_url=False)
    named = {
        e["loc"][:i]
        for e in found
        if not e["type"].startswith("union_tag")
        for i in range(len(e["loc"]))
        if e["loc"][i] == FORM
    }
    out = []
    for e in found:
        place = e["loc"]
        if e["type"].startswith("union_tag") or any(p == OTHER and place[:i] in named for i, p in enumerate(place)):
            continue
        out.append((_in_the_document(place), e["msg"]))
    return out


def _in_the_document(place: tuple[int | str, ...]) -> tuple[int | str, ...]:
    return tuple(p for i, p in enumerate(place) if p not in (FORM, OTHER) and (i == 0 or place[i - 1] != FORM))


def fractions_refused(error: ValidationError) -> list[tuple[int | str, ...]]:
    """Places where an integer is wanted and a number with a decimal point was given."""
    return [
        _in_the_document(e["loc"])
        for e in error.errors(include_url=False)
        if e["type"] == "int_type" and isinstance(e["input"], float)
    ]


class TmfModel(BaseModel):
    """Any TMF object. Unknown attributes are kept: the standard is open for extension (TMF630 part 2)."""

    model_config = ConfigDict(extra="allow", populate_by_name=False, serialize_by_alias=True)

    forms: ClassVar[Forms] = {}
    """Value of `@type` -> the model that it stands for. A document with another `@type`, or none, is read as the model
    that has the forms; its own attributes are then an extension."""

    at_type: Annotated[str | None, Field(alias="@type")] = None
    at_baseType: Annotated[str | None, Field(alias="@baseType")] = None
    at_schemaLocation: Annotated[str | None, Field(alias="@schemaLocation")] = None

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """With forms: by `@type` (without a call to Python, as this is the hot path), else the model itself."""
        itself, forms = handler(source), forms_of(cls)
        if not forms or itself["type"] == "union":  # with forms already: the class keeps what was made once
            return itself

        def no_form(value: TmfModel) -> TmfModel:
            if value.at_type in forms:
                raise PydanticCustomError("form", "not the form that @type names")
            return value

        named = core_schema.tagged_union_schema({n: handler.generate_schema(f) for n, f in forms.items()}, "@type")
        other = core_schema.no_info_after_validator_function(no_form, itself)
        return core_schema.union_schema([(named, FORM), (other, OTHER)], mode="left_to_right")

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        found = handler(schema)
        if schema["type"] != "union":
            return found
        named, itself = found["anyOf"]
        return {"title": cls.__name__, "anyOf": [*named["oneOf"], itself], FORMS: [*forms_of(cls), OTHER]}


class Entity(TmfModel):
    """A root resource. Its `id` and `href` belong to the server."""

    id: str
    href: str


class EntityRef(TmfModel):
    """A reference to a resource that lives elsewhere."""

    id: str
    href: str | None = None
    name: str | None = None
    at_referredType: Annotated[str | None, Field(alias="@referredType")] = None


class VersionedRef(EntityRef):
    """A reference to one version of a specification or catalogue entry."""

    version: str | None = None


class TimePeriod(TmfModel):
    """Half-open interval; either end may be absent."""

    startDateTime: Instant | None = None
    endDateTime: Instant | None = None


class Quantity(TmfModel):
    amount: float | None = None
    units: str | None = None


class Duration(TmfModel):
    amount: int | None = None
    units: str | None = None


class Money(TmfModel):
    unit: str | None = None
    value: float | None = None


class ExternalIdentifier(TmfModel):
    id: str
    owner: str | None = None
    externalIdentifierType: str | None = None


class Related(TmfModel):
    """v5: something in a role. `inner` names the attribute that holds the reference; v4 wrote both flat."""

    inner: ClassVar[str]
    role: str | None = None
