"""Each component alone: the others stopped, it starts ready with an empty database, serves its API, and catches up with
what the others know when they come. Shown for one component after the other, with a small operator.

    .venv/bin/python tests/alone.py [COMPONENT ...]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cem.suite import COMPONENTS, DEMO_OPERATOR
from road_processes import NAMES, PAST, Road, clients
from tmfkit.testing_issuer import Issuer
from tmfkit.types import Document

PATIENCE_S = 120.0
CUSTOMERS = "tmf-api/customerManagement/v5/customer"
VIEWS = "tmf-api/customer360/v5/customer360"
SCORES = "tmf-api/experienceManagement/v1/experienceScore"
RISKS = "tmf-api/riskManagement/v4/partyRoleRiskAssessment"
PROBLEMS = "tmf-api/serviceProblemManagement/v5/serviceProblem"
OBJECTIVES = "tmf-api/serviceQualityManagement/v4/serviceLevelObjective"
MEASUREMENTS = "tmf-api/performanceMeasurement/v1/measurement"
OPEN = "acknowledged,pending,held,inProgress"
INTERACTIONS = "tmf-api/partyInteractionManagement/v5/partyInteraction"


class Alone:
    """One operator whose components come and go."""

    def __init__(self, road: Road) -> None:
        self.road = road
        self.loop: dict[str, Document] = {}
        self.objective: Document = {}

    def say(self, name: str, what: str) -> None:
        print(f"{name:<24} {what}", flush=True)

    def live(self) -> None:
        """Everything runs once, so that there is something to catch up with."""
        self.road.start()
        self.road.fill()
        file = self.road.folder / "loop.json"
        self.road.command(
            DEMO_OPERATOR.name, "once", "--seed", "3", "--fault", "throughput_collapse", "--json", str(file)
        )
        self.loop = {step["step"]: step for step in json.loads(file.read_text())["steps"]}
        self.objective = self.road.client.get(self.loop["serviceLevelObjective"]["href"]).json()
        self.say("all", f"a loop was closed: {', '.join(self.loop)}")

    def show(self, name: str) -> None:
        known = self.known_elsewhere(name)
        if name == "experience-management":
            self.degraded()
        self.road.stop()
        before = self.road.environment[name]
        self.road.new_database(name)
        began = time.monotonic()
        self.road.start([name])
        self.say(name, f"alone with an empty database: ready after {time.monotonic() - began:.1f} s")
        served = SERVED[name](self)
        self.say(name, f"alone, it serves: {served}")
        began = time.monotonic()
        self.road.start()
        caught = CAUGHT_UP[name](self, known)
        self.say(name, f"caught up {time.monotonic() - began:.1f} s after the others were started: {caught}")
        self.road.stop([name])
        self.road.environment[name] = before  # the next one is to find what there was

    def known_elsewhere(self, name: str) -> dict[str, int]:
        """How much the component knew before it lost its database: what it has to know again."""
        paths = {
            "customer-360": ("churn-prediction", RISKS),
            "churn-prediction": ("customer-360", CUSTOMERS),
        }
        return {path: self.road.total(of, path) for of, path in [paths[name]]} if name in paths else {}

    # --- asking ---

    def created(self, name: str, path: str, doc: Document) -> Document:
        answer = self.road.client.post(f"{self.road.plan.addresses[name]}/{path}", json=doc)
        assert answer.status_code == 201, answer.text
        made: Document = answer.json()
        again = self.road.get(name, f"{path}/{made['id']}")
        assert again.status_code == 200, again.text
        assert again.json() == made
        return made

    def until(self, what: str, done: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if found := done():
                return found
            time.sleep(0.5)
        raise AssertionError(f"within {PATIENCE_S:.0f} s: {what}")

    def customer(self) -> str:
        """The customer of the loop."""
        return str(self.loop["customer360"]["id"])

    # --- service-quality: it measures alone; whom a violation concerns it learns from the inventories ---

    def quality_serves(self) -> str:
        objective = self.created("service-quality", OBJECTIVES, {k: v for k, v in self.objective.items() if k != "id"})
        problem = self.degraded()
        assert not problem.get("affectedNumberOfServices"), problem
        return f"objective {objective['id']}, measurements, service problem {problem['id']}"

    def degraded(self) -> Document:
        """Two hours in which the cell of the loop is far below its objective; the problem that is raised."""
        names = self.loop["measurement"]["names"]
        end = parse_qs(urlsplit(self.loop["measurement"]["href"]).query)["to"][0]
        start = datetime.fromisoformat(end) + timedelta(hours=6)
        rows = [
            {
                "id": f"alone-{step}",
                **{name: names[name] for name in ("resource", "service", "kpi", "unit")},
                "value": names["values"][0] * 0.1,
                "observedAt": (start + step * timedelta(minutes=5)).isoformat(),
                "granularity": 300,
            }
            for step in range(24)
        ]
        answer = self.road.client.post(f"{self.road.plan.addresses['service-quality']}/{MEASUREMENTS}", json=rows)
        assert answer.is_success, answer.text
        assert answer.json()["rejected"] == 0, answer.text
        found: list[Document] = self.until(
            "a service problem for a cell below its objective",
            lambda: self.road.get("service-quality", PROBLEMS, status=OPEN).json(),
        )
        return found[0]

    def quality_caught_up(self, known: dict[str, int]) -> str:
        def done() -> Document | None:
            problem: Document = self.road.get("service-quality", PROBLEMS, status=OPEN).json()[0]
            return problem if problem.get("affectedNumberOfServices") else None

        problem = self.until("the problem names affected services", done)
        return f"the problem names {problem['affectedNumberOfServices']} affected services of the inventory"

    # --- experience-management ---

    def experience_serves(self) -> str:
        made = self.created(
            "experience-management",
            INTERACTIONS,
            {
                "@type": "PartyInteraction",
                "description": "asked how it is",
                "direction": "inbound",
                "reason": "complaint",
                "relatedChannel": [
                    {
                        "@type": "RelatedChannel",
                        "role": "interaction",
                        "channel": {"@type": "ChannelRef", "id": "care", "name": "care"},
                    }
                ],
            },
        )
        return f"party interaction {made['id']}"

    def experience_caught_up(self, known: dict[str, int]) -> str:
        self.until("experience scores", lambda: self.road.total("experience-management", SCORES))
        return f"{self.road.total('experience-management', SCORES):,} experience scores"

    # --- customer-360 ---

    def customer_serves(self) -> str:
        made = self.created(
            "customer-360",
            CUSTOMERS,
            {
                "@type": "Customer",
                "id": self.customer(),
                "name": "known before",
                "engagedParty": {"@type": "PartyRef", "id": "p1", "@referredType": "Individual"},
            },
        )
        return f"customer {made['id']}"

    def customer_caught_up(self, known: dict[str, int]) -> str:
        slots = ("experienceScore", "churnRisk")

        def done() -> Document | None:
            view = self.road.get("customer-360", f"{VIEWS}/{self.customer()}")
            doc: Document = view.json() if view.status_code == 200 else {}
            return doc if all(doc.get(slot) for slot in slots) else None

        self.until(f"a view of {self.customer()} with {', '.join(slots)}", done)
        return f"the view of {self.customer()} shows {', '.join(slots)}"

    # --- churn-prediction ---

    def churn_serves(self) -> str:
        answer = self.road.get("churn-prediction", RISKS)
        assert answer.status_code == 200, answer.text
        assert answer.json() == []
        return "no risk assessments, which is true: there is no model yet"

    def churn_caught_up(self, known: dict[str, int]) -> str:
        customers = known[CUSTOMERS]
        self.road.command("churn-prediction", "train", "--wait", str(PAST))
        count = self.until(
            "an assessment of everybody who is a customer",
            lambda: (n := self.road.total("churn-prediction", RISKS)) >= customers - PAST and n,
        )
        return f"trained on {PAST:,} past customers, all {count:,} of today assessed"


SERVED: dict[str, Callable[[Alone], str]] = {
    "service-quality": Alone.quality_serves,
    "experience-management": Alone.experience_serves,
    "customer-360": Alone.customer_serves,
    "churn-prediction": Alone.churn_serves,
}
CAUGHT_UP: dict[str, Callable[[Alone, dict[str, int]], str]] = {
    "service-quality": Alone.quality_caught_up,
    "experience-management": Alone.experience_caught_up,
    "customer-360": Alone.customer_caught_up,
    "churn-prediction": Alone.churn_caught_up,
}


def main() -> int:
    names = sorted((m.name for m in COMPONENTS), key="customer-360".__eq__)  # the others learn customers from it
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("components", nargs="*", metavar="COMPONENT", help=f"default: {', '.join(names)}")
    wanted = parser.parse_args().components or names
    given = [name for name in names if name in wanted]
    if unknown := set(wanted) - set(names):
        parser.error(f"no component: {', '.join(sorted(unknown))}")
    with (
        tempfile.TemporaryDirectory(prefix="alone-") as folder,
        Issuer(clients=clients(), expires_in_s=7200) as issuer,
    ):
        road = Road(Path(folder), issuer)
        alone = Alone(road)
        try:
            alone.live()
            for name in given:
                alone.show(name)
        except AssertionError as e:
            print(f"not shown: {e}", file=sys.stderr)
            for name in NAMES:
                if (Path(folder) / f"{name}.log").exists():
                    print(f"--- {name}\n{road.log(name)}", file=sys.stderr)
            return 1
        finally:
            road.close()
    print(f"shown for {len(given)} component(s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
