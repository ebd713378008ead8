"""A CRD file (apiextensions.k8s.io/v1) as facts: the schema of each version that it serves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from oda_ctk.component.cel import NotUnderstood, parsed
from oda_ctk.component.schema import JSON_TYPES, MEASURES, Node, component_v1

Key = tuple[str, str, str]
"""Group, version, kind."""
OPEN = "x-kubernetes-preserve-unknown-fields"


def from_crd(document: Any) -> dict[Key, Node]:
    """The schemas of a CRD; ValueError when it is none, NotUnderstood for a rule beyond the language known here."""
    if not isinstance(document, dict) or document.get("kind") != "CustomResourceDefinition":
        raise ValueError("not a CustomResourceDefinition")
    if document.get("apiVersion") != "apiextensions.k8s.io/v1":
        raise ValueError("only apiextensions.k8s.io/v1 is read")
    spec = document["spec"]
    found: dict[Key, Node] = {}
    for version in spec["versions"]:
        whole = _node(version.get("schema", {}).get("openAPIV3Schema", {OPEN: True, "type": "object"}))
        envelope = {name: component_v1().properties[name] for name in ("apiVersion", "kind", "metadata")}
        node = replace(whole, properties={**envelope, **whole.properties}, required=whole.required | envelope.keys())
        if version.get("served", True):
            found[spec["group"], version["name"], spec["names"]["kind"]] = node
    return found


def _node(facts: Mapping[str, Any]) -> Node:
    kind = facts.get("type", "")
    if kind and kind not in JSON_TYPES:
        raise ValueError(f"{kind!r} is no type of a schema")
    more = facts.get("additionalProperties")
    rules = tuple(" ".join(str(r["rule"]).split()) for r in facts.get("x-kubernetes-validations", ()))
    for rule in rules:
        if "oldSelf" not in rule:
            parsed(rule)
    return Node(
        type=kind,
        properties={name: _node(one) for name, one in facts.get("properties", {}).items()},
        required=frozenset(facts.get("required", ())),
        items=_node(facts["items"]) if "items" in facts else None,
        values=_node(more) if isinstance(more, Mapping) else None,
        enum=tuple(facts.get("enum", ())),
        pattern=facts.get("pattern", ""),
        format=facts.get("format", ""),
        limits={name: float(facts[name]) for name in MEASURES if name in facts},
        open=bool(facts.get(OPEN)) or more is True or bool(facts.get("x-kubernetes-embedded-resource")),
        nullable=bool(facts.get("nullable")),
        int_or_string=bool(facts.get("x-kubernetes-int-or-string")),
        rules=rules,
    )


__all__ = ["Key", "NotUnderstood", "from_crd"]
