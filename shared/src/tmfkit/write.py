"""From what a client sends to what is stored: validation, protected attributes, life cycles, patches. No SQL."""

from __future__ import annotations

import copy
import operator
import re
from collections.abc import Iterable, Mapping, Set
from datetime import UTC, datetime
from functools import cache, cached_property
from types import MappingProxyType
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from tmfkit import patch
from tmfkit.base import LARGEST, SMALLEST, form_of, forms_of, fractions_refused, mistakes
from tmfkit.errors import BadRequest, Conflict, TmfError, from_validation
from tmfkit.http import JSON_MEDIA, JSON_PATCH, JSON_PATCH_QUERY, MERGE_PATCH
from tmfkit.query import Path, leaves, model_fields, names_of, unwrapped
from tmfkit.types import CreateOnly, Document, ReadOnly
from tmfkit.versions import View

MAX_INDEXED_BYTES = 2600
"""PostgreSQL's B-tree holds no entry larger than a third of a page, less what it needs itself."""
ClientId = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f]+$")]
"""An id that a client gives, where it may (v5)."""
MAX_BULK = 1000
"""Resources that one request may create."""
IMMUTABLE = frozenset({"id", "href", "@type", "@baseType", "@schemaLocation"})


def marked(info: Any, marker: type) -> bool:
    return any(m is marker or isinstance(m, marker) for m in info.metadata)


