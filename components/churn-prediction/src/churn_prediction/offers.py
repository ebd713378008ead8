"""Offers and assumptions as data, and the terms that the flow and a POST must agree on.

The file is the one of the package, or the operator's (OFFERS_FILE). What was read is kept in the ledger beside the
addresses of our own resources, because a task that a POST performs sees the ledger and no settings.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from churn_prediction.domain.features import Group
from churn_prediction.domain.retention import Assumptions, Offer
from churn_prediction.resources import AiModel, PartyRoleRiskAssessment, QueryProductRecommendation
from churn_prediction.settings import ChurnSettings
from tmfkit import Context, Transaction

log = logging.getLogger(__name__)
PUBLISHED = (AiModel, PartyRoleRiskAssessment, QueryProductRecommendation)


class OffersError(ValueError):
    """The file of offers is wrong; the message names the file and the entry."""


@dataclass(frozen=True)
class Terms:
    """What a recommendation rests on besides the model. `addresses`: resource name -> where it is served."""

    offers: tuple[Offer, ...]
    assumptions: Assumptions
    margin_ratio: float
    charge_features: tuple[str, ...]
    past_status: str
    offer_valid_days: int
    addresses: Mapping[str, str]

    def monthly_margin(self, values: Mapping[str, Any]) -> float | None:
        """Monthly charge times the margin ratio, in the currency of the offers; None when no charge is known."""
        charge = next((values[n] for n in self.charge_features if isinstance(values.get(n), float)), None)
        return None if charge is None else self.margin_ratio * float(charge)

    def reference(self, resource: str, id: str) -> dict[str, str]:
        """id, type and, as far as the address is known, href of one of our own resources."""
        address = self.addresses.get(resource)
        href = {"href": f"{address}/{quote(id, safe='')}"} if address else {}
        return {"id": id, **href, "@referredType": resource}


def _offer(entry: Mapping[str, Any]) -> Offer:
    return Offer(
        str(entry["id"]),
        str(entry["name"]),
        float(entry["cost"]),
        float(entry["contactCost"]),
        float(entry["acceptanceIfLeaving"]),
        float(entry["acceptanceIfStaying"]),
        float(entry["stayGivenAcceptance"]),
        frozenset(Group(g) for g in entry.get("addresses", ())),
        float(entry.get("provokedChurn", 0.0)),
    )


def parse(document: Any, where: str) -> tuple[tuple[Offer, ...], Assumptions, float]:
    """Offers, assumptions and margin ratio of a parsed file. Raises OffersError saying where it is wrong."""
    at = "the file"
    try:
        assumptions = Assumptions(
            int(document["horizonMonths"]),
            float(document["annualDiscountRate"]),
            float(document["monthlyHazardAfterSave"]),
            str(document["currency"]),
            str(document["source"]),
        )
        margin_ratio = float(document["marginRatio"])
        offers = []
        for i, entry in enumerate(document["offers"]):
            at = f"offers[{i}]"
            offers.append(_offer(entry))
    except KeyError as e:
        raise OffersError(f"{where}, {at}: {e.args[0]} is missing") from e
    except (TypeError, ValueError, AttributeError) as e:
        raise OffersError(f"{where}, {at}: {e}") from e
    return tuple(offers), assumptions, margin_ratio


@lru_cache(maxsize=4)
def _read(path: str | None, modified_ns: int) -> Any:
    """The file as JSON; read again when it was modified."""
    resource = files("churn_prediction").joinpath("offers.json") if path is None else Path(path)
    try:
        return json.loads(resource.read_text("utf-8"))
    except (OSError, json.JSONDecodeError) as e:
        raise OffersError(f"{path}: {e}") from e


def document(settings: ChurnSettings, addresses: Mapping[str, str]) -> dict[str, Any]:
    """The terms as they are kept: the file, the settings that belong to it, and our addresses."""
    path = settings.offers_file
    try:
        modified_ns = Path(path).stat().st_mtime_ns if path else 0
    except OSError as e:
        raise OffersError(f"{path}: {e.strerror}") from e
    return {
        "file": _read(path, modified_ns),
        "chargeFeatures": settings.charge_features,
        "pastStatus": settings.past_status,
        "offerValidDays": settings.offer_valid_days,
        "addresses": dict(addresses),
    }


def terms(kept: Mapping[str, Any], where: str = "offers") -> Terms:
    """The terms as objects. Raises OffersError."""
    offers, assumptions, margin_ratio = parse(kept["file"], where)
    return Terms(
        offers,
        assumptions,
        margin_ratio,
        tuple(kept["chargeFeatures"]),
        kept["pastStatus"],
        kept["offerValidDays"],
        kept["addresses"],
    )


async def current(ctx: Context[ChurnSettings]) -> Terms:
    """Read the terms of this process and keep them in the ledger. While the file is wrong, those kept before hold."""
    addresses = {m.__name__: ctx.href(m, "").rstrip("/") for m in PUBLISHED}
    try:
        read = document(ctx.settings, addresses)
        found = terms(read, ctx.settings.offers_file or "offers.json")
    except OffersError as e:
        log.error("the offers before hold: %s", e)
        async with ctx.transaction() as tx:
            return await kept(tx)
    await ctx.database.pool.execute(
        "INSERT INTO terms AS t (id, document) VALUES (1, $1::jsonb)"
        " ON CONFLICT (id) DO UPDATE SET document = excluded.document WHERE t.document <> excluded.document",
        orjson.dumps(read).decode(),
    )
    return found


async def kept(tx: Transaction) -> Terms:
    """The terms of the ledger; before any process has put them down, those of the package, without addresses."""
    text = await tx.fetchval("SELECT document::text FROM terms")
    return terms(orjson.loads(text) if text else document(ChurnSettings.model_construct(), {}))
