"""What the stand-ins of the cluster checks read and decide, without a cluster: that one is for `make canvas-check`."""

from __future__ import annotations

import base64
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from canvas_operators import requirements
from canvas_resources import SERVICE_MONITOR, VIRTUAL_SERVICE
from kubelet import ENTRYPOINTS, PROGRAMS, Probe
from pki import Authority
from pod_environment import ConfigError, ImageUnknown, command, environment, files, image_name, moved
from service_network import endpoints, local, names

POD: dict[str, Any] = {
    "metadata": {"name": "sq-1", "namespace": "components", "uid": "u", "labels": {"app.kubernetes.io/name": "sq"}},
    "spec": {"nodeName": "n", "volumes": [{"name": "ca", "configMap": {"name": "authority"}}]},
    "status": {"podIP": "127.244.0.1"},
}
STORED: dict[tuple[str, str], dict[str, Any]] = {
    ("secrets", "database"): {"data": {"url": base64.b64encode(b"postgresql://x").decode()}},
    ("configmaps", "authority"): {"data": {"ca.crt": "PEM"}},
}


def lookup(plural: str, name: str) -> dict[str, Any] | None:
    return STORED.get((plural, name))


def container(**more: Any) -> dict[str, Any]:
    return {"name": "c", "image": "registry:5000/oda-cem/service-quality:0.1.0@sha256:00", **more}


def test_variables_come_from_values_secrets_fields_and_one_another() -> None:
    env = [
        {"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "database", "key": "url"}}},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app.kubernetes.io/name']"}}},
        {"name": "SAID", "value": "$(POD) has $$(POD) and $(NOBODY)"},
        {"name": "ABSENT", "valueFrom": {"secretKeyRef": {"name": "none", "key": "x", "optional": True}}},
    ]
    assert environment(POD, container(env=env), lookup) == {
        "DATABASE_URL": "postgresql://x",
        "POD": "sq-1",
        "IP": "127.244.0.1",
        "APP": "sq",
        "SAID": "sq-1 has $(POD) and $(NOBODY)",
    }


def test_all_keys_of_a_config_map_are_variables_with_their_prefix() -> None:
    sources = [{"configMapRef": {"name": "authority"}, "prefix": "X_"}]
    assert environment(POD, container(envFrom=sources), lookup) == {"X_ca.crt": "PEM"}


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ({"secretKeyRef": {"name": "none", "key": "x"}}, 'secret "none" not found'),
        ({"secretKeyRef": {"name": "database", "key": "x"}}, "couldn't find key x in secret database"),
        ({"fieldRef": {"fieldPath": "spec.unknown"}}, "not supported"),
        ({"resourceFieldRef": {"resource": "limits.cpu"}}, "not supported"),
    ],
)
def test_what_cannot_be_resolved_is_told_as_the_kubelet_tells_it(source: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        environment(POD, container(env=[{"name": "X", "valueFrom": source}]), lookup)


def test_a_path_under_a_mount_is_where_the_volume_lies(tmp_path: Path) -> None:
    volumes = files(POD, tmp_path, lookup)
    mounted = container(volumeMounts=[{"name": "ca", "mountPath": "/etc/authorities/"}])
    assert Path(moved("/etc/authorities/ca.crt", mounted, volumes)).read_text() == "PEM"
    assert moved("/etc/authorities-of-others/ca.crt", mounted, volumes) == "/etc/authorities-of-others/ca.crt"


def test_the_command_is_the_entry_point_with_the_arguments_unless_one_is_given() -> None:
    assert image_name(container()["image"]) == "service-quality"
    program = PROGRAMS["service-quality"]
    assert command(container(args=["serve"]), ENTRYPOINTS, PROGRAMS) == [program, "serve"]
    assert command(container(command=["python", "-c", "1"]), ENTRYPOINTS, PROGRAMS) == [sys.executable, "-c", "1"]
    with pytest.raises(ImageUnknown, match="postgres:17"):
        command({"name": "c", "image": "postgres:17"}, ENTRYPOINTS, PROGRAMS)


def test_a_probe_that_nobody_answers_fails_after_its_threshold() -> None:
    spec = {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 0, "failureThreshold": 2}
    probe = Probe(spec, container(ports=[{"name": "http", "containerPort": 1}]), "127.244.255.254")
    probe.look()
    assert (probe.well, probe.failed) == (False, False)
    probe.look()
    assert (probe.well, probe.failed) == (False, True)


def test_only_ready_endpoints_of_the_named_port_are_gone_to() -> None:
    slices = [
        {
            "ports": [{"name": "http", "port": 8000}, {"name": "other", "port": 1}],
            "endpoints": [
                {"addresses": ["10.244.0.1"], "conditions": {"ready": True}},
                {"addresses": ["10.244.0.2"], "conditions": {"ready": False}},
            ],
        }
    ]
    assert endpoints(slices, "http") == [("127.244.0.1", 8000)]
    assert local("10.96.0.10") == "127.96.0.10"
    assert "info.canvas.svc.cluster.local" in names("info", "canvas")


def test_a_dockerfile_tells_what_it_installs_and_not_what_it_once_did() -> None:
    dockerfile = "#RUN pip install old\nFROM python\nRUN pip install kopf==1 \\\n    && pip install PyYAML \n"
    assert requirements(dockerfile) == ["kopf==1", "PyYAML"]
    assert requirements("flask\nwaitress==3\n") == ["flask", "waitress==3"]


def test_an_authority_signs_what_a_tls_client_believes(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "authority")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*authority.sign("server", "server", hosts=("components.test", "127.0.0.1")))
    client = ssl.create_default_context(cafile=str(authority.certificate))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname="components.test")
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(3):
        for side in (ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert ours.version() == "TLSv1.3"


def test_our_definitions_name_the_kinds_that_the_operators_write() -> None:
    found = {(d["metadata"]["name"], d["spec"]["versions"][0]["name"]) for d in (VIRTUAL_SERVICE, SERVICE_MONITOR)}
    assert found == {
        ("virtualservices.networking.istio.io", "v1alpha3"),
        ("servicemonitors.monitoring.coreos.com", "v1"),
    }