class Form:
    """What a client may send for one resource in one version."""

    def __init__(self, view: View, *, strict_type: bool = False) -> None:
        self.view, self.resource, self.strict_type = view, view.resource, strict_type
        fields = model_fields(view.model)
        self.read_only = frozenset(n for n, i in fields.items() if marked(i, ReadOnly)) | {
            n for n in (self.resource.created, self.resource.updated) if n
        }
        everything = {**model_fields(self.resource.model), **fields}
        self.create_only = frozenset(n for n, i in everything.items() if marked(i, CreateOnly))
        self.newer = view.newer
        self.kept_id = view.version != "v4"

    @cached_property
    def create_model(self) -> type[BaseModel]:
        """<Name>_FVO (v5) or <Name>_Create (v4): the model without what the server owns."""
        suffix = "_FVO" if self.view.version != "v4" else "_Create"
        known = {"id": (ClientId | None, None)} if self.kept_id else {}
        return self._derived(suffix, self.view.model, self.read_only | {"href", "id"}, frozenset(), known)

    @cached_property
    def update_model(self) -> type[BaseModel]:
        """<Name>_MVO (v5) or <Name>_Update (v4): everything optional, nothing that must stay."""
        suffix = "_MVO" if self.view.version != "v4" else "_Update"
        left_out = self.read_only | self.create_only | {"id", "href"}
        return self._derived(suffix, self.view.model, left_out, optional=frozenset(model_fields(self.view.model)))

    @cached_property
    def newer_model(self) -> type[BaseModel]:
        """What only a newer version declares: a client of this one may name it too, but not with another type."""
        known = frozenset(model_fields(self.resource.model))
        return self._derived("_Newer", self.resource.model, known - self.newer, optional=known)

    @cached_property
    def indexed(self) -> tuple[Path, ...]:
        """The texts in an index, which holds none that is long."""
        names = names_of(self.resource.model, *self.resource.extensions)
        found = (names(dotted) for dotted in self.resource.index)
        return tuple(path for path in found if path is not None and path.kind in ("text", "any"))

    def _derived(
        self,
        suffix: str,
        model: type[BaseModel],
        left_out: Set[str],
        optional: frozenset[str],
        more: Mapping[str, Any] = MappingProxyType({}),
    ) -> type[BaseModel]:
        fields: dict[str, Any] = dict(more)
        for name, info in model.model_fields.items():
            wire = info.alias or name
            if wire in left_out:
                continue
            info = info._copy()
            annotation: Any = info.annotation
            if wire in optional:
                annotation = annotation if info.is_required() else annotation | None
                info.default = None
            fields[name] = (annotation, info)
        return create_model(
            self.resource.name + suffix,
            __config__=ConfigDict(extra="allow", serialize_by_alias=True),
            __doc__=f"What a client may send of a {self.resource.name}.",
            **fields,
        )

    # --- POST ---

    def created(self, sent: Any, now: datetime, text: bytes | None = None) -> Document:
        """The document to store for a POST body, in the stored shape. `text`: the JSON of which `sent` was read, if
        there is one. Errors: TmfError 400, 409."""
        if not isinstance(sent, dict):
            raise BadRequest(f"a {self.resource.name} is a JSON object")
        if self.strict_type and self.view.version != "v4" and "@type" not in sent:
            raise BadRequest("@type is mandatory", attribute="@type")
        owned = self.resource.server_owned | self.read_only
        id = sent.get("id") if self.kept_id else None
        if not owned.isdisjoint(sent):  # what the server owns is passed over, whatever was sent
            sent, text = {k: v for k, v in sent.items() if k not in owned}, None
            if id is not None:
                sent["id"] = id
        self._check_newer(sent)
        doc = self.view.up(normal(self.create_model, sent, text))
        doc.setdefault("@type", self.resource.name)
        lifecycle = self.resource.lifecycle
        if lifecycle:
            if lifecycle.initial is not None:
                doc.setdefault(lifecycle.attribute, lifecycle.initial)
            known = lifecycle.states
            state = doc.get(lifecycle.attribute)
            if known and state is not None and state not in known:
                raise BadRequest(f"{state!r} is no state of a {self.resource.name}", attribute=lifecycle.attribute)
        at = rfc3339(now)
        for name in (self.resource.created, self.resource.updated):
            if name:
                doc[name] = at
        doc = self.resource.prepare(None, doc) if self.resource.prepare else doc
        self._check_indexed(doc)
        return doc

    def _check_newer(self, sent: Document) -> None:
        if named := self.newer & sent.keys():
            normal(self.newer_model, {n: sent[n] for n in named})

    def _check_indexed(self, doc: Document) -> None:
        for path in self.indexed:
            for leaf in leaves(doc, path):
                if (
                    isinstance(leaf, str)
                    and len(leaf) > MAX_INDEXED_BYTES // 4
                    and len(leaf.encode()) > MAX_INDEXED_BYTES
                ):
                    raise BadRequest(f"it has more than {MAX_INDEXED_BYTES} bytes", attribute=str(path))

    # --- PATCH ---

    def patched(self, stored: Document, sent: Any, media: str, href: str, now: datetime) -> Document:
        """The stored document after a PATCH in this version. Errors: TmfError 400, 409."""
        before = {**self.view.down(stored), "href": href}
        try:
            if media == JSON_PATCH:
                after = patch.json_patch(before, sent)
            elif media == JSON_PATCH_QUERY:
                after = patch.json_patch_query(before, sent)
            else:
                if not isinstance(sent, dict):
                    raise BadRequest("a merge patch is a JSON object")
                after = patch.merge(before, sent)
        except patch.PatchError as e:
            raise TmfError(e.reason, status=e.status, attribute=e.attribute) from e
        if not isinstance(after, dict):
            raise BadRequest("a patch may not replace the whole resource")
        self._protected(before, after, sent)
        before.pop("href")
        after.pop("href", None)
        if patch.changed(before, after):
            try:
                after = self._normal_changes(before, after)
            except BadRequest as e:
                if media in (JSON_MEDIA, MERGE_PATCH) and of_the_stored(e, sent):
                    raise Conflict(f"{e.message}, merged with what is stored", attribute=e.attribute) from e
                raise
        return self.finished(stored, self.view.merge(stored, before, after), now)

    def _normal_changes(self, before: Document, after: Document) -> Document:
        """Only what changed is judged: the rest may have come in through another version with other rules."""
        for name, info in model_fields(self.view.model).items():
            if info.is_required() and name in before and name not in after:
                raise BadRequest(f"{name} is mandatory and cannot be removed", attribute=name)
        touched = patch.changed(before, after)
        self._check_newer({k: v for k, v in after.items() if k in touched})
        kept = {k: v for k, v in after.items() if k not in touched}
        return kept | normal(self.update_model, {k: v for k, v in after.items() if k in touched})

    def _protected(self, before: Document, after: Document, sent: Any) -> None:
        owned = IMMUTABLE | self.resource.server_owned | self.read_only | self.create_only
        touched = patch.touched_server_owned(before, after, owned)
        if isinstance(sent, dict):
            touched += [n for n in sent if n in owned and sent[n] is None and n in before and n not in touched]
        if touched:
            raise BadRequest(f"{touched[0]} cannot be changed by a client", attribute=touched[0])

    def finished(self, old: Document, new: Document, now: datetime) -> Document:
        """Life cycle checked, update instant set, `prepare` run: what every change goes through."""
        if not patch.changed(old, new):
            return old
        check_move(self.resource.name, self.resource.lifecycle, old, new)
        if self.resource.prepare:
            new = self.resource.prepare(old, new)
        self._check_indexed(new)
        if self.resource.updated:
            new[self.resource.updated] = rfc3339(now)
        return new


def check_move(name: str, lifecycle: Any, old: Document, new: Document) -> None:
    """409 for a move that the published life cycle does not know."""
    if lifecycle is None or lifecycle.moves is None:
        return
    before, after = old.get(lifecycle.attribute), new.get(lifecycle.attribute)
    if before == after or before is None:
        return
    legal = lifecycle.moves.get(before, ())
    if after not in legal:
        follow = ", ".join(legal) or "nothing"
        raise Conflict(
            f"a {name} cannot go from {before} to {after}; after {before} may follow: {follow}",
            attribute=lifecycle.attribute,
        )


