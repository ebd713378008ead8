"""A seeded population with known churn: what the model should find is written down beside the data. And the
neighbours that tell of it: small ASGI apps in the place of customer-360 and experience-management."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import orjson
import pytest

from churn_prediction import train as training
from churn_prediction.domain.features import Floats, Record, Specification, specification
from churn_prediction.domain.training import Training, train
from churn_prediction.main import component
from tmfkit.database import new_id
from tmfkit.embedded import create
from tmfkit.testing import Running, database_named, fresh_database, running, server

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
CONTRACT_EFFECT = {"month-to-month": 0.9, "one year": -0.3, "two years": -1.1}
Population = tuple[Specification, list[Record], dict[str, Floats]]


def _specification() -> Specification:
    declared = [
        ("tenure_months", "numeric", "contract", "customer-360"),
        ("contract", "categorical", "contract", "customer-360"),
        ("monthly_charge", "numeric", "price", "customer-360"),
        ("complaints_30d", "numeric", "care", "customer-360"),
        ("latency_ms", "numeric", "network", "service-quality"),
        ("handset", "categorical", "device", "customer-360"),
    ]
    return specification([{"name": n, "kind": k, "group": g, "origin": o} for n, k, g, o in declared])


def _generate(n: int, seed: int, intercept: float = -1.2) -> Population:
    """n customers; the true contribution of every feature to the log-odds is returned beside the records.

    Charges act by an S-curve (not a line), latency is missing for a tenth of the customers (effect 0.3), handset does
    nothing at all.
    """
    rng = np.random.default_rng(seed)
    tenure, charge = rng.uniform(0.0, 72.0, n), rng.uniform(20.0, 120.0, n)
    complaints = rng.poisson(0.6, n).astype(np.float64)
    latency, absent = rng.gamma(4.0, 12.0, n), rng.random(n) < 0.1
    contract = rng.choice(list(CONTRACT_EFFECT), n, p=[0.5, 0.3, 0.2])
    handset = rng.choice(["a", "b", "c"], n)
    truth: dict[str, Floats] = {
        "tenure_months": -0.035 * (tenure - 36.0),
        "contract": np.array([CONTRACT_EFFECT[c] for c in contract]),
        "monthly_charge": 0.9 * np.tanh((charge - 80.0) / 12.0),
        "complaints_30d": 0.6 * complaints,
        "latency_ms": np.where(absent, 0.3, 0.012 * (latency - 48.0)),
        "handset": np.zeros(n),
    }
    log_odds = intercept + np.sum(list(truth.values()), axis=0)
    churned = rng.random(n) < 1.0 / (1.0 + np.exp(-log_odds))
    records = [
        Record(
            id=f"c{seed}-{i}",
            as_of=AS_OF,
            features={
                "tenure_months": float(tenure[i]),
                "contract": str(contract[i]),
                "monthly_charge": float(charge[i]),
                "complaints_30d": float(complaints[i]),
                "latency_ms": None if absent[i] else float(latency[i]),
                "handset": str(handset[i]),
            },
            churned=bool(churned[i]),
        )
        for i in range(n)
    ]
    return _specification(), records, truth


@pytest.fixture(scope="session")
def generate() -> Callable[..., Population]:
    return _generate


@pytest.fixture(scope="session")
def population() -> Population:
    return _generate(6000, 7)


@pytest.fixture(scope="session")
def trained(population: Population) -> Training:
    """One training on the population, shared by the tests that only read it."""
    declared, records, _ = population
    result = train(declared, records, seed=1)
    assert isinstance(result, Training)
    return result


# --- customers as TMF629 tells of them ---------------------------------------------------------------------

Document = dict[str, Any]
GROUPS = {f.name: f.group.value for f in _specification().features} | {"services": "service"}
EXPERIENCE = ("experience_mean_7d", "experience_min_7d", "experience_trend_7d", "experience_baseline")
BAD_WEEK_EFFECT = 3.0
LIVE, PAST = 30, 600
PROBLEM = {"id": "sp-1", "href": "http://service-quality.test/sp-1", "@referredType": "ServiceProblem"}


def characteristic(name: str, value: Any, usage: str = "feature", **more: Any) -> Document:
    value_type = "boolean" if isinstance(value, bool) else "string" if isinstance(value, str) else "number"
    told = {"name": name, "valueType": value_type, "value": value, "usage": usage}
    group = {"group": GROUPS.get(name, "network")} if usage == "feature" else {}
    return told | group | more


def customer(id: str, features: Document, **more: Any) -> Document:
    return {
        "id": id,
        "href": f"http://customer-360.test/tmf-api/customerManagement/v5/customer/{id}",
        "@type": "Customer",
        "name": id,
        "status": "active",
        "characteristic": [characteristic(n, v) for n, v in features.items() if v is not None],
        **more,
    }


def _customers() -> list[Document]:
    """PAST customers whose outcome is known, and LIVE ones on a monthly contract who have had a good week. To the
    generator's population a bad week is added, which raises the log-odds of leaving by BAD_WEEK_EFFECT at worst."""
    rng = np.random.default_rng(11)
    _, records, truth = _generate(PAST, 5)
    bad = rng.random(PAST) < 0.25
    worst = np.where(bad, rng.uniform(10.0, 60.0, PAST), rng.normal(85.0, 3.0, PAST))
    felt = np.clip((70.0 - worst) / 60.0, 0.0, 1.0)
    log_odds = -1.8 + np.sum(list(truth.values()), axis=0) + BAD_WEEK_EFFECT * felt
    left = rng.random(PAST) < 1.0 / (1.0 + np.exp(-log_odds))
    found = []
    for i, record in enumerate(records):
        week = {
            "experience_mean_7d": 90.0 - 2.0 * float(felt[i]),
            "experience_min_7d": float(worst[i]),
            "services": 2.0,
        }
        trend = {"experience_trend_7d": float(rng.normal(0.0, 0.2)), "experience_baseline": 90.0}
        doc = customer(f"past-{i:04d}", {**record["features"], **week, **trend}, status="past")
        doc["characteristic"].append(characteristic("churned", bool(left[i]), "outcome"))
        doc["characteristic"].append(characteristic("age_band", "30 to 39", "protected"))
        found.append(doc)
    week = {"experience_mean_7d": 90.0, "experience_min_7d": 84.0, "experience_trend_7d": 0.0, "services": 2.0}
    for i, record in enumerate(records[:LIVE]):
        features = {**record["features"], "contract": "month-to-month", "monthly_charge": 80.0, **week}
        found.append(customer(f"live-{i:04d}", {**features, "experience_baseline": 90.0}))
    return found


