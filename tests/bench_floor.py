"""What the figures are measured against: bare Starlette and asyncpg with the same SQL, and FastAPI with an ORM.

python tests/bench_floor.py bare|orm PORT DATABASE_URL
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any

import asyncpg
import orjson
import uvicorn
from fastapi import Depends, FastAPI, Query
from sqlalchemy import Integer, Text, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from customer_360.main import component
from customer_360.resources import Customer
from tmfkit.database import dsn, new_id
from tmfkit.query import names_of, parse


def bare(url: str) -> Starlette:
    """No validation, no security, no telemetry: parse, one statement, hand the text through."""
    shelf = component.shelves[Customer]
    plan = shelf.insertion
    names = names_of(Customer)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async def keep(_: Any) -> None:
            return None

        app.state.pool = await asyncpg.create_pool(dsn(url), min_size=8, max_size=8, reset=keep)
        yield
        await app.state.pool.close()

    async def one(request: Request) -> Response:
        row = await request.app.state.pool.fetchrow(shelf.one.sql, request.path_params["id"])
        return Response(row[0], media_type="application/json")

    async def page(request: Request) -> Response:
        query = parse(request.url.query, names)
        rows, _, bound = shelf.page(query)
        found = await request.app.state.pool.fetch(rows.sql, *rows.args(bound))
        total = str(found[0][2]) if found else "0"
        content = "[" + ",".join([r[0] for r in found]) + "]"
        return Response(content, 206, {"X-Total-Count": total}, media_type="application/json")

    async def create(request: Request) -> Response:
        doc = orjson.loads(await request.body())
        doc["id"] = new_id()
        content = orjson.dumps(doc).decode()
        bound = {
            "id": doc["id"],
            "doc": content,
            "kinds": ["Create"],
            "event_ids": [new_id()],
            "traceparent": None,
            "trace_id": None,
            "subject": "bench",
            "operation": "create",
            "attributes": None,
        }
        await request.app.state.pool.fetchrow(plan.sql, *plan.args(bound))
        return Response(content, 201, media_type="application/json")

    base = "/customer-360/tmf-api/customerManagement/v5/customer"
    routes = [
        Route(base + "/{id}", one),
        Route(base, page, methods=["GET"]),
        Route(base, create, methods=["POST"]),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


class Base(DeclarativeBase):
    pass


class Row(Base):
    __tablename__ = "customer"
    id: Mapped[str] = mapped_column(Text, primary_key=True)
    doc: Mapped[dict[str, Any]] = mapped_column(JSONB)
    revision: Mapped[int] = mapped_column(Integer, default=1)


class Outbox(Base):
    __tablename__ = "outbox"
    seq: Mapped[int] = mapped_column(primary_key=True)
    event_id: Mapped[str]
    api: Mapped[str]
    resource: Mapped[str]
    resource_id: Mapped[str]
    kind: Mapped[str]
    doc: Mapped[dict[str, Any]] = mapped_column(JSONB)


def orm(url: str) -> FastAPI:
    """The usual way: a route, a session, a mapped class, a response model."""
    scheme, _, rest = dsn(url).partition("://")
    engine = create_async_engine(f"{scheme}+asyncpg://{rest}", pool_size=8)
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    app = FastAPI()

    async def session() -> AsyncIterator[AsyncSession]:
        async with sessions() as s, s.begin():
            yield s

    Session = Annotated[AsyncSession, Depends(session)]  # noqa: N806 a type alias
    base = "/customer-360/tmf-api/customerManagement/v5/customer"

    def shown(row: Row) -> Customer:
        return Customer.model_validate({**row.doc, "href": f"http://localhost{base}/{row.id}"})

    @app.get(base + "/{id}", response_model=Customer, response_model_exclude_none=True)
    async def one(id: str, s: Session) -> Customer:
        row = await s.get(Row, id)
        assert row is not None
        return shown(row)

    @app.get(base, response_model=list[Customer], response_model_exclude_none=True)
    async def page(s: Session, status: str, limit: Annotated[int, Query(le=1000)] = 20) -> list[Customer]:
        wanted = Row.doc.contains({"status": status})
        await s.scalar(select(func.count()).select_from(Row).where(wanted))
        rows = await s.scalars(select(Row).where(wanted).order_by(Row.id).limit(limit))
        return [shown(r) for r in rows]

    @app.post(base, response_model=Customer, status_code=201, response_model_exclude_none=True)
    async def create(body: component_form(), s: Session) -> Customer:  # type: ignore[valid-type]
        doc = body.model_dump(mode="json", by_alias=True, exclude_none=True)
        doc["id"] = new_id()
        row = Row(id=doc["id"], doc=doc)
        s.add(row)
        event = {"event_id": new_id(), "api": "customerManagement", "resource": "Customer", "kind": "Create"}
        s.add(Outbox(resource_id=doc["id"], doc=doc, **event))
        await s.flush()
        return shown(row)

    return app


def component_form() -> Any:
    from tmfkit.write import Form

    return Form(component.views["customerManagement", "v5", "Customer"]).create_model


async def prepare(url: str, rows: int) -> list[str]:
    """Fill the customer table with documents of about 3 kB; the ids."""
    connection = await asyncpg.connect(dsn(url))
    ids = [new_id() for _ in range(rows)]
    states = ["Approved", "Active", "Suspended", "Closed"]

    def records() -> Any:
        for n, id in enumerate(ids):
            doc = {"id": id, **sample(n), "status": states[n % 4] if n % 100 else "Rare"}
            yield id, orjson.dumps(doc).decode(), 1, datetime.now(UTC)

    await connection.execute("SET synchronous_commit = off")
    columns = ["id", "doc", "revision", "updated_at"]
    await connection.copy_records_to_table("customer", records=records(), columns=columns)
    await connection.execute("VACUUM ANALYZE customer")
    await connection.close()
    return ids


def sample(n: int) -> dict[str, Any]:
    """A customer of about 3 kB with the attributes that a filled TMF629 customer has."""
    place = f"{n % 400} Long Road, Building {n % 7}"
    return {
        "@type": "Customer",
        "name": f"Customer Number {n} of the Measured Club",
        "status": "Approved",
        "statusReason": "Account details were checked by the back office",
        "validFor": {"startDateTime": "2026-01-01T00:00:00Z", "endDateTime": "2027-01-01T00:00:00Z"},
        "engagedParty": {
            "@type": "PartyRef",
            "@referredType": "Organization",
            "id": str(500 + n),
            "href": f"https://host.example/tmf-api/partyManagement/v5/organization/{500 + n}",
            "name": "The Measured Travellers",
        },
        "account": [
            {
                "@type": "AccountRef",
                "id": f"{n}-{i}",
                "href": f"https://host.example/tmf-api/accountManagement/v5/account/{n}-{i}",
                "name": f"Household account {i}",
                "description": "This account pays for the services of the household",
            }
            for i in range(2)
        ],
        "paymentMethod": [
            {
                "@type": "PaymentMethodRef",
                "id": f"p{n}-{i}",
                "href": f"https://host.example/tmf-api/paymentMethod/v4/paymentMethod/p{n}-{i}",
                "name": "Professional payment",
            }
            for i in range(2)
        ],
        "contactMedium": [
            {
                "@type": "EmailContactMedium",
                "preferred": True,
                "contactType": "email",
                "emailAddress": f"c{n}@mail.example",
            },
            {
                "@type": "GeographicAddressContactMedium",
                "preferred": False,
                "contactType": "postal",
                "city": "Sampletown",
                "country": "Nowhere",
                "postCode": "10000",
                "stateOrProvince": "Middle",
                "street1": place,
                "validFor": {"startDateTime": "2026-01-01T00:00:00Z"},
            },
        ],
        "characteristic": [
            {
                "@type": "StringCharacteristic",
                "name": f"characteristic{i}",
                "valueType": "string",
                "value": f"value {n + i}",
            }
            for i in range(6)
        ],
        "creditProfile": [
            {
                "@type": "CreditProfile",
                "creditProfileDate": "2026-01-01T00:00:00Z",
                "creditRiskRating": 1 + n % 9,
                "creditScore": 1 + n % 9,
                "validFor": {"startDateTime": "2026-01-01T00:00:00Z", "endDateTime": "2027-01-01T00:00:00Z"},
            }
        ],
        "agreement": [
            {
                "@type": "AgreementRef",
                "id": f"a{n}",
                "href": f"https://host.example/tmf-api/agreementManagement/v4/agreement/a{n}",
                "name": "Summer contract of the club",
            }
        ],
        "relatedParty": [
            {
                "@type": "RelatedPartyOrPartyRole",
                "role": role,
                "partyOrPartyRole": {
                    "@type": "PartyRef",
                    "@referredType": "Individual",
                    "id": f"{role}-{n}",
                    "href": f"https://host.example/tmf-api/partyManagement/v5/individual/{role}-{n}",
                    "name": f"{role.title()} Number {n}",
                },
            }
            for role in ("owner", "bill receiver")
        ],
    }


def main() -> None:
    kind, port, url = sys.argv[1:4]
    app: Any = bare(url) if kind == "bare" else orm(url)
    uvicorn.run(app, host="127.0.0.1", port=int(port), access_log=False, log_level="warning")


if __name__ == "__main__":
    asyncio.set_event_loop_policy(None)
    main()