def of_the_stored(error: BadRequest, sent: Any) -> bool:
    """Whether all that is wrong with a merged document is what a merge patch does not say inside of its objects: of the
    patch no mistake, but it does not go with what is stored (RFC 5789 section 2.2, conflicting state)."""
    cause = error.__cause__
    return isinstance(cause, ValidationError) and all(_unsaid(place, sent) for place, _ in mistakes(cause))


def _unsaid(place: tuple[int | str, ...], sent: Any) -> bool:
    """Whether a place inside of an attribute is not in the patch. A list is sent whole."""
    value = sent
    for step in place:
        if not isinstance(value, dict):
            return False
        if step not in value:
            return len(place) > 1
        value = value[step]
    return False


def normal(model: type[BaseModel], sent: Mapping[str, Any], text: bytes | None = None) -> Document:
    """The document as it is stored: judged strictly, then as it was sent, but for nulls and instants without offset.
    `text` is the same as JSON."""
    text = text or orjson.dumps(sent)
    judge = model.__pydantic_validator__.validate_json
    try:
        judge(text, strict=True)
    except ValidationError as e:
        sent = with_whole_numbers(sent, fractions_refused(e))
        try:
            judge(orjson.dumps(sent), strict=True)
        except ValidationError as left:
            raise from_validation(left, sent) from left
    document = without_nulls(sent) if b"null" in text else dict(sent)
    return tidy(form_of(model, document), document)


def with_whole_numbers(sent: Mapping[str, Any], places: Iterable[tuple[int | str, ...]]) -> Document:
    """The document with 8 where 8.0 was written, which JSON Schema holds for the same; whole numbers have 64 bits."""
    changed = copy.deepcopy(dict(sent))
    for place in places:
        holder: Any = None
        last, value = place[0], changed
        for step in place:  # what leads no further is the name of an alternative that was tried
            if not isinstance(value, dict | list):
                break
            holder, last, value = value, step, _inside(value, step)
        # of what is smaller still, SMALLEST itself is read
        if isinstance(value, float) and value.is_integer() and SMALLEST < value <= LARGEST:
            holder[last] = int(value)
    return changed


def _inside(holder: Any, step: int | str) -> Any:
    """What is there, if anything."""
    if isinstance(holder, dict):
        return holder.get(step)
    return holder[step] if isinstance(holder, list) and isinstance(step, int) and step < len(holder) else None


def without_nulls(value: Any) -> Any:
    """An attribute that is null is an attribute that is not there."""
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    return [without_nulls(v) for v in value] if isinstance(value, list) else value


@cache
def instants(model: type[BaseModel]) -> dict[str, type[BaseModel] | None]:
    """Attributes that are instants (None) or hold some somewhere below (their model)."""
    return _instants(model, ())


def _instants(model: type[BaseModel], above: tuple[type[BaseModel], ...]) -> dict[str, type[BaseModel] | None]:
    found: dict[str, type[BaseModel] | None] = {}
    for name, info in model_fields(model).items():
        kind, _, _ = unwrapped(info.annotation)
        if not isinstance(kind, type):
            continue
        if issubclass(kind, datetime):
            found[name] = None
        elif issubclass(kind, BaseModel) and (
            kind in above
            or kind is model
            or any(_instants(m, (*above, model)) for m in (kind, *forms_of(kind).values()) if m not in above)
        ):
            found[name] = kind
    return found


def tidy(model: type[BaseModel], value: Document) -> Document:
    """Every declared instant in a form that PostgreSQL reads too, with an offset. The same document where all are."""
    out = value
    for name, inner in instants(model).items():
        held = value.get(name)
        if held is None:
            continue
        new = (
            [_tidied(inner, h, name, i) for i, h in enumerate(held)]
            if isinstance(held, list)
            else _tidied(inner, held, name)
        )
        if new != held if inner is None else not _same(new, held):
            if out is value:
                out = dict(value)
            out[name] = new
    return out


def _same(new: Any, held: Any) -> bool:
    return all(map(operator.is_, new, held)) if isinstance(held, list) else new is held


def _tidied(model: type[BaseModel] | None, value: Any, name: str, place: int | None = None) -> Any:
    if model is None:
        if _RFC3339.match(value):
            return value
        return offset_given(value, name if place is None else f"{name}[{place}]")
    if not isinstance(value, dict):
        return value
    model = form_of(model, value)
    if not instants(model):
        return value
    try:
        return tidy(model, value)
    except BadRequest as e:
        above = name if place is None else f"{name}[{place}]"
        raise BadRequest(e.message, attribute=f"{above}.{e.attribute}") from None


_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-](0\d|1[0-5]):\d\d)\Z",  # PostgreSQL ends at 15:59
    re.ASCII,
)


def offset_given(text: str, name: str) -> str:
    """Any other spelling that is an instant, in UTC where it names no usable offset. Errors: TmfError 400."""
    try:
        at = datetime.fromisoformat(text.strip().upper())
        at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise BadRequest(f"{text[:60]!r} is not an instant of RFC 3339", attribute=name) from None
    return at.isoformat().replace("+00:00", "Z")


def rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
