"""Templates of the charts: what each value does, and which values are refused with which sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))  # its neighbours are scripts

import chart_tools
from facts import CHARTS, HELM

Document = dict[str, Any]
GIVEN = ("auth.issuer=https://issuer.example.org", "database.existingSecret=database")
BASE = ("r1-customer-360", "customer-360")


def helm(chart: str, *settings: str, release: str = "r1", given: tuple[str, ...] = GIVEN) -> Any:
    options = [
        argument
        for setting in (*given, *settings)
        for argument in ("--set-json" if "=json:" in setting else "--set", setting.replace("=json:", "="))
    ]
    command = [chart_tools.helm_3(), "template", release, str(HELM / chart), "--namespace", "components", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@cache
def rendered(chart: str, *settings: str, given: tuple[str, ...] = GIVEN) -> tuple[Document, ...]:
    done = helm(chart, *settings, given=given)
    assert done.returncode == 0, done.stderr
    return tuple(d for d in yaml.safe_load_all(done.stdout) if d)


def refused(chart: str, *settings: str, given: tuple[str, ...] = GIVEN, release: str = "r1") -> str:
    done = helm(chart, *settings, given=given, release=release)
    assert done.returncode != 0, "it was not refused"
    return str(done.stderr)


def kinds(documents: tuple[Document, ...]) -> set[str]:
    return {d["kind"] for d in documents}


def one(documents: tuple[Document, ...], kind: str, name: str | None = None) -> Document:
    (found,) = [d for d in documents if d["kind"] == kind and name in (None, d["metadata"]["name"])]
    return found


def container(documents: tuple[Document, ...]) -> Document:
    found: Document = one(documents, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    return found


def environment(documents: tuple[Document, ...]) -> dict[str, Any]:
    return {e["name"]: e.get("value", e.get("valueFrom")) for e in container(documents)["env"]}


# --- what is there by default ---


@pytest.mark.parametrize("chart", CHARTS)
def test_by_default_a_component_is_six_objects_and_nothing_privileged(chart: str) -> None:
    documents = rendered(chart)
    assert kinds(documents) == {"ServiceAccount", "Service", "Deployment", "NetworkPolicy", "Component", "Job"}
    assert one(documents, "Job")["metadata"]["annotations"]["helm.sh/hook"] == "test"
    pod = one(documents, "Deployment")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    context = container(documents)["securityContext"]
    assert context["runAsNonRoot"] and context["readOnlyRootFilesystem"] and context["runAsUser"] == 10001
    assert context["allowPrivilegeEscalation"] is False and context["capabilities"] == {"drop": ["ALL"]}
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert one(documents, "Service")["spec"]["type"] == "ClusterIP"


@pytest.mark.parametrize("chart", CHARTS)
def test_nothing_of_the_kinds_that_a_canvas_does_not_take(chart: str) -> None:
    for settings in ((), ("canvas.lookup=true", "canvas.subresources=true", "migrations.mode=job")):
        forbidden = {"ClusterRole", "ClusterRoleBinding", "Ingress", "Pod", "DaemonSet", "ReplicaSet"}
        assert not kinds(rendered(chart, *settings)) & forbidden


@pytest.mark.parametrize("chart", CHARTS)
def test_every_object_carries_the_component_s_name(chart: str) -> None:
    for document in rendered(chart, "canvas.lookup=true", "canvas.subresources=true", "availability.budget=chart"):
        assert document["metadata"]["labels"]["oda.tmforum.org/componentName"] == f"r1-{chart}"
        assert document["metadata"]["name"].startswith(f"r1-{chart}")


@pytest.mark.parametrize("chart", CHARTS)
def test_probes_ask_the_process_for_life_and_the_database_for_readiness(chart: str) -> None:
    found = container(rendered(chart))
    paths = {p: found[p]["httpGet"]["path"] for p in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert paths == {
        "startupProbe": "/health/startup",
        "readinessProbe": "/health/ready",
        "livenessProbe": "/health/live",
    }
    startup = found["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] <= 120
    assert found["lifecycle"]["preStop"]["exec"]["command"][0] == "python"


# --- the Component ---


def exposed(component: Document) -> set[str]:
    functions = component["spec"]["coreFunction"]["exposedAPIs"] + component["spec"]["securityFunction"]["exposedAPIs"]
    return {s["path"] for api in functions for s in api["specification"]}


def test_v4_and_v5_are_two_specifications_of_one_api() -> None:
    component = one(rendered("customer-360"), "Component")
    (api,) = [a for a in component["spec"]["coreFunction"]["exposedAPIs"] if a["id"] == "TMF629"]
    assert [s["version"] for s in api["specification"]] == ["4.0.0", "5.0.1"]
    assert [s["path"] for s in api["specification"]] == [
        f"/r1-customer-360/tmf-api/customerManagement/{v}" for v in ("v4", "v5")
    ]


def test_an_api_that_another_system_owns_is_not_exposed() -> None:
    owner = "elsewhere.TMF629=https://customers.example.org/tmf-api/customerManagement/v5"
    documents = rendered("customer-360", owner)
    assert not [p for p in exposed(one(documents, "Component")) if "customerManagement" in p]
    assert json.loads(environment(documents)["ELSEWHERE"]) == {"TMF629": owner.partition("=")[2]}
    assert "customerManagement" not in str(one(documents, "Job"))


def test_some_versions_or_none_of_an_api_may_be_exposed() -> None:
    some = one(rendered("customer-360", "canvas.apis.customerManagement.versions={v4}"), "Component")
    assert {p for p in exposed(some) if "customerManagement" in p} == {"/r1-customer-360/tmf-api/customerManagement/v4"}
    none = one(rendered("customer-360", "canvas.apis.customerManagement.expose=false"), "Component")
    assert not [p for p in exposed(none) if "customerManagement" in p]
    topics = {e["name"] for e in none["spec"]["eventNotification"]["publishedEvents"]}
    assert "customermanagement" not in topics and "customer360" in topics


def test_dependent_apis_are_declared_only_when_asked_for_and_only_in_the_core() -> None:
    for chart in CHARTS:
        assert one(rendered(chart), "Component")["spec"]["coreFunction"]["dependentAPIs"] == []
    documents = rendered("churn-prediction", "dependencies.customer360.canvas=true")
    spec = one(documents, "Component")["spec"]
    (found,) = spec["coreFunction"]["dependentAPIs"]
    assert found["specification"][0]["url"].endswith("/r1-customer-360/tmf-api/customerManagement/v5/openapi.json")
    assert spec["managementFunction"]["dependentAPIs"] == spec["securityFunction"]["dependentAPIs"] == []
    assert environment(documents)["CANVAS_INFO_URL"] == "http://info.canvas.svc.cluster.local/service"


def test_a_dependent_api_is_found_by_the_address_that_its_provider_declares() -> None:
    asked = one(rendered("customer-360", "dependencies.serviceQuality.canvas=true"), "Component")
    (wanted,) = [s["url"] for d in asked["spec"]["coreFunction"]["dependentAPIs"] for s in d["specification"]]
    provider = one(rendered("service-quality"), "Component")
    told = {s["url"] for a in provider["spec"]["coreFunction"]["exposedAPIs"] for s in a["specification"]}
    assert wanted in told


def test_the_gateway_s_settings_are_whole_and_off() -> None:
    for api in one(rendered("service-quality"), "Component")["spec"]["coreFunction"]["exposedAPIs"]:
        gateway = api["gatewayConfiguration"]
        assert set(gateway) == {"apiKeyVerification", "rateLimit", "quota", "OASValidation", "CORS", "template"}
        assert not any(gateway[k].get("enabled") for k in ("apiKeyVerification", "rateLimit", "CORS"))
        assert isinstance(gateway["rateLimit"]["limit"], str)


def test_metrics_are_in_the_management_function_and_the_service_is_found_by_name() -> None:
    documents = rendered("service-quality")
    (api,) = one(documents, "Component")["spec"]["managementFunction"]["exposedAPIs"]
    service = one(documents, "Service")
    assert api["implementation"] == service["metadata"]["labels"]["name"] == service["metadata"]["name"]
    assert api["port"] == service["spec"]["ports"][0]["port"] == 8000
    annotations = one(documents, "Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/path"] == api["path"] == "/r1-service-quality/metrics"


def test_the_subresources_of_decision_0022_say_what_the_component_says() -> None:
    documents = rendered("customer-360", "canvas.subresources=true", "dependencies.serviceQuality.canvas=true")
    apis = [d["spec"] for d in documents if d["kind"] == "ExposedAPI"]
    paths = {a["path"] for a in apis}
    assert paths == exposed(one(documents, "Component")) | {"/r1-customer-360/metrics"}
    assert one(documents, "DependentAPI")["spec"]["name"] == "servicequality"
    identity = one(documents, "IdentityConfig")["spec"]
    assert identity["partyRoleAPI"]["path"] == "/r1-customer-360/tmf-api/partyRoleManagement/v4"
    assert identity["permissionSpecificationSetAPI"]["path"] == "/r1-customer-360/rolesAndPermissionsManagement/v5"


def test_without_a_canvas_there_is_no_component_and_nothing_that_waits_for_one() -> None:
    documents = rendered("customer-360", "canvas.enabled=false")
    assert "Component" not in kinds(documents)
    assert not {"CANVAS_NAME", "CANVAS_SYSTEM_ROLE", "TRUSTED_CALLBACKS"} & set(environment(documents))


# --- database, secrets, migrations ---


def test_the_database_s_address_comes_from_a_secret_and_nothing_else_is_a_secret() -> None:
    documents = rendered("customer-360")
    assert environment(documents)["DATABASE_URL"] == {"secretKeyRef": {"name": "database", "key": "url"}}
    assert "Secret" not in kinds(documents)


def test_a_demo_database_has_a_random_password_and_admits_the_component_alone() -> None:
    trial = ("auth.mode=none", "demoDatabase.enabled=true")
    passwords = set()
    for _ in range(2):
        documents = tuple(yaml.safe_load_all(helm("customer-360", given=trial).stdout))
        passwords.add(one(documents, "Secret")["data"]["password"])
    assert len(passwords) == 2
    policy = one(documents, "NetworkPolicy", "r1-customer-360-database")["spec"]
    (rule,) = policy["ingress"]
    assert rule["from"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/name"] == "customer-360"
    assert policy["egress"] == []
    pod = one(documents, "StatefulSet")["spec"]["template"]["spec"]["containers"][0]
    assert pod["securityContext"]["readOnlyRootFilesystem"] is True


def test_migrations_happen_at_start_in_a_job_or_elsewhere() -> None:
    assert container(rendered("customer-360"))["args"] == ["serve", "--migrate"]
    documents = rendered("customer-360", "migrations.mode=job")
    assert container(documents)["args"] == ["serve"]
    job = one(documents, "Job", "r1-customer-360-migrate")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["migrate"]
    assert job["spec"]["template"]["spec"]["serviceAccountName"] == "default"
    elsewhere = rendered("customer-360", "migrations.mode=none")
    assert container(elsewhere)["args"] == ["serve"] and len([d for d in elsewhere if d["kind"] == "Job"]) == 1


# --- switches that exclude one another ---


def test_replicas_are_left_to_the_autoscaler_where_there_is_one() -> None:
    assert one(rendered("customer-360", "replicas=3"), "Deployment")["spec"]["replicas"] == 3
    documents = rendered("customer-360", "autoscaling.enabled=true")
    assert "replicas" not in one(documents, "Deployment")["spec"]
    assert one(documents, "HorizontalPodAutoscaler")["spec"]["minReplicas"] == 2


def test_a_disruption_budget_is_the_chart_s_or_the_canvas_s_and_never_both() -> None:
    by = {
        mode: (
            "PodDisruptionBudget" in kinds(documents),
            "oda.tmforum.org/availability-class" in one(documents, "Deployment")["metadata"].get("annotations", {}),
        )
        for mode in ("none", "chart", "canvas")
        for documents in [rendered("customer-360", f"availability.budget={mode}")]
    }
    assert by == {"none": (False, False), "chart": (True, False), "canvas": (False, True)}


def test_rights_at_the_kubernetes_api_come_with_the_lookup_and_only_read() -> None:
    assert not {"Role", "RoleBinding"} & kinds(rendered("customer-360"))
    documents = rendered("customer-360", "canvas.lookup=true")
    rules = one(documents, "Role")["rules"]
    assert {verb for rule in rules for verb in rule["verbs"]} == {"get", "list"}
    assert {rule["apiGroups"][0] for rule in rules} == {"oda.tmforum.org"}
    assert one(documents, "Deployment")["spec"]["template"]["spec"]["automountServiceAccountToken"] is True


def test_a_digest_wins_over_a_tag_and_a_registry_of_all_over_none() -> None:
    digest = "sha256:" + "ab" * 32
    images = {
        container(rendered("customer-360", *settings))["image"]
        for settings in (
            (),
            ("image.tag=1.2.3",),
            ("image.tag=1.2.3", f"image.digest={digest}"),
            ("global.imageRegistry=registry.example.org",),
            ("global.imageRegistry=registry.example.org", "image.registry=other.example.org"),
        )
    }
    assert images == {
        "oda-cem/customer-360:0.1.0",
        "oda-cem/customer-360:1.2.3",
        f"oda-cem/customer-360@{digest}",
        "registry.example.org/oda-cem/customer-360:0.1.0",
        "other.example.org/oda-cem/customer-360:0.1.0",
    }


def test_settings_reach_the_component_as_it_reads_them() -> None:
    values = {
        "OUTBOX_RETENTION_S": 86400,
        "TRACE": 0.25,
        "STRICT_TYPE": True,
        "CALLBACK_SCHEMES": ["https"],
        "A": "{{ .Release.Name }}",
    }
    settings = f"settings=json:{json.dumps(values)}"
    found = environment(rendered("customer-360", settings))
    assert (found["OUTBOX_RETENTION_S"], found["TRACE"], found["STRICT_TYPE"]) == ("86400", "0.25", "true")
    assert json.loads(found["CALLBACK_SCHEMES"]) == ["https"]
    assert found["A"] == "r1"


def test_the_network_policy_names_who_may_call_and_can_be_left_out() -> None:
    policy = one(rendered("customer-360"), "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    spaces = policy["ingress"][0]["from"][1]["namespaceSelector"]["matchExpressions"][0]["values"]
    assert set(spaces) == {"canvas", "istio-ingress", "istio-system", "monitoring"}
    assert all(rule.get("ports") for rule in policy["egress"])
    assert "NetworkPolicy" not in kinds(rendered("customer-360", "networkPolicy.enabled=false"))


@pytest.mark.parametrize("chart", CHARTS)
def test_monitoring_is_made_by_switch_of_the_chart_s_own_files(chart: str) -> None:
    switches = [f"monitoring.{name}.enabled=true" for name in ("serviceMonitor", "rules", "dashboard")]
    documents = rendered(chart, *switches)
    groups = one(documents, "PrometheusRule")["spec"]["groups"]
    assert groups and all(rule["expr"] for group in groups for rule in group["rules"])
    board = json.loads(one(documents, "ConfigMap")["data"][f"{chart}.json"])
    assert board["panels"]
    assert one(documents, "ServiceMonitor")["spec"]["endpoints"][0]["path"] == f"/r1-{chart}/metrics"


def test_the_umbrella_installs_what_is_asked_for_and_joins_it() -> None:
    trial = [f"{chart}.{setting}" for chart in CHARTS for setting in ("auth.mode=none", "database.existingSecret=x")]
    everything = rendered("cem", given=tuple(trial))
    assert {d["metadata"]["name"] for d in everything if d["kind"] == "Deployment"} == {f"r1-{c}" for c in CHARTS}
    fewer = rendered("cem", "install.churnPrediction=false", given=tuple(trial))
    assert {d["metadata"]["name"] for d in fewer if d["kind"] == "Deployment"} == {
        f"r1-{c}" for c in CHARTS if c != "churn-prediction"
    }
    deployment = one(everything, "Deployment", "r1-churn-prediction")
    env = {e["name"]: e.get("value") for e in deployment["spec"]["template"]["spec"]["containers"][0]["env"]}
    addresses = json.loads(env["DEPENDENCIES"])
    assert addresses["customer360"] == "http://r1-customer-360.components.svc.cluster.local:8000/r1-customer-360"


def test_references_lead_to_the_service_or_where_the_canvas_says_and_callbacks_always_to_the_service() -> None:
    service = "http://r1-customer-360.components.svc.cluster.local:8000"
    told = {
        settings: {k: environment(rendered("customer-360", *settings)).get(k) for k in ("PUBLIC_URL", "LISTENER_URL")}
        for settings in ((), ("canvas.lookup=true",), ("canvas.lookup=true", "publicUrl=https://oda.example.org"))
    }
    assert [t["PUBLIC_URL"] for t in told.values()] == [service, None, "https://oda.example.org"]
    assert {t["LISTENER_URL"] for t in told.values()} == {service}


# --- what is refused, and the sentence ---

REFUSED = [
    (("auth.issuer=",), "Set auth.issuer to the issuer"),
    (("database.existingSecret=",), "Set database.existingSecret to a Secret"),
    (("demoDatabase.enabled=true",), "exclude one another"),
    (("database.existingSecret=", "demoDatabase.enabled=true", "migrations.mode=job"), "before the demo database"),
    (("canvas.lookup=true", "canvas.enabled=false"), "canvas.lookup reads the Component"),
    (("autoscaling.enabled=true", "autoscaling.minReplicas=9"), "is larger than autoscaling.maxReplicas"),
    (("preStopSeconds=40",), "leaves nothing of terminationGracePeriodSeconds"),
    (('canvas.gateway.quota.limit=json:"5"',), "both identifier and limit"),
    (("canvas.apis.nothing.expose=false",), "there is no such API. There are customer360"),
    (("canvas.apis.customerManagement.versions={v1}",), "it is served in v4, v5"),
    (("elsewhere.TMF999=https://example.org/v4",), "there is no such API. There are TMF717"),
    (("dependencies.party.canvas=true",), "needs dependencies.party.specificationUrl"),
    (("nothing=1",), "nothing"),
    (("image.digest=latest",), "digest"),
    (("availability.budget=both",), "budget"),
    (("auth.mode=maybe",), "mode"),
    (("replicas=-1",), "replicas"),
    (("settings.lower=1",), "settings"),
    (("dependencies.nobody.url=http://x",), "nobody"),
    (("otlp.traceRatio=2",), "traceRatio"),
    (("canvas.apis.customerManagement.expose=perhaps",), "expose"),
]


@pytest.mark.parametrize(("settings", "sentence"), REFUSED, ids=[s[0] for s, _ in REFUSED])
def test_bad_values_are_refused_with_a_sentence(settings: tuple[str, ...], sentence: str) -> None:
    assert sentence in refused("customer-360", *settings)


def test_a_name_that_is_no_label_is_refused() -> None:
    assert "at most 63" in refused("experience-management", release="r" * 45)
