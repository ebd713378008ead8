"""What is run together: the four components and the demo operator, their ports, addresses and environment.

Data only. A component is known here by its package name and started as a process; nothing of it is imported.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

PORT_BASE = 8630
LOOPBACK = "127.0.0.1"
_EVERYWHERE = {"0.0.0.0": LOOPBACK, "::": "[::1]", "": LOOPBACK}
_SIMULATED_TIME_AHEAD_S = 10 * 365 * 86_400
_FILE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Member:
    """One process of the suite. `port` counts from the port base; `dependencies` maps a name to the member asked."""

    name: str
    package: str
    port: int
    question: str
    dependencies: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


DEMO_OPERATOR = Member(
    "demo-operator",
    "demo_operator",
    5,
    "the operator's other systems, simulated",
    {
        "serviceQuality": "service-quality",
        "experienceManagement": "experience-management",
        "customer360": "customer-360",
        "churnPrediction": "churn-prediction",
    },
    {"LOOP": "off"},  # it is told by commands what to do, so that its lines are seen and its end is known
)
COMPONENTS = (
    Member(
        "service-quality",
        "service_quality",
        1,
        "does the service keep its level?",
        {"serviceInventory": "demo-operator", "resourceInventory": "demo-operator"},
        # A file of measurements is one request, and simulated time runs ahead of the clock.
        {"MEASUREMENT_FUTURE_LIMIT_S": str(_SIMULATED_TIME_AHEAD_S), "MAX_BODY_BYTES": str(_FILE_BYTES)},
    ),
    Member(
        "experience-management",
        "experience_management",
        2,
        "how does it feel?",
        {"serviceQuality": "service-quality", "serviceInventory": "demo-operator"},
        {"REEVALUATION_S": "2"},  # simulated time runs fast
    ),
    Member(
        "customer-360",
        "customer_360",
        3,
        "who is this, and what has happened?",
        {
            "serviceQuality": "service-quality",
            "experienceManagement": "experience-management",
            "churnPrediction": "churn-prediction",
            "productInventory": "demo-operator",
        },
    ),
    Member(
        "churn-prediction",
        "churn_prediction",
        4,
        "who will leave, and what would keep them?",
        {"customer360": "customer-360", "experienceManagement": "experience-management"},
    ),
)
DEMO = (*COMPONENTS, DEMO_OPERATOR)


@dataclass(frozen=True)
class Plan:
    """Which members run where. `elsewhere` gives dependencies an address outside of the suite."""

    members: tuple[Member, ...]
    host: str = LOOPBACK
    port_base: int = PORT_BASE
    elsewhere: Mapping[str, str] = field(default_factory=dict)

    def port(self, member: Member) -> int:
        return self.port_base + member.port

    @property
    def ports(self) -> dict[int, str]:
        """Port -> the member that wants it."""
        return {self.port(m): m.name for m in self.members}

    def public_url(self, member: Member) -> str:
        """Scheme and authority under which the member is reached."""
        reached = _EVERYWHERE.get(self.host, f"[{self.host}]" if ":" in self.host else self.host)
        return f"http://{reached}:{self.port(member)}"

    def address(self, member: Member) -> str:
        """Base of the member's addresses: the part before /tmf-api."""
        return f"{self.public_url(member)}/{member.name}"

    @property
    def addresses(self) -> dict[str, str]:
        return {m.name: self.address(m) for m in self.members}

    def environment(self, member: Member, database_url: str) -> dict[str, str]:
        """The settings of one member, as environment variables.

        A dependency whose provider is not among the members and not elsewhere is left out: the component starts
        without it.
        """
        addresses = self.addresses
        dependencies = {name: addresses[of] for name, of in member.dependencies.items() if of in addresses}
        dependencies |= {name: url for name, url in self.elsewhere.items() if name in member.dependencies}
        own_networks = ["127.0.0.0/8", "::1/128"]
        if self.host not in _EVERYWHERE:
            own_networks.append(self.host)
        return {
            "DATABASE_URL": database_url,
            "HOST": self.host or LOOPBACK,
            "PORT": str(self.port(member)),
            "PUBLIC_URL": self.public_url(member),
            "AUTH_MODE": "none",
            "DEPENDENCIES": json.dumps(dependencies, sort_keys=True),
            "CALLBACK_ALLOW": json.dumps(own_networks),
            **member.environment,
        }


def named(name: str) -> Member:
    """The member of that name; KeyError if there is none."""
    return {m.name: m for m in DEMO}[name]
