"""A component in a cluster: over a real socket that speaks the Kubernetes API, with each lie found by one check."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from ctk.tests.support.kubernetes import Kubernetes
from ctk.tests.support.ticketing import Ticketing
from ctk.tests.support.tickets import NAME, documents

from oda_ctk.__main__ import main
from oda_ctk.component.case import REGISTRY

SCHEMA = json.loads((Path(__file__).parents[1] / "src" / "oda_ctk" / "report.schema.json").read_text())
Results = dict[str, dict[str, Any]]
LABEL = "oda.tmforum.org/componentName"
LIES: dict[str, tuple[str, Callable[[Kubernetes], Any]]] = {
    "a status that was left behind": (
        "component.live.complete",
        lambda k: k.component["status"]["summary/status"].update(deployment_status="In-Progress-DepApi"),
    ),
    "no status": ("component.live.complete", lambda k: k.component.pop("status")),
    "no ExposedAPI": ("component.live.exposed", lambda k: k.of("exposedapis").pop(1)),
    "no url": ("component.live.url", lambda k: k.of("exposedapis")[1]["status"].pop("apiStatus")),
    "not ready": (
        "component.live.ready",
        lambda k: k.of("exposedapis")[1]["status"]["implementation"].update(ready=False),
    ),
    "no endpoint any more": (
        "component.live.endpoints",
        lambda k: k.of("endpointslices")[0]["endpoints"][0]["conditions"].update(ready=False),
    ),
    "no slice": ("component.live.endpoints", lambda k: k.of("endpointslices").clear()),
    "a slice without the label": (
        "component.live.endpoints",
        lambda k: k.of("endpointslices")[0]["metadata"]["labels"].pop(LABEL),
    ),
    "no Service": ("component.live.endpoints", lambda k: k.of("services").clear()),
    "no IdentityConfig": ("component.live.identity", lambda k: k.of("identityconfigs").clear()),
    "no identity provider": (
        "component.live.identity",
        lambda k: k.of("identityconfigs")[0]["status"]["identityConfig"].update(identityProvider="Not set"),
    ),
    "no listener": (
        "component.live.listener",
        lambda k: k.of("identityconfigs")[0]["status"]["identityConfig"].update(listenerRegistered=False),
    ),
    "no DependentAPI": ("component.live.dependent", lambda k: k.of("dependentapis").clear()),
    "a dependency that is not resolved": (
        "component.live.dependent",
        lambda k: k.of("dependentapis")[0]["status"].update(depapiStatus={}),
    ),
    "an orphan": ("component.live.adopted", lambda k: k.of("deployments")[0]["metadata"].pop("ownerReferences")),
}


def config(folder: Path, server: str, user: dict[str, Any] | None = None, **cluster: Any) -> str:
    """A kubeconfig; its path."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u", "namespace": "components"}}],
        "clusters": [{"name": "c", "cluster": {"server": server, **cluster}}],
        "users": [{"name": "u", "user": user or {}}],
    }
    file = folder / "config"
    file.write_text(yaml.safe_dump(document))
    return str(file)


def live(kubernetes: Kubernetes, folder: Path, *options: str) -> tuple[int, Results]:
    """The exit code and the results that are no "not applicable"."""
    common = ["--kubeconfig", config(folder, kubernetes.url), "--patience", "0.6", "--report", str(folder)]
    code = main(["component", "--live", "r1", *common, *options])
    document = json.loads((folder / "report.json").read_text())
    jsonschema.validate(document, SCHEMA)
    return code, {
        f"{r['id']} {r['resource']}".strip(): r for r in document["results"] if r["outcome"] != "not applicable"
    }


def failed(results: Results) -> set[str]:
    return {r["id"] for r in results.values() if r["outcome"] == "fail"}


