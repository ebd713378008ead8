"""Documents made from a model: what the laws send. Deterministic in the seed."""

from __future__ import annotations

import enum
import math
import random
import types
import typing
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from tmfkit.query import model_fields
from tmfkit.types import Document
from tmfkit.write import Form

MAX_DEPTH = 5


def body(form: Form, seed: int, *, full: bool) -> Document:
    """A body for POST: only what is mandatory, or every attribute."""
    rng = random.Random(f"{form.view.model.__name__} {seed}")
    doc = _object(form.create_model, rng, full, 0)
    doc.pop("id", None)
    lifecycle = form.resource.lifecycle
    if lifecycle and lifecycle.attribute in doc and lifecycle.initial:
        doc[lifecycle.attribute] = lifecycle.initial
    if form.view.version != "v4":
        doc["@type"] = form.resource.name
    for name in ("@type", "@baseType", "@schemaLocation"):
        if form.view.version == "v4":
            doc.pop(name, None)
    doc.pop("@baseType", None)
    return doc


def _object(model: type[BaseModel], rng: random.Random, full: bool, depth: int) -> Document:
    out: Document = {}
    for name, info in model_fields(model).items():
        if name.startswith("@") and not info.is_required():
            continue
        if info.examples:
            if info.is_required() or full:
                out[name] = rng.choice(info.examples)
            continue
        if info.is_required() or (full and depth < MAX_DEPTH):
            value = _bounded(info.metadata, _value(info.annotation, rng, full, depth, name))
            if value is not None:
                out[name] = value
    return out


def _bounded(metadata: list[Any], value: Any) -> Any:
    """A number moved between the limits that the model sets."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    low, high = -math.inf, math.inf
    for m in metadata:
        low = max(low, *(x for n in ("ge", "gt") if (x := getattr(m, n, None)) is not None), -math.inf)
        high = min(high, *(x for n in ("le", "lt") if (x := getattr(m, n, None)) is not None), math.inf)
    if low <= value <= high and value not in (low, high):
        return value
    if math.isinf(low) or math.isinf(high):
        return value if math.isinf(low) and math.isinf(high) else (low + 1 if math.isinf(high) else high - 1)
    middle = (low + high) / 2
    return type(value)(middle)


def _value(annotation: Any, rng: random.Random, full: bool, depth: int, name: str) -> Any:
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _value(typing.get_args(annotation)[0], rng, full, depth, name)
    if origin in (typing.Union, types.UnionType):
        kinds = [a for a in typing.get_args(annotation) if a is not type(None)]
        return _value(kinds[0], rng, full, depth, name)
    if origin is typing.Literal:
        return rng.choice(typing.get_args(annotation))
    if origin in (list, set, tuple):
        kind = typing.get_args(annotation)[0]
        count = rng.randint(1, 2)
        found = [_value(kind, rng, full, depth + 1, name) for _ in range(count)]
        return [f for f in found if f is not None] or None
    if origin is dict or annotation is dict:
        return {"key": f"{name} {rng.randint(0, 9)}"}
    if isinstance(annotation, type):
        return _typed(annotation, rng, full, depth, name)
    return f"{name} {rng.randint(0, 99)}"


def _typed(kind: type, rng: random.Random, full: bool, depth: int, name: str) -> Any:
    if issubclass(kind, BaseModel):
        return _object(kind, rng, full and depth < MAX_DEPTH, depth + 1)
    if issubclass(kind, enum.Enum):
        return rng.choice(list(kind)).value
    if issubclass(kind, bool):
        return rng.random() < 0.5
    if issubclass(kind, int):
        return rng.randint(1, 9)
    if issubclass(kind, float):
        return round(rng.uniform(1, 9), 2)
    if issubclass(kind, datetime):
        return f"2026-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}T{rng.randint(0, 23):02d}:00:00Z"
    return f"{name} {rng.randint(0, 99)}"
