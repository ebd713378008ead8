"""Dockerfiles, .dockerignore, docker-compose.yml and .env.example say the same as the packages they are about."""

from __future__ import annotations

import io
import re
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))  # its neighbours are scripts

from build_images import DEFAULT_BASE, context, images, version
from docker_engine import entries, fingerprint
from image_locks import ROOT

from cem.suite import COMPONENTS, DEMO, Member

COMPOSE = (ROOT / "docker-compose.yml").read_text()
EXAMPLE = (ROOT / ".env.example").read_text()
MEMBERS = [pytest.param(member, id=member.name) for member in DEMO]


def dockerfile(name: str) -> str:
    return (ROOT / "components" / name / "Dockerfile").read_text()


def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE)["services"]
    return found


@pytest.mark.parametrize("member", MEMBERS)
def test_a_dockerfile_names_its_component_version_and_base(member: Member) -> None:
    text = dockerfile(member.name)
    assert f"ARG BASE_IMAGE={DEFAULT_BASE}\n" in text
    assert f'ENTRYPOINT ["{member.name}"]' in text
    assert f'image.title="{member.name}"' in text
    assert set(re.findall(r"ARG VERSION=(\S+)", text)) == {version(member.name)}
    assert re.search(r"^USER 10001:10001$", text, re.M)
    assert "HEALTHCHECK" in text
    assert "curl" not in text


@pytest.mark.parametrize("member", MEMBERS)
def test_the_components_dockerfiles_differ_in_names_alone(member: Member) -> None:
    def common(name: str) -> str:
        of_build = dockerfile(name).partition("SHELL")[2].partition("\nRUN rm")[0].partition("\nFROM")[0]
        return of_build.replace(name, "NAME").replace(name.replace("-", "_"), "PACKAGE").rstrip()

    assert common(member.name) == common("customer-360")


@pytest.mark.parametrize("member", MEMBERS)
def test_whatever_a_dockerfile_copies_is_in_its_context(member: Member, tmp_path: Path) -> None:
    context(tmp_path, member.name)
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile(member.name), re.M)
    assert copied
    for source in " ".join(copied).split():
        assert (tmp_path / source).exists(), source
    others = {m.name for m in DEMO} - {member.name}
    assert not others & {path.name for path in (tmp_path / "components").iterdir()}
    assert not list(tmp_path.rglob("*.pyc"))


def test_every_variable_of_compose_is_explained_in_the_example() -> None:
    used = set(re.findall(r"\$\{([A-Z0-9_]+)", COMPOSE))
    told = set(re.findall(r"^(?:# )?([A-Z0-9_]+)=", EXAMPLE, re.M))
    of_the_world = {"SCALE", "SEED", "PAST_CUSTOMERS", "HISTORY_WEEKS", "MIN_CUSTOMERS"}  # docs/operations.md
    of_every_component = {"LOG_FORMAT", "LOG_LEVEL", "OTLP_ENDPOINT"}
    assert used - of_the_world - of_every_component == told - {"COMPOSE_PROFILES"}


def test_no_secret_has_a_value_in_the_example_or_a_default_in_compose() -> None:
    secret = re.compile(r"^[A-Z0-9_]*(?:PASSWORD|SECRET)=(.*)$", re.M)
    assert secret.findall(EXAMPLE)
    assert set(secret.findall(EXAMPLE)) == {""}
    defaults = re.findall(r"\$\{[A-Z0-9_]*(?:PASSWORD|SECRET):-([^}]*)\}", COMPOSE)
    assert set(defaults) == {""}
    for member in COMPONENTS:
        assert f"${{{member.package.upper()}_DB_PASSWORD:?" in COMPOSE


def test_compose_runs_every_member_and_every_image() -> None:
    found = services()
    assert {m.name for m in DEMO} | {"postgres", "training"} == set(found)
    built = {service["image"].removesuffix(":${IMAGE_TAG:-latest}") for service in found.values() if "build" in service}
    assert built == {i.reference("x").removesuffix(":x") for i in images()}


@pytest.mark.parametrize("member", MEMBERS)
def test_compose_tells_a_component_where_all_its_dependencies_are(member: Member) -> None:
    told = services()[member.name]["environment"]["DEPENDENCIES"]
    assert set(re.findall(r'"(\w+)": ', told)) == set(member.dependencies)


@pytest.mark.parametrize("service", sorted(services()))
def test_a_container_has_no_rights_and_is_published_on_loopback_at_most(service: str) -> None:
    found = services()[service]
    assert found["read_only"] is True
    assert found["cap_drop"] == ["ALL"]
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert found["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}
    assert "privileged" not in found
    for port in found.get("ports", ()):
        assert port.startswith("${LISTEN:-127.0.0.1}:")


def archive(*files: tuple[str, int, int, bytes]) -> io.BytesIO:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for name, mode, owner, content in files:
            about = tarfile.TarInfo(name)
            about.mode, about.uid, about.size, about.mtime = mode, owner, len(content), hash(content) % 1000
            tar.addfile(about, io.BytesIO(content))
    written.seek(0)
    return written


def test_the_hash_of_an_image_counts_path_mode_owner_and_content_and_not_the_order() -> None:
    a, b = ("app/a", 0o644, 0, b"one"), ("app/b", 0o755, 0, b"two")
    first = fingerprint(entries(archive(a, b)))
    assert fingerprint(entries(archive(b, a))) == first
    changed = (("app/c", 0o644, 0, b"one"), ("app/a", 0o600, 0, b"one"), ("app/a", 0o644, 7, b"one"))
    others = {fingerprint(entries(archive(other, b))) for other in (*changed, ("app/a", 0o644, 0, b"other"))}
    assert len(others) == 4
    assert first not in others