def test_a_component_that_is_complete_passes_everything(tmp_path: Path) -> None:
    with Ticketing() as server, Kubernetes(server.url) as kubernetes:
        code, results = live(kubernetes, tmp_path)
        assert {line.partition(" ")[0] for line in kubernetes.seen} == {"GET"}
        assert (code, failed(results), server.hubs) == (0, set(), {})
    passed = {r["id"] for r in results.values()}
    assert {id for id, _ in LIES.values()} <= passed
    assert {"component.run.entry", "component.run.roles.href", "component.run.hub", "component.run.metrics"} <= passed
    assert {"component.upgrade.jobs", "component.api.port", "component.name.release"} <= passed  # of what Helm keeps
    document = json.loads((tmp_path / "report.json").read_text())
    assert (document["profile"], document["hangs"]) == ("live", [])


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_found_by_exactly_the_check_of_its_clause(lie: str, tmp_path: Path) -> None:
    id, tell = LIES[lie]
    with Kubernetes("http://127.0.0.1:9") as kubernetes:
        tell(kubernetes)
        code, results = live(kubernetes, tmp_path, "--only", "component.live", "component.api", "component.labels")
    assert failed(results) == {id}, [(r["id"], r["reason"]) for r in results.values() if r["outcome"] == "fail"]
    assert code == (1 if REGISTRY.checks[id].level == "MUST" else 0)


def test_every_check_of_a_cluster_has_a_lie() -> None:
    known = {c.id for c in REGISTRY.checks.values() if "live" in c.needs}
    assert known == {id for id, _ in LIES.values()} | {"component.live.secrets"}


def test_secrets_that_never_come_are_found(tmp_path: Path) -> None:
    told = documents()
    asked = {"type": "sideCar", "podSelector": {"name": "*"}, "sideCar": {"port": 5000}}
    told["Component"]["spec"]["securityFunction"]["secretsManagement"] = asked
    with Kubernetes("http://127.0.0.1:9", told) as kubernetes:
        for given, outcome in (([], "fail"), ([{}], "fail"), ([{"implementation": {"ready": True}}], "pass")):
            kubernetes.of("secretsmanagements")[:] = [{"metadata": {"name": NAME}, "status": s} for s in given]
            _, results = live(kubernetes, tmp_path, "--only", "component.live.secrets")
            assert results["component.live.secrets"]["outcome"] == outcome


def test_why_it_is_not_ready_is_told(tmp_path: Path) -> None:
    with Kubernetes("http://127.0.0.1:9") as kubernetes:
        kubernetes.component["status"]["summary/status"]["deployment_status"] = "In-Progress-CompCon"
        kubernetes.of("exposedapis")[0]["status"]["implementation"]["ready"] = False
        kubernetes.of("endpointslices")[0]["endpoints"][0]["conditions"]["ready"] = False
        kubernetes.of("pods")[0]["status"]["conditions"][0]["status"] = "False"
        code, results = live(kubernetes, tmp_path, "--only", "component.live.complete", "component.live.ready")
    assert code == 1
    assert "not every exposed API has a url and is ready" in results["component.live.complete"]["reason"]
    assert f"no endpoint is ready; pods that are not: {NAME}-api-5d-1" in results["component.live.ready"]["reason"]
    hangs = json.loads((tmp_path / "report.json").read_text())["hangs"]
    assert len(hangs) == 1 and hangs[0].startswith("stays In-Progress-CompCon")


def test_where_the_release_may_not_be_read_its_objects_are_judged(tmp_path: Path) -> None:
    with Kubernetes("http://127.0.0.1:9") as kubernetes:
        kubernetes.forbidden = {"secrets", "poddisruptionbudgets"}
        kubernetes.of("services")[0]["spec"]["type"] = "NodePort"
        _, results = live(kubernetes, tmp_path, "--only", "component.a*", "component.s*", "component.l*")
    assert failed(results) == {"component.service.type"}
    assert "component.kinds" not in failed(results)