CUSTOMERS = _customers()


class Neighbour:
    """Another component's API: it has resources, takes subscriptions, and tells its subscribers what happened."""

    def __init__(self, resource: str, docs: list[Document] | None = None) -> None:
        self.resource, self.docs = resource, list(docs or [])
        self.callbacks: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        answer: Any
        if scope["method"] == "POST":
            callback = orjson.loads(body)["callback"]
            if callback not in self.callbacks:
                self.callbacks.append(callback)
            status, answer = 201, {"id": f"hub-{self.callbacks.index(callback)}", "callback": callback}
        else:
            query = dict(part.split("=") for part in scope["query_string"].decode().split("&"))
            offset, limit = int(query["offset"]), int(query["limit"])
            status, answer = 200, self.docs[offset : offset + limit]
        headers = [(b"content-type", b"application/json"), (b"x-total-count", str(len(self.docs)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": orjson.dumps(answer)})

    def event(self, kind: str, doc: Document, **more: Any) -> Document:
        name = self.resource[0].upper() + self.resource[1:]
        return {"eventId": new_id(), "eventType": f"{name}{kind}Event", "event": {self.resource: doc}, **more}

    def tell(self, app: Running, kind: str, doc: Document, **more: Any) -> Document:
        """Send an event to the subscriber; it must take it. The event, so that it can be sent again."""
        event = self.event(kind, doc, **more)
        self.send(app, event)
        return event

    def send(self, app: Running, event: Document) -> None:
        answer = app.post(urlsplit(self.callbacks[-1]).path, event)
        assert answer.status_code == 201, answer.text


class World:
    """The component among its neighbours."""

    def __init__(self, app: Running, customers: Neighbour, scores: Neighbour) -> None:
        self.app, self.customers, self.scores = app, customers, scores

    def until(self, condition: Callable[[], Any], timeout: float = 60.0) -> Any:
        """Wait for something to become true; what it was."""
        end = time.monotonic() + timeout
        while not (found := condition()):
            assert time.monotonic() < end, "it did not happen in time"
            time.sleep(0.02)
        return found

    def documents(self, table: str, where: str = "true", *args: Any) -> list[Document]:
        rows = self.app.sql(f"SELECT doc::text AS doc FROM {table} WHERE {where} ORDER BY id", *args)
        return [orjson.loads(r["doc"]) for r in rows]

    def assessments(self, customer_id: str) -> list[Document]:
        return self.documents("party_role_risk_assessment", "doc->'partyRole'->>'id' = $1", customer_id)

    def recommendations(self, customer_id: str) -> list[Document]:
        return self.documents("query_product_recommendation", "doc->'relatedParty'->>'id' = $1", customer_id)

    def latest(self, customer_id: str) -> Document:
        """Feature -> the value that holds."""
        rows = self.app.sql(
            "SELECT DISTINCT ON (feature) feature, value FROM feature_row WHERE customer_id = $1"
            " ORDER BY feature, as_of DESC, seq DESC",
            customer_id,
        )
        return {r["feature"]: r["value"] for r in rows}

    def train(self, seed: int = 1) -> training.Outcome:
        return self.app.loop.run(training.train(self.app.ctx, seed), timeout=120)

    def score_event(self, customer_id: str, score: float, at: datetime, **more: Any) -> Document:
        """An ExperienceScore over the 30 minutes before `at`, caused by a service problem."""
        instant = at.isoformat().replace("+00:00", "Z")
        start = datetime.fromtimestamp(at.timestamp() - 1800, UTC).isoformat().replace("+00:00", "Z")
        base = "http://experience-management.test/tmf-api/experienceManagement/v1/experienceScore"
        return {
            "id": f"xs-{customer_id}",
            "href": f"{base}/xs-{customer_id}",
            "subject": {"id": customer_id, "subjectType": "person", "@referredType": "Customer"},
            "service": {"id": f"svc-{customer_id}"},
            "score": score,
            "observedWindow": {"startDateTime": start, "endDateTime": instant},
            "computedAt": instant,
            "cause": [
                {
                    "id": "sp-1",
                    "href": "http://service-quality.test/serviceProblem/sp-1",
                    "@referredType": "ServiceProblem",
                }
            ],
            **more,
        }


@contextlib.contextmanager
def _world(customers: list[Document], **values: Any) -> Iterator[World]:
    of_customers, of_scores = Neighbour("customer", customers), Neighbour("experienceScore")
    values.setdefault("worker", True)
    with running(
        component,
        transports={
            "customer360": httpx.ASGITransport(app=of_customers),
            "experienceManagement": httpx.ASGITransport(app=of_scores),
        },
        dependencies={
            "customer360": "http://customer-360.test",
            "experienceManagement": "http://experience-management.test",
        },
        **values,
    ) as app:
        world = World(app, of_customers, of_scores)
        if values["worker"]:
            world.until(lambda: of_customers.callbacks and of_scores.callbacks)
            world.until(lambda: app.sql("SELECT count(*) FROM following")[0][0] == 2)
        yield world


@pytest.fixture(scope="session")
def world() -> Callable[..., contextlib.AbstractContextManager[World]]:
    """Start the component on a database of its own, with these customers at customer-360."""
    return _world


@pytest.fixture(scope="session")
def loaded() -> str:
    """A database that has taken all customers over, for others to be copied from."""
    url = fresh_database(component)
    with _world(CUSTOMERS, database_url=url) as world:
        assert world.app.sql("SELECT count(*) FROM outcome")[0][0] == PAST
    return urlsplit(url).path.lstrip("/")


@pytest.fixture(scope="session")
def served(loaded: str) -> str:
    """The same with a model in service and nobody assessed yet."""
    name = f"served_{new_id().replace('-', '')}"
    create(server(), [name], template=loaded)
    with _world([], database_url=database_named(name), worker=False) as world:
        outcome = world.train()
        assert outcome.code == 0, outcome.why
    return name


def copy_of(database: str) -> str:
    """URL of a new database with the content of another one, which nobody may be connected to."""
    name = f"copy_{new_id().replace('-', '')}"
    create(server(), [name], template=database)
    return database_named(name)


@pytest.fixture(scope="session")
def customers() -> list[Document]:
    return CUSTOMERS


@pytest.fixture(scope="session")
def copied() -> Callable[[str], str]:
    return copy_of


@pytest.fixture(scope="session")
def told() -> Callable[..., Document]:
    """A characteristic as customer-360 tells it."""
    return characteristic


@pytest.fixture(scope="session")
def somebody() -> Callable[..., Document]:
    """A customer with these features."""
    return customer
