"""Questions to the ledger: what is known of customers now, and of those whose outcome is known, before it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from churn_prediction.domain.features import Feature, Group, Kind, Record, Refusal, Value
from churn_prediction.readings import LIVE_ORIGIN
from tmfkit import Transaction

MAX_EVIDENCE = 10


@dataclass(frozen=True)
class Known:
    """A customer as known now. `evidence` are references to the week's experience scores, newest first, each followed
    by what its cause names; `problems` the ids of those causes."""

    id: str
    name: str | None
    href: str | None
    values: dict[str, Value]
    as_of: datetime
    evidence: tuple[dict[str, Any], ...]
    problems: frozenset[str]

    @property
    def record(self) -> Record:
        return {"id": self.id, "as_of": self.as_of, "features": self.values}


def value(text: str | None, kind: str) -> Value:
    return float(text) if text is not None and kind == Kind.NUMERIC else text


async def customers(tx: Transaction, ids: Sequence[str], past_status: str, now: datetime) -> list[Known]:
    """Those of the customers who are there and not past, in order of id, their rows locked; as of now."""
    rows = await tx.fetch(
        "SELECT id, name, href FROM customer WHERE id = ANY($1) AND status IS DISTINCT FROM $2 ORDER BY id"
        " FOR NO KEY UPDATE",
        list(ids), past_status,
    )  # fmt: skip
    found = [r["id"] for r in rows]
    values: dict[str, dict[str, Value]] = {id: {} for id in found}
    as_of = dict.fromkeys(found, now)
    for r in await tx.fetch(
        "SELECT DISTINCT ON (customer_id, feature) customer_id, feature, value, kind, as_of FROM feature_row"
        " WHERE customer_id = ANY($1) ORDER BY customer_id, feature, as_of DESC, seq DESC",
        found,
    ):
        values[r["customer_id"]][r["feature"]] = value(r["value"], r["kind"])
        as_of[r["customer_id"]] = max(as_of[r["customer_id"]], r["as_of"])
    evidence, problems = await _evidence(tx, found)
    return [
        Known(
            r["id"], r["name"], r["href"], values[r["id"]], as_of[r["id"]],
            tuple(evidence.get(r["id"], {}).values()), frozenset(problems.get(r["id"], ())),
        )
        for r in rows
    ]  # fmt: skip


async def _evidence(
    tx: Transaction, ids: list[str]
) -> tuple[dict[str, dict[tuple[str, str], dict[str, Any]]], dict[str, set[str]]]:
    evidence: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
    problems: dict[str, set[str]] = {}
    for r in await tx.fetch(
        "SELECT customer_id, score_id, score_href, cause::text AS cause FROM observation"
        " WHERE customer_id = ANY($1) ORDER BY customer_id, ended_at DESC, score_id",
        ids,
    ):
        of_customer = evidence.setdefault(r["customer_id"], {})
        score = {"id": r["score_id"], "href": r["score_href"], "@referredType": "ExperienceScore"}
        causes = [
            {"id": c["id"], "href": c.get("href"), "@referredType": c.get("@referredType") or "ServiceProblem"}
            for c in orjson.loads(r["cause"])
        ]
        problems.setdefault(r["customer_id"], set()).update(c["id"] for c in causes)
        for reference in (score, *causes):
            key = (reference["@referredType"], reference["id"])
            if key in of_customer or len(of_customer) < MAX_EVIDENCE:
                of_customer.setdefault(key, {k: v for k, v in reference.items() if v is not None})
    return evidence, problems


async def labelled(tx: Transaction) -> list[Record]:
    """Customers whose outcome is known, in order of id, with what was told of them no later than the outcome. Live
    experience features are left out: they hold what came after the snapshot."""
    records: dict[str, Record] = {}
    for r in await tx.fetch("SELECT customer_id, churned, label_from, told_at FROM outcome ORDER BY customer_id"):
        records[r["customer_id"]] = {
            "id": r["customer_id"],
            "as_of": r["told_at"],
            "features": {},
            "origins": {},
            "churned": r["churned"],
            "label_from": r["label_from"],
        }
    newest: dict[str, datetime] = {}
    for r in await tx.fetch(
        "SELECT DISTINCT ON (f.customer_id, f.feature) f.customer_id, f.feature, f.value, f.kind, f.as_of, f.origin"
        " FROM feature_row f JOIN outcome o ON o.customer_id = f.customer_id AND f.as_of <= o.told_at"
        " WHERE f.origin <> $1 ORDER BY f.customer_id, f.feature, f.as_of DESC, f.seq DESC",
        LIVE_ORIGIN,
    ):
        id = r["customer_id"]
        features, origins = records[id]["features"], records[id]["origins"]
        assert isinstance(features, dict) and isinstance(origins, dict)  # made above; the type is wider
        features[r["feature"]] = value(r["value"], r["kind"])
        origins[r["feature"]] = r["origin"]
        newest[id] = max(newest.get(id, r["as_of"]), r["as_of"])
    for id, at in newest.items():
        records[id]["as_of"] = at
    return list(records.values())


async def declared(tx: Transaction) -> tuple[list[Feature], list[Refusal]]:
    """The features that labelled customers have, in order of name; and what the ledger did not let in. A name that is
    anybody's outcome or protected attribute is no feature of anybody."""
    apart = {r["name"] for r in await tx.fetch("SELECT name FROM outcome UNION SELECT name FROM protected")}
    rows = await tx.fetch(
        "SELECT name, kind, driver_group, origin, reviewed FROM feature WHERE name IN ("
        " SELECT r.feature FROM feature_row r JOIN outcome USING (customer_id) WHERE r.value IS NOT NULL)"
        ' ORDER BY name COLLATE "C"'
    )
    refused = [
        Refusal(r["name"], f"{r['why']} ({r['count']} times)")
        for r in await tx.fetch("SELECT name, why, count FROM refusal ORDER BY name, why")
    ]
    refused += [
        Refusal(r["name"], "others carry it as an outcome or protected attribute") for r in rows if r["name"] in apart
    ]
    features = [
        Feature(r["name"], Kind(r["kind"]), Group(r["driver_group"]), r["origin"], r["reviewed"])
        for r in rows
        if r["name"] not in apart
    ]
    return features, refused
