"""Making the checks of a component: what applies, in order, with progress, and with everything taken away again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import oda_ctk.component.checks
from oda_ctk.check import Blocked, Check, Failure, NotApplicable
from oda_ctk.component.case import REGISTRY, STAGES, At, Case, ComponentCheck
from oda_ctk.component.kubeconfig import NoCluster
from oda_ctk.component.manifest import Api, text
from oda_ctk.component.piece import Broken, Evident
from oda_ctk.exchange import Exchange, Unanswered
from oda_ctk.run import Choice, Outcome, Report, Result, Tell, gently, to_stderr

SHOWN = 4
REFUSED = "refused"
assert oda_ctk.component.checks  # importing it is what registers the checks


FITS: dict[str, Callable[[Api], bool]] = {
    "openapi": lambda api: api.type == "openapi",
    "documented": lambda api: bool(text(api.fields.get("developerUI"))),
    "metrics": lambda api: api.is_metrics,
    "party role": lambda api: api.is_party_role,
    "roles": lambda api: api.is_party_role or api.is_permissions,
    "mcp": lambda api: api.type == "mcp",
}
"""Which APIs a check of a single one is about, by its needs."""


def planned(case: Case, choice: Choice) -> Iterator[tuple[Check, Case | At]]:
    """The checks to make: of the whole, and of each exposed API of a component that runs."""
    apis = case.manifest.exposed if len(case.manifest.components) == 1 else []
    for check in REGISTRY.checks.values():
        about = [a for a in apis if all(FITS[n](a) for n in check.needs if n in FITS)]
        if check.scope == "resource" and case.running is not None and about:
            for api in about:
                if choice.wants(check, api.label):
                    yield check, At(case, case.running, api)
        elif choice.wants(check, ""):
            yield check, case


def lacking(case: Case, check: Check) -> str:
    """Why a check cannot be made of what was given; empty where it can."""
    has = {
        "chart": case.manifest.chart,
        "golden": case.golden is not None,
        "running": case.running is not None,
        "live": case.live is not None,
    }
    reasons = {
        "chart": "this is no chart",
        "golden": "no golden file is given (--golden)",
        "running": "where the component runs is not told (--url, --service or --live)",
        "live": "no cluster is asked (--live)",
    }
    return next((reasons[need] for need in check.needs if not has.get(need, True)), "")


def judge(case: Case, check: Check, where: Case | At) -> Result:
    """Make one check."""
    resource = where.api.label if isinstance(where, At) else ""
    result = Result(check.id, resource, check.level, check.clause, check.title, "not applicable", "")
    why = lacking(case, check)
    if why:
        return replace(result, reason=why)
    begun, first = time.monotonic(), len(exchanges(case))
    shown: Sequence[Evident] = ()
    blocked = False
    outcome: Outcome = "pass"
    reason = "as it should be"
    try:
        if check.needs and len(case.manifest.components) != 1:
            raise Blocked("there is not exactly one Component")
        if check.scope == "resource" and isinstance(where, Case):
            raise NotApplicable("the component has no such API")
        check.judge(where)
    except Broken as failure:
        outcome, reason, shown = "fail", failure.reason, failure.shown
    except Failure as failure:
        outcome, reason, shown = "fail", failure.reason, failure.exchanges
    except NotApplicable as said:
        outcome, reason = "not applicable", str(said)
    except Blocked as said:
        outcome, reason, blocked = "not applicable", f"not judged: {said}", True
    except (Unanswered, NoCluster) as said:
        outcome, reason = "fail", f"no answer: {said}"
    made = exchanges(case)[first:]
    kept: Sequence[Evident] = list(shown) or made[-(1 if outcome == "pass" else SHOWN) :]
    return replace(
        result,
        outcome=outcome,
        reason=reason[:1200],
        evidence=tuple(e.evidence() for e in kept),
        blocked=blocked,
        took_s=round(time.monotonic() - begun, 3),
    )


def exchanges(case: Case) -> list[Exchange]:
    """What was asked of the running component."""
    return case.running.exchanges if case.running is not None else []


def run(case: Case, choice: Choice, report: Report, tell: Tell = to_stderr) -> Report:
    """Make all checks; what was created is deleted in any case, also when the run is broken off."""
    begun = time.monotonic()
    report.hangs = []
    work = list(planned(case, choice))
    try:
        if case.running is None:
            _all(case, work, report, tell)
        else:
            with gently(case.running):
                _all(case, work, report, tell)
    except KeyboardInterrupt:
        report.interrupted = True
        tell("broken off; what was created is being deleted")
    finally:
        report.requests = len(exchanges(case)) + (len(case.live.cluster.exchanges) if case.live else 0)
        if case.running is not None:
            case.running.close()
            report.not_deleted += case.running.not_deleted
        if case.live is not None:
            case.live.cluster.close()
        report.took_s = round(time.monotonic() - begun, 1)
    report.hangs = hangs(report)
    return report


def _all(case: Case, work: Sequence[tuple[Check, Case | At]], report: Report, tell: Tell) -> None:
    for number, (check, where) in enumerate(work, 1):
        result = judge(case, check, where)
        report.results.append(result)
        if result.outcome != "not applicable":
            word = {"pass": "pass", "fail": "FAIL"}[result.outcome]
            told = f"[{number}/{len(work)}] {word} {result.level} {result.id} {result.resource}".rstrip()
            tell(told + (f": {result.reason}" if result.outcome == "fail" else ""))


def hangs(report: Report) -> list[str]:
    """In which state the Component stays for what was found, in the order in which it comes there."""
    found: dict[str, list[str]] = {}
    for result in report.results:
        check = REGISTRY.checks[result.id]
        if result.outcome == "fail" and isinstance(check, ComponentCheck) and check.hang:
            found.setdefault(check.hang, []).append(f"{result.reason} ({result.id})")
    order = (REFUSED, *STAGES)
    words = {REFUSED: "the API server refuses it"}
    return [f"{words.get(s, f'stays {s}')}: {reason}" for s in order for reason in found.get(s, ())]
