"""The components of the product, each on a real socket with a fresh database, with a seat for one fault."""

from __future__ import annotations

import contextlib
import importlib
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import uvicorn
from seeded import Seeded

from tmfkit import Component
from tmfkit.testing import local_settings

PACKAGES = ("service_quality", "experience_management", "customer_360", "churn_prediction")
PATIENCE_S = 30.0
CUSTOMERS = 3


def declared(package: str) -> Component:
    component: Component = importlib.import_module(f"{package}.main").component
    return component


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def online(component: Component) -> Iterator[tuple[Seeded, str]]:
    """The component with its worker, and its address; ended when the block ends."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    app = Seeded(component, local_settings(component, public_url=address, port=port))
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, interface="asgi3", log_config=None, access_log=False, ws="none",
        proxy_headers=False, timeout_graceful_shutdown=3, timeout_keep_alive=120,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name=component.name, daemon=True)
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError(f"{component.name} ended while it started")
            time.sleep(0.01)
        yield app, address
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)


def furnish(app: Seeded, address: str) -> None:
    """What a kit can only read has to be there: a view of a customer is made by the component from the customer."""
    views, customers = app.place("TMF717", "v5"), app.place("TMF629", "v5")
    if views is None or customers is None:
        return
    with httpx.Client(base_url=address, trust_env=False, timeout=PATIENCE_S) as client:
        for number in range(CUSTOMERS):
            party = {"@type": "PartyRef", "@referredType": "Individual", "id": f"{number}", "name": f"Party {number}"}
            body = {"@type": "Customer", "name": f"Customer {number}", "engagedParty": party}
            client.post(f"{customers}/customer", json=body).raise_for_status()
        end = time.monotonic() + PATIENCE_S
        while len(client.get(f"{views}/customer360").json()) < CUSTOMERS and time.monotonic() < end:
            time.sleep(0.1)
