"""What Kubernetes is asked: our own Component and our DependentAPIs, against a server that knows these two reads."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from shared.tests.support import accounting, shipping
from shared.tests.support.kubernetes_api import NAMESPACE, KubernetesApi, component, dependent_api
from shared.tests.support.serving import Online, until
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from customer_360.main import component as customer_360
from customer_360.resources import Customer, Customer360
from tmfkit.canvas import CanvasAddresses
from tmfkit.canvas_kubernetes import Cluster, KubernetesAddresses, KubernetesCanvas
from tmfkit.testing import Loop, Running, fresh_database
from tmfkit.upstream import Upstream, UpstreamUnavailable

OURS, DEPENDENCY = "r1-service-quality", "serviceInventory"
GATEWAY = "https://gateway.example.org"
INVENTORY = f"{GATEWAY}/r2-inventory"
FULL = f"{INVENTORY}/tmf-api/serviceInventory/v4"


@pytest.fixture
def kubernetes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubernetesApi]:
    with KubernetesApi(tmp_path) as api:
        for name, value in api.environment.items():
            monkeypatch.setenv(name, value)
        api.put(component(OURS))
        yield api


def canvas_of(kubernetes: KubernetesApi, **more: Any) -> KubernetesCanvas:
    return KubernetesCanvas(Cluster(service_account=kubernetes.account, **more), OURS, ttl_s=60)


def read(canvas: KubernetesCanvas) -> None:
    asyncio.run(canvas.refresh())


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


# --- dependencies ------------------------------------------------------------------------------------------


def test_the_provider_of_our_own_dependency_is_found_among_others(kubernetes: KubernetesApi) -> None:
    kubernetes.put(
        dependent_api(OURS, "serviceinventory", FULL),
        dependent_api(OURS, "resourceinventory", f"{GATEWAY}/r3/tmf-api/resourceInventory/v4"),
        dependent_api(f"{OURS}-too", "serviceinventory", f"{GATEWAY}/wrong/tmf-api/x/v4"),
    )
    canvas = canvas_of(kubernetes)
    read(canvas)
    assert canvas.providers(DEPENDENCY) == [INVENTORY]
    assert canvas.providers("productInventory") == []


@pytest.mark.parametrize("without", ["labels", "ownerReferences"])
def test_a_dependency_is_ours_by_its_label_or_by_its_owner(kubernetes: KubernetesApi, without: str) -> None:
    made = dependent_api(OURS, "serviceinventory", FULL)
    del made["metadata"][without]
    kubernetes.put(made)
    canvas = canvas_of(kubernetes)
    read(canvas)
    assert canvas.providers(DEPENDENCY) == [INVENTORY]


def test_a_provider_that_comes_late_is_found_and_one_that_is_replaced_is_left(kubernetes: KubernetesApi) -> None:
    canvas = canvas_of(kubernetes)
    found = []
    for url, ready in ((None, True), (FULL, False), (FULL, True), ("https://new/b/tmf-api/x/v4", True)):
        kubernetes.put(dependent_api(OURS, "serviceinventory", url, ready=ready))
        read(canvas)
        found.append(canvas.providers(DEPENDENCY))
    assert found == [[], [], [INVENTORY], ["https://new/b"]]


def test_a_provider_that_is_told_no_more_stays_in_use(kubernetes: KubernetesApi) -> None:
    canvas = canvas_of(kubernetes)
    kubernetes.put(dependent_api(OURS, "serviceinventory", FULL))
    read(canvas)
    kubernetes.put(dependent_api(OURS, "serviceinventory"))
    read(canvas)
    assert canvas.providers(DEPENDENCY) == [INVENTORY]
    kubernetes.objects.clear()
    read(canvas)
    assert canvas.providers(DEPENDENCY) == [INVENTORY]


def test_two_versions_at_one_provider_are_one_address_and_two_providers_are_two(kubernetes: KubernetesApi) -> None:
    kubernetes.put(
        dependent_api(OURS, "serviceinventory", FULL, version="v4"),
        dependent_api(OURS, "serviceinventory", f"{INVENTORY}/tmf-api/serviceInventory/v5", version="v5"),
        dependent_api(OURS, "serviceinventory", "https://other/tmf-api/serviceInventory/v6", version="v6"),
    )
    canvas = canvas_of(kubernetes)
    read(canvas)
    assert canvas.providers(DEPENDENCY) == [INVENTORY, "https://other"]


@pytest.mark.parametrize("url", [5, "", "ftp://g/x", ["https://g"], {}])
def test_what_is_no_address_is_passed_over(
    kubernetes: KubernetesApi, url: Any, caplog: pytest.LogCaptureFixture
) -> None:
    kubernetes.put(dependent_api(OURS, "serviceinventory", url))
    canvas = canvas_of(kubernetes)
    read(canvas)
    assert canvas.providers(DEPENDENCY) == []
    assert "no usable address" in caplog.text


@pytest.mark.parametrize("odd", [{"spec": None}, {"metadata": []}, {"status": "x"}, {"status": {"implementation": 1}}])
def test_a_resource_of_an_odd_shape_hides_no_other(kubernetes: KubernetesApi, odd: dict[str, Any]) -> None:
    meta = dependent_api(OURS, "a")["metadata"]
    kubernetes.objects["dependentapis", NAMESPACE, "a"] = dependent_api(OURS, "a", FULL) | {"metadata": meta} | odd
    kubernetes.put(dependent_api(OURS, "serviceinventory", FULL))
    canvas = canvas_of(kubernetes)
    read(canvas)
    assert canvas.providers(DEPENDENCY) == [INVENTORY]
    assert canvas.states["dependentAPIs"] == "read"


# --- the order: Kubernetes, the information service, what is configured ----------------------------------------


def test_kubernetes_is_asked_first_then_the_information_service_then_what_is_configured(
    kubernetes: KubernetesApi,
) -> None:
    services: list[dict[str, Any]] = []

    async def listed(request: Request) -> Response:
        return JSONResponse(services)

    transport = httpx.ASGITransport(Starlette(routes=[Route("/service", listed)]))
    information = CanvasAddresses(
        "http://info/service", OURS, DEPENDENCY, fallback_url="https://configured", transport=transport
    )
    canvas = canvas_of(kubernetes)
    addresses = KubernetesAddresses(canvas, DEPENDENCY, information)

    async def use() -> list[Any]:
        found = [await addresses()]
        told = {"componentName": OURS, "dependencyName": "serviceinventory", "url": "https://informed/tmf-api/x/v4"}
        services.append({"serviceCharacteristic": [{"name": n, "value": v} for n, v in told.items()]})
        await information.refresh()
        found.append(await addresses())
        kubernetes.put(dependent_api(OURS, "serviceinventory", FULL))
        await canvas.refresh()
        return [*found, await addresses()]

    assert asyncio.run(use()) == [["https://configured"], ["https://informed"], [INVENTORY]]


def test_without_any_address_the_dependency_is_unavailable(kubernetes: KubernetesApi) -> None:
    client = Upstream(DEPENDENCY, KubernetesAddresses(canvas_of(kubernetes), DEPENDENCY, []))
    with pytest.raises(UpstreamUnavailable, match="no address is known"):
        asyncio.run(client.get("tmf-api/x"))


# --- our own addresses -------------------------------------------------------------------------------------


@pytest.mark.parametrize("segment", ["coreAPIs", "managementAPIs", "securityAPIs"])
def test_our_own_addresses_are_those_of_all_segments(kubernetes: KubernetesApi, segment: str) -> None:
    path = f"/{OURS}/tmf-api/serviceProblemManagement/v5"
    kubernetes.put(component(OURS, f"{GATEWAY}{path}/", segment=segment))
    canvas = canvas_of(kubernetes)
    read(canvas)
    assert canvas.addresses == {path: f"{GATEWAY}{path}"}


def test_our_own_addresses_move_with_the_gateway_and_stay_while_none_are_told(kubernetes: KubernetesApi) -> None:
    canvas = canvas_of(kubernetes)
    found = []
    for urls in (["https://a/x/v4", "https://a/x/v5"], [], ["https://b/x/v4"]):
        kubernetes.put(component(OURS, *urls))
        read(canvas)
        found.append(sorted(canvas.addresses.values()))
    assert found == [["https://a/x/v4", "https://a/x/v5"]] * 2 + [["https://a/x/v5", "https://b/x/v4"]]


# --- what it may -------------------------------------------------------------------------------------------


def test_it_reads_its_own_component_and_lists_dependent_apis_and_does_nothing_else(kubernetes: KubernetesApi) -> None:
    kubernetes.put(dependent_api(OURS, "serviceinventory", FULL))
    canvas = canvas_of(kubernetes)
    read(canvas)
    below = f"/apis/oda.tmforum.org/v1/namespaces/{NAMESPACE}"
    assert kubernetes.asked == [
        ("GET", f"{below}/components/{OURS}", "first"),
        ("GET", f"{below}/dependentapis", "first"),
    ]


@pytest.mark.parametrize("right", [("get", "components"), ("list", "dependentapis")])
def test_a_role_that_lacks_one_right_costs_what_that_right_is_for_and_is_told_once(
    kubernetes: KubernetesApi, right: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    kubernetes.put(component(OURS, f"{GATEWAY}/x/v5"), dependent_api(OURS, "serviceinventory", FULL))
    kubernetes.allowed.remove(right)
    canvas = canvas_of(kubernetes)
    for _ in range(3):
        read(canvas)
    (told,) = warnings(caplog)
    assert "the Role of our service account must allow" in told
    assert f"{right[0]} of {right[1]}.oda.tmforum.org" in told
    lacks = {"components": "component", "dependentapis": "dependentAPIs"}[right[1]]
    assert canvas.states == {"component": "read", "dependentAPIs": "read"} | {lacks: "refused"}
    assert bool(canvas.addresses) == (lacks != "component")
    assert bool(canvas.providers(DEPENDENCY)) == (lacks != "dependentAPIs")


def test_a_right_that_is_taken_away_leaves_what_was_known_and_given_back_is_told(
    kubernetes: KubernetesApi, caplog: pytest.LogCaptureFixture
) -> None:
    kubernetes.put(dependent_api(OURS, "serviceinventory", FULL))
    canvas = canvas_of(kubernetes)
    read(canvas)
    kubernetes.allowed.clear()
    read(canvas)
    assert canvas.providers(DEPENDENCY) == [INVENTORY]
    kubernetes.allowed.update({("get", "components"), ("list", "dependentapis")})
    with caplog.at_level(logging.INFO, logger="tmfkit.canvas"):
        read(canvas)
    assert "component is read again" in caplog.text
    assert "dependentAPIs is read again" in caplog.text


def test_a_token_that_is_replaced_is_read_anew(kubernetes: KubernetesApi) -> None:
    canvas = canvas_of(kubernetes)
    read(canvas)
    kubernetes.token = "second"
    read(canvas)
    assert canvas.states == {"component": "refused", "dependentAPIs": "refused"}
    (kubernetes.account / "token").write_text("second")
    read(canvas)
    assert canvas.states == {"component": "read", "dependentAPIs": "read"}
    assert [token for _, _, token in kubernetes.asked] == ["first"] * 4 + ["second"] * 2


# --- what can be wrong ---------------------------------------------------------------------------------------


def test_a_server_that_goes_away_and_comes_back_changes_nothing(
    kubernetes: KubernetesApi, caplog: pytest.LogCaptureFixture
) -> None:
    kubernetes.put(component(OURS, f"{GATEWAY}/x/v5"), dependent_api(OURS, "serviceinventory", FULL))
    canvas = canvas_of(kubernetes)
    read(canvas)
    kubernetes.stop()
    for _ in range(3):
        read(canvas)
    assert canvas.states == {"component": "away", "dependentAPIs": "away"}
    assert canvas.providers(DEPENDENCY) == [INVENTORY]
    assert canvas.addresses == {"/x/v5": f"{GATEWAY}/x/v5"}
    (told,) = warnings(caplog)
    assert "does not answer" in told
    assert "what is known stays in use" in told
    kubernetes.start()
    read(canvas)
    assert canvas.states == {"component": "read", "dependentAPIs": "read"}


def test_a_server_that_fails_is_told_once(kubernetes: KubernetesApi, caplog: pytest.LogCaptureFixture) -> None:
    kubernetes.broken = 500
    canvas = canvas_of(kubernetes)
    read(canvas)
    read(canvas)
    assert canvas.states == {"component": "failed", "dependentAPIs": "failed"}
    assert len(warnings(caplog)) == 2
    assert all("status 500" in told for told in warnings(caplog))


def test_a_canvas_that_is_not_installed_is_told(kubernetes: KubernetesApi, caplog: pytest.LogCaptureFixture) -> None:
    kubernetes.installed = False
    canvas = canvas_of(kubernetes)
    read(canvas)
    assert canvas.states == {"component": "missing", "dependentAPIs": "missing"}
    assert "the CRDs of the ODA Canvas are missing" in caplog.text


def test_a_component_that_is_not_there_is_told_with_the_names_that_were_asked_for(
    kubernetes: KubernetesApi, caplog: pytest.LogCaptureFixture
) -> None:
    kubernetes.objects.clear()
    canvas = canvas_of(kubernetes)
    read(canvas)
    assert canvas.states == {"component": "missing", "dependentAPIs": "read"}
    (told,) = warnings(caplog)
    assert told.startswith(f"there is no Component {OURS} in namespace {NAMESPACE} (CANVAS_NAME, CANVAS_NAMESPACE)")


def test_another_namespace_is_refused_by_its_name(kubernetes: KubernetesApi, caplog: pytest.LogCaptureFixture) -> None:
    canvas = canvas_of(kubernetes, namespace="elsewhere")
    read(canvas)
    assert canvas.states == {"component": "refused", "dependentAPIs": "refused"}
    assert "in namespace elsewhere" in caplog.text


def test_a_server_with_a_certificate_of_somebody_else_is_not_asked(
    kubernetes: KubernetesApi, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "other").mkdir()
    other = KubernetesApi(tmp_path / "other")
    (kubernetes.account / "ca.crt").write_bytes((other.account / "ca.crt").read_bytes())
    canvas = canvas_of(kubernetes)
    read(canvas)
    assert canvas.states == {"component": "away", "dependentAPIs": "away"}
    assert "SSL" in caplog.text
    assert kubernetes.asked == []


@pytest.mark.parametrize("wrong", ["no account", "no environment", "no kubeconfig"])
def test_a_process_that_is_in_no_pod_is_told_so_once_and_goes_on(
    kubernetes: KubernetesApi, wrong: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    kubeconfig = None
    if wrong == "no account":
        (kubernetes.account / "token").unlink()
    elif wrong == "no environment":
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
    else:
        kubeconfig = str(kubernetes.account / "nowhere")
    canvas = canvas_of(kubernetes, kubeconfig=kubeconfig)
    read(canvas)
    read(canvas)
    assert canvas.states == {"component": "misconfigured", "dependentAPIs": "misconfigured"}
    (told,) = warnings(caplog)
    assert told.startswith("Kubernetes cannot be asked: ")
    assert kubernetes.asked == []


def test_a_kubeconfig_is_read_and_not_written(kubernetes: KubernetesApi) -> None:
    kubernetes.put(component(OURS, f"{GATEWAY}/x/v5"))
    file = kubernetes.kubeconfig()
    before = file.read_text()
    canvas = KubernetesCanvas(Cluster(str(file)), OURS, ttl_s=60)
    read(canvas)
    assert canvas.addresses == {"/x/v5": f"{GATEWAY}/x/v5"}
    assert file.read_text() == before


# --- in a component ------------------------------------------------------------------------------------------


def test_what_is_missing_is_looked_for_again_in_the_background(
    kubernetes: KubernetesApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tmfkit.canvas_kubernetes._RETRY_S", 0.02)
    canvas = canvas_of(kubernetes)

    async def live() -> list[int]:
        await canvas.start()
        try:
            kubernetes.put(component(OURS, f"{GATEWAY}/x/v5"), dependent_api(OURS, "serviceinventory", FULL))
            while not canvas.providers(DEPENDENCY):
                await asyncio.sleep(0.01)
            settled = len(kubernetes.asked)
            await asyncio.sleep(0.2)
            return [settled, len(kubernetes.asked)]
        finally:
            await canvas.aclose()

    before, after = asyncio.run(asyncio.wait_for(live(), 30))
    assert after == before, "all is known: the next reading is due after the TTL"


def test_references_take_the_gateways_addresses_unless_a_public_url_was_given(kubernetes: KubernetesApi) -> None:
    shown = f"{GATEWAY}/customer-360/tmf-api/customerManagement/v5"
    kubernetes.put(component("r1-customer-360", shown))
    url = fresh_database(customer_360)

    def references(**more: Any) -> tuple[str, str, dict[str, Any], dict[str, Any]]:
        settings = customer_360.settings(
            auth_mode="none", database_url=url, canvas_kubernetes=True, canvas_name="r1-customer-360",
            canvas_kubeconfig=str(kubernetes.kubeconfig()), **more,
        )  # fmt: skip
        loop = Loop()
        app = Running(customer_360, loop, settings, worker=False)
        try:
            hrefs = [app.ctx.href(model, "7") for model in (Customer, Customer360)]
            return hrefs[0], hrefs[1], app.get("/customer-360").json(), app.get("/health/ready").json()
        finally:
            app.close()
            loop.close()

    customer, view, entry, health = references(listener_url="http://service:8000")
    assert customer == f"{shown}/customer/7"
    assert view == "http://service:8000/customer-360/tmf-api/customer360/v5/customer360/7", "it is not at the gateway"
    assert entry["addresses"] == [shown]
    assert health["canvas"] == {"component": "read", "dependentAPIs": "read"}
    customer, view, *_ = references(public_url="https://given", listener_url="http://service:8000")
    assert customer == "https://given/customer-360/tmf-api/customerManagement/v5/customer/7"
    assert view == "https://given/customer-360/tmf-api/customer360/v5/customer360/7"


def test_a_component_follows_a_provider_that_kubernetes_tells_late_and_is_called_back_at_its_service(
    kubernetes: KubernetesApi,
) -> None:
    kubernetes.put(component("r1-accounting"), dependent_api("r1-accounting", "shipping"))
    books = Online(
        accounting.component, canvas_kubernetes=True, canvas_name="r1-accounting", dependency_ttl_s=0.05,
        canvas_kubeconfig=str(kubernetes.kubeconfig()), follow_interval_s=0.2, upstream_retries=0,
    )  # fmt: skip
    public = {"listener_url": books.address, "public_url": "https://gateway.invalid"}
    books.settings = books.settings.model_copy(update=public)
    with Online(shipping.component) as shop, books:
        until(lambda: len(kubernetes.asked) > 6, "asking again")
        assert shop.client.get(shipping.HUB_V5).json() == []
        kubernetes.put(dependent_api("r1-accounting", "shipping", f"{shop.base}/tmf-api/shipmentManagement/v5"))
        until(lambda: shop.client.get(shipping.HUB_V5).json(), "following")
        (hub,) = shop.client.get(shipping.HUB_V5).json()
        assert hub["callback"].startswith(f"{books.address}/accounting/listener/")
        kubernetes.stop()
        shop.client.post(shipping.V5, json={"name": "Rome"})
        until(lambda: books.count("heard") == 1, "hearing, with the API server away")


def test_who_does_not_ask_kubernetes_does_not_load_its_library() -> None:
    program = "import sys, tmfkit.component; print([m for m in sys.modules if m.partition('.')[0] == 'kubernetes'])"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
