"""The sections of a Component: who it is, what it offers, and how the Canvas may administer it."""

from __future__ import annotations

from collections.abc import Iterator

from oda_ctk.check import MUST, SHOULD, NotApplicable
from oda_ctk.component.case import COMPONENT_OPERATOR as OPERATOR
from oda_ctk.component.case import CRD, IDENTITY, IDENTITY_OPERATOR, KIT, SECRETS, SECRETS_OPERATOR, Case, check
from oda_ctk.component.manifest import mapping, numbered, text
from oda_ctk.component.piece import Found

SIDECAR = "oda.tmforum.org/secretsmanagement"


@check("component.metadata", MUST, f"{KIT}, L1 static 8 and configuration 13; {CRD}: componentMetadata")
def metadata(case: Case) -> Iterator[Found]:
    """componentMetadata tells id, name, version and description."""
    told = case.manifest.section("componentMetadata")
    lacking = [name for name in ("id", "name", "version", "description") if not text(told.get(name)).strip()]
    if lacking:
        shown = case.component.piece("spec.componentMetadata", told)
        yield Found(f"componentMetadata has no {', '.join(lacking)}", (shown,))


@check("component.metadata.origin", SHOULD, f"{KIT}, L1 static 8; {CRD}: componentMetadata")
def origin(case: Case) -> Iterator[Found]:
    """componentMetadata tells the functional block, the publication date, owners and maintainers."""
    told = case.manifest.section("componentMetadata")
    lacking = [n for n in ("functionalBlock", "publicationDate", "owners", "maintainers") if not told.get(n)]
    if lacking:
        shown = case.component.piece("spec.componentMetadata", told)
        yield Found(f"componentMetadata has no {', '.join(lacking)}", (shown,))


@check("component.core", MUST, f"{KIT}, configuration 8: both are arrays, also where they are empty")
def core(case: Case) -> Iterator[Found]:
    """coreFunction has the arrays exposedAPIs and dependentAPIs."""
    told = case.manifest.section("coreFunction")
    lacking = [name for name in ("exposedAPIs", "dependentAPIs") if name not in told]
    if lacking:
        yield Found(f"coreFunction has no {' and no '.join(lacking)}", (case.component.piece("spec", told),))


@check("component.management", SHOULD, f"{KIT}, L1 static 11; oda-canvas use case UC012: metrics are found here")
def management(case: Case) -> Iterator[Found]:
    """managementFunction has an exposed API of Prometheus or OpenMetrics metrics, named metrics."""
    apis = [a for a in case.manifest.exposed if a.section == "managementFunction"]
    shown = (case.component.piece("spec.managementFunction", case.manifest.section("managementFunction")),)
    if not any(a.is_metrics for a in apis):
        yield Found("no API of managementFunction is of the type prometheus or openmetrics", shown)
    elif not any(a.is_metrics and a.name == "metrics" for a in apis):
        yield Found("the metrics API is not named metrics, as UC012-F002 expects its ServiceMonitor to be", shown)


@check(
    "component.security.role",
    MUST,
    f"{OPERATOR}: the IdentityConfig is made of securityFunction.canvasSystemRole, and fails without it",
    hang=IDENTITY,
)
def role(case: Case) -> Iterator[Found]:
    """securityFunction tells the role under which the Canvas administers the component."""
    told = case.manifest.section("securityFunction")
    if not text(told.get("canvasSystemRole")).strip():
        shown = case.component.piece("spec.securityFunction", told)
        yield Found("securityFunction.canvasSystemRole is missing or empty", (shown,))


@check("component.security.roles", MUST, f"{IDENTITY_OPERATOR}: each componentRole becomes a role of the client")
def component_roles(case: Case) -> Iterator[Found]:
    """Every static role of the component has a name of its own."""
    roles = case.manifest.section("securityFunction").get("componentRole")
    names: list[str] = []
    for number, one in numbered(roles):
        name = text(one.get("name")).strip()
        if not name or name in names:
            shown = case.component.piece(f"spec.securityFunction.componentRole[{number}]", one)
            yield Found(f"componentRole[{number}] " + (f"is {name} again" if name else "has no name"), (shown,))
        names.append(name)


@check("component.security.names", MUST, f"{OPERATOR}: the APIs of roles are recognised by these words in the name")
def security_names(case: Case) -> Iterator[Found]:
    """The security API of TMF669 is named partyrole, that of TMF672 userrolesandpermissions."""
    for api in case.manifest.exposed:
        if api.section != "securityFunction":
            continue
        told = f"{api.id} {api.url} {api.base}".lower()
        for number, path, word in (
            ("tmf669", "/partyrole", "partyrole"),
            ("tmf672", "/rolesandpermissions", "userrolesandpermissions"),
        ):
            if (number in told or path in told) and word not in api.name.lower():
                shown = case.component.piece(api.path, api.root)
                yield Found(f"{api.name} is {number.upper()}, but is not named {word}", (shown,))


@check("component.security.party-role", SHOULD, f"{KIT}, deployment 4: one security API lists the role as a partyRole")
def party_role(case: Case) -> Iterator[Found]:
    """Where there is a security API, one of them is TMF669."""
    apis = [a for a in case.manifest.exposed if a.section == "securityFunction"]
    if apis and not any(a.is_party_role for a in apis):
        shown = case.component.piece("spec.securityFunction", case.manifest.section("securityFunction"))
        yield Found(f"the security APIs are {', '.join(a.name for a in apis)}, none of them a party role API", (shown,))


@check(
    "component.security.secrets",
    SHOULD,
    f"{OPERATOR}: waits for the SecretsManagement, which only the Vault operator marks as ready",
    hang=SECRETS,
)
def secrets(case: Case) -> Iterator[Found]:
    """secretsManagement is not asked for, at least not by default."""
    told = case.manifest.section("securityFunction").get("secretsManagement")
    if told:
        shown = case.component.piece("spec.securityFunction.secretsManagement", told)
        yield Found("securityFunction.secretsManagement is asked for; a Canvas without Vault never gives it", (shown,))


@check("component.security.sidecar", MUST, f"{SECRETS_OPERATOR}: pods get the sidecar by their label; it runs as root")
def sidecar(case: Case) -> Iterator[Found]:
    """Where secretsManagement is asked for, pods ask for the sidecar by label and do not forbid root as a whole."""
    told = mapping(case.manifest.section("securityFunction").get("secretsManagement"))
    if not told:
        raise NotApplicable("no secretsManagement is asked for")
    pods = [p for p in case.manifest.pods if p.labels.get(SIDECAR) == "sidecar"]
    if not pods:
        shown = case.component.piece("spec.securityFunction.secretsManagement", told)
        yield Found(f"no pod template has the label {SIDECAR}: sidecar", (shown,))
    for pod in pods:
        context = mapping(pod.spec.get("securityContext"))
        if context.get("runAsNonRoot") is True:
            shown = pod.document.piece(f"{pod.path}.spec.securityContext", context)
            yield Found(f"{pod.document.title} sets runAsNonRoot for the whole pod, the sidecar too", (shown,))