def test_what_cannot_be_reached_or_found_gives_two_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(server: str, *options: str, release: str = "r1", user: dict[str, Any] | None = None) -> str:
        file = config(tmp_path, server, user)
        assert main(["component", "--live", release, "--kubeconfig", file, *options]) == 2
        return capsys.readouterr().err

    with Kubernetes("http://127.0.0.1:9") as kubernetes:
        assert f"no Component of release r9 in namespace components; there are: {NAME}" in said(
            kubernetes.url, release="r9"
        )
        assert "not found" in said(kubernetes.url, "--namespace", "elsewhere")
        assert "contexts has no other" in said(kubernetes.url, "--context", "other")
        assert "exec" in said(kubernetes.url, user={"exec": {"command": "aws"}})
        other = json.loads(json.dumps(kubernetes.component))
        other["metadata"]["name"] = "r1-more"
        kubernetes.of("components").append(other)
        assert "several Components" in said(kubernetes.url)
        kubernetes.forbidden = {"components"}
        assert "components is forbidden" in said(kubernetes.url)
        kubernetes.forbidden = set()
        kubernetes.of("components").pop()
        kubernetes.of("secrets")[2]["data"]["release"] = "bm90aGluZw=="
        assert "is not understood" in said(kubernetes.url)
        kubernetes.token = "very-secret"
        assert "Unauthorized" in said(kubernetes.url)
        url = kubernetes.url
    assert "does not answer" in said(url)


def certificate(name: str, issuer: tuple[Any, Any] | None = None) -> tuple[Any, Any]:
    """A certificate of 127.0.0.1 and its key, signed by itself or by an issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(issuer[1] if issuer else key, hashes.SHA256())
    )
    return made, key


def pem(pair: tuple[Any, Any]) -> tuple[bytes, bytes]:
    private = serialization.PrivateFormat.PKCS8
    plain = serialization.NoEncryption()
    encoding = serialization.Encoding.PEM
    return pair[0].public_bytes(encoding), pair[1].private_bytes(encoding, private, plain)


def test_a_cluster_is_reached_with_its_own_authority_and_a_certificate_or_a_token(tmp_path: Path) -> None:
    authority = certificate("authority")
    trusted, _ = pem(authority)
    (tmp_path / "ca.pem").write_bytes(trusted)
    server, server_key = pem(certificate("server", authority))
    (tmp_path / "server.pem").write_bytes(server + server_key)
    client, client_key = pem(certificate("client", authority))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "server.pem")
    tls.load_verify_locations(tmp_path / "ca.pem")
    tls.verify_mode = ssl.CERT_REQUIRED

    def encoded(content: bytes) -> str:
        return base64.b64encode(content).decode()

    presented = {"client-certificate-data": encoded(client), "client-key-data": encoded(client_key)}
    (tmp_path / "token").write_text("very-secret\n")
    with Kubernetes("http://127.0.0.1:9", tls=tls) as kubernetes:
        kubernetes.token = "very-secret"
        for user, cluster, code in (
            ({**presented, "token": "very-secret"}, {"certificate-authority-data": encoded(trusted)}, 0),
            ({**presented, "tokenFile": "token"}, {"certificate-authority": "ca.pem"}, 0),
            ({**presented, "token": "very-secret"}, {"insecure-skip-tls-verify": True}, 0),
            ({**presented, "token": "very-secret"}, {}, 2),
            ({**presented, "token": "another"}, {"certificate-authority": "ca.pem"}, 2),
            ({"token": "very-secret"}, {"certificate-authority": "ca.pem"}, 2),
        ):
            file = config(tmp_path, kubernetes.url, user, **cluster)
            options = ["--kubeconfig", file, "--only", "component.live", "--report", str(tmp_path / "out")]
            assert main(["component", "--live", "r1", *options]) == code, (user.keys(), cluster)
    for report in (tmp_path / "out").iterdir():
        assert "very-secret" not in report.read_text()
