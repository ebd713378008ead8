"""What is judged: the manifest, its schemas, where it runs, and what the cluster says; and how a check is written.

    @check("component.api.paths.unique", MUST, f"{API_OPERATOR}: ...", hang=COMPONENT)
    def unique(case: Case) -> Iterator[Found]:
        "No two APIs have the same path."
        yield Found("two APIs at /a", (piece,))

A check yields every place where the clause is not kept. One of a single API (`of="metrics"`) is given an At instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from oda_ctk.check import Check, Level, Registry, Scope
from oda_ctk.component.cluster import Live
from oda_ctk.component.crd import Key
from oda_ctk.component.manifest import Api, Document, Manifest
from oda_ctk.component.piece import Broken, Found
from oda_ctk.component.running import Running
from oda_ctk.component.schema import Node

SOURCE = "oda-canvas source/operators"
CRD = "oda-crds, Component of oda.tmforum.org/v1"
COMPONENT_OPERATOR = f"{SOURCE}/TMFOP001-Component-Management componentOperator.py"
API_OPERATOR = f"{SOURCE}/TMFOP002-API-Management apiOperatorIstio.py"
KONG = f"{SOURCE}/TMFOP002-API-Management apiOperatorKong.py"
APISIX = f"{SOURCE}/TMFOP002-API-Management apiOperatorApisix.py"
IDENTITY_OPERATOR = f"{SOURCE}/TMFOP003-Identity-Config identityConfigOperatorKeycloak.py"
IDENTITY_LISTENER = f"{SOURCE}/TMFOP003-Identity-Config identity-listener-keycloak.py"
DEPENDENT_OPERATOR = f"{SOURCE}/TMFOP005-Dependency-Management dependentApiSimpleOperator.py"
SECRETS_OPERATOR = f"{SOURCE}/TMFOP007-Secrets-Management secretsmanagementOperatorHC.py"
PDB_OPERATOR = f"{SOURCE}/TMFOP010-Disruption-Budget-Management"
GUIDELINE = "ODA Component Design Guidelines"
KIT = "TM Forum component CTK"
USE_CASE = "oda-canvas use case"
KUBERNETES = "Kubernetes"

CONFIGURING = "In-Progress-CompCon"
IDENTITY = "In-Progress-IDConfOp"
SECRETS = "In-Progress-SecretMan"
DEPENDING = "In-Progress-DepApi"
STAGES = (CONFIGURING, IDENTITY, SECRETS, DEPENDING, "Complete")
"""The states of a Component in their order (componentOperator.py, the summary of the status)."""


@dataclass(frozen=True)
class ComponentCheck(Check):
    """`hang`: the state in which the Component stays for ever when this is not kept."""

    hang: str = ""


@dataclass
class Case:
    """Everything about the component under judgement."""

    manifest: Manifest
    schemas: dict[Key, Node]
    golden: Document | None = None
    running: Running | None = None
    live: Live | None = None
    fetching: bool = False
    memory: dict[str, Any] = field(default_factory=dict)

    @property
    def component(self) -> Document:
        return self.manifest.component

    @property
    def name(self) -> str:
        return self.manifest.name


@dataclass(frozen=True)
class At:
    """One exposed API of the component that runs."""

    case: Case
    running: Running
    api: Api


REGISTRY = Registry()
Judge = TypeVar("Judge", bound=Callable[[Any], Iterator[Found]])


def check(
    id: str,
    level: Level,
    clause: str,
    *,
    needs: tuple[str, ...] = ("component",),
    of: str = "",
    hang: str = "",
) -> Callable[[Judge], Judge]:
    """Register a function as a check; the first line of its docstring is its title.

    `needs`: what must be given besides the manifest; `of`: the kind of exposed API that it is about, one by one.
    """
    scope: Scope = "resource" if of else "api"
    needed = ("running", of) if of else needs

    def register(function: Judge) -> Judge:
        title = (function.__doc__ or "").strip().partition("\n")[0]

        def judge(where: Any) -> None:
            found = list(function(where))
            if found:
                raise Broken(found)

        REGISTRY.add(ComponentCheck(id, level, clause, title, judge, scope, needed, hang=hang))
        return function

    return register
