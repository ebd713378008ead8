"""TMF915 monitors of new models: a model in service is not done before everybody has been assessed by it."""

from __future__ import annotations

import orjson

from churn_prediction.resources import AiModel, Monitor, MonitorState
from tmfkit import Transaction
from tmfkit.types import Document


async def begun(tx: Transaction, id: str, href: str) -> None:
    """A monitor of the model that goes into service now; one that still waits for a former model ends in an error."""
    for former in await _waiting(tx):
        await _end(tx, former, MonitorState.IN_ERROR, "409", f"replaced by model {id}")
    model: Document = await tx[AiModel].get(id)
    collection = href.rsplit("/", 1)[0]
    request = {"method": "POST", "to": collection, "body": _text(model, href), "header": []}
    monitor = {"sourceHref": href, "state": MonitorState.IN_PROGRESS.value, "request": request}
    await tx[Monitor].insert(monitor)


async def completed(tx: Transaction) -> None:
    """Everybody has been assessed: the answer of what was begun is the model."""
    for monitor in await _waiting(tx):
        href = monitor["sourceHref"]
        model = await tx[AiModel].find(href.rsplit("/", 1)[1])
        body = _text(model, href) if model is not None else monitor["request"]["body"]
        await _end(tx, monitor, MonitorState.COMPLETED, "201", body)


async def _waiting(tx: Transaction) -> list[Document]:
    return await tx[Monitor].select({"state": MonitorState.IN_PROGRESS.value})


async def _end(tx: Transaction, found: Document, state: MonitorState, status: str, body: str) -> None:
    monitor = await tx[Monitor].get(found["id"], lock=True)
    response = {"statusCode": status, "body": body, "header": []}
    await tx[Monitor].replace(monitor, {**monitor, "state": state.value, "response": response})


def _text(model: Document, href: str) -> str:
    return orjson.dumps({**model, "href": href}).decode()
