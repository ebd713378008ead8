"""Alert rules of each component: what somebody has to look at, how long it must last, and what to read then.

`critical` means that somebody is wanted now, `warning` that somebody is wanted today. Every expression selects by the
job, which is the Service's name and ends with the component's. What each alert means is in docs/monitoring.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

RUNBOOK = "docs/monitoring.md"
OBJECTIVE = 0.999
"""Share of requests that are answered without 5xx, over 30 days."""
EACH = "by (namespace, job)"
MATCHED = "on (namespace, job)"


@dataclass(frozen=True)
class Alert:
    name: str
    severity: str
    lasts: str
    expression: str
    summary: str
    description: str


@dataclass(frozen=True)
class Watched:
    """A component as its alerts see it. `flows`: those that run at least every minute."""

    flows: tuple[str, ...]
    follows: bool
    calls: bool = True


def common(name: str, watched: Watched) -> list[Alert]:
    own = selector(name)
    return [*_presence(own), *_requests(own), *_events(own, watched), *_work(own, watched), *_database(own)]


def selector(name: str) -> str:
    """The targets of a component, whatever its release is called."""
    return f'job=~"(.+-)?{name}"'


def _presence(own: str) -> list[Alert]:
    return [
        Alert(
            "CemComponentDown",
            "critical",
            "2m",
            f"max {EACH} (up{{{own}}}) == 0",
            "{{ $labels.job }} is down",
            "No instance of {{ $labels.job }} in {{ $labels.namespace }} answers Prometheus.",
        ),
        Alert(
            "CemComponentAbsent",
            "critical",
            "10m",
            f"absent(up{{{own}}})",
            "No instance is known to Prometheus",
            "Prometheus has no target for this component: it is not installed, scaled to nothing, or not scraped.",
        ),
        Alert(
            "CemInstanceDown",
            "warning",
            "10m",
            f"up{{{own}}} == 0",
            "{{ $labels.instance }} of {{ $labels.job }} is down",
            "One instance has not answered Prometheus for ten minutes.",
        ),
        Alert(
            "CemNotReady",
            "critical",
            "3m",
            f"sum by (namespace, job, instance) (increase({_ready(own, '503')}[2m])) > 0\n"
            f"unless sum by (namespace, job, instance) (increase({_ready(own, '200')}[2m])) > 0",
            "{{ $labels.instance }} of {{ $labels.job }} is not ready",
            "Whoever asks for its readiness is told 503: the database is away, or its schema is not this release's.",
        ),
    ]


def _ready(own: str, status: str) -> str:
    return (
        f'http_server_request_duration_seconds_count{{{own},http_route=~".*/health/(ready|startup)",'
        f'http_response_status_code="{status}"}}'
    )


def _requests(own: str) -> list[Alert]:
    served = f'http_server_request_duration_seconds_count{{{own},http_route=~".*/v[0-9]+/.+"'
    bad = f'{served},http_response_status_code=~"5..",http_response_status_code!="501"}}'

    def burns(factor: float, *windows: str) -> str:
        share = round(factor * (1 - OBJECTIVE), 4)
        parts = [
            f"sum {EACH} (rate({bad}[{window}])) / sum {EACH} (rate({served}}}[{window}])) > {share}"
            for window in windows
        ]
        return "\nand ".join([*parts, f"sum {EACH} (increase({bad}[{windows[0]}])) > 10"])

    reads = f'{own},http_request_method="GET",http_route=~".*/v[0-9]+/.+"'
    return [
        Alert(
            "CemErrorBudgetBurnsFast",
            "critical",
            "2m",
            burns(14.4, "1h", "5m"),
            "{{ $labels.job }} fails too many requests",
            f"At this rate of 5xx the error budget of 30 days ({OBJECTIVE:.1%} good) is gone in two days. "
            "Now: {{ $value | humanizePercentage }} of the requests of the last hour.",
        ),
        Alert(
            "CemErrorBudgetBurns",
            "warning",
            "15m",
            burns(3, "6h", "30m"),
            "{{ $labels.job }} fails more requests than it should",
            f"At this rate of 5xx the error budget of 30 days ({OBJECTIVE:.1%} good) is gone in ten days. "
            "Now: {{ $value | humanizePercentage }} of the requests of the last six hours.",
        ),
        Alert(
            "CemReadsSlow",
            "warning",
            "10m",
            f'1 - sum {EACH} (rate(http_server_request_duration_seconds_bucket{{{reads},le="1.0"}}[10m]))\n'
            f"/ sum {EACH} (rate(http_server_request_duration_seconds_count{{{reads}}}[10m])) > 0.05\n"
            f"and sum {EACH} (increase(http_server_request_duration_seconds_count{{{reads}}}[10m])) > 50",
            "{{ $labels.job }} answers slowly",
            "{{ $value | humanizePercentage }} of the GET requests of the last ten minutes took more than a second.",
        ),
    ]


def _events(own: str, watched: Watched) -> list[Alert]:
    deliveries = "tmfkit_delivery_duration_seconds_count"
    made = [
        Alert(
            "CemRelayStuck",
            "critical",
            "5m",
            f"max {EACH} (tmfkit_outbox_lag_seconds{{{own}}}) > 60",
            "Events of {{ $labels.job }} do not leave",
            "The oldest event has waited {{ $value | humanizeDuration }} for a process that relays.",
        ),
        Alert(
            "CemListenerDeaf",
            "warning",
            "5m",
            f"max {EACH} (tmfkit_deliveries_lag_seconds{{{own}}}) > 900\n"
            f'and {MATCHED} sum {EACH} (increase({deliveries}{{{own},outcome="failed"}}[10m])) > 0',
            "A listener of {{ $labels.job }} does not take its notifications",
            "The oldest notification has waited {{ $value | humanizeDuration }}, and tries fail.",
        ),
        Alert(
            "CemDeadLetters",
            "warning",
            "1m",
            f"max {EACH} (tmfkit_deliveries_dead{{{own}}}) > 0",
            "{{ $labels.job }} has dead letters",
            "{{ $value }} notifications were given up and are kept for replay.",
        ),
    ]
    if watched.follows:
        made.append(
            Alert(
                "CemFollowBroken",
                "warning",
                "5m",
                f"max by (namespace, job, follow) (tmfkit_following{{{own}}}) == 0",
                "{{ $labels.job }} does not hear {{ $labels.follow }}",
                "The subscription {{ $labels.follow }} does not stand: events are missed until it does.",
            )
        )
    return made


def _work(own: str, watched: Watched) -> list[Alert]:
    runs = f"tmfkit_flow_duration_seconds_count{{{own}"
    called = f"http_client_request_duration_seconds_count{{{own}"
    flow, dependency = "by (namespace, job, flow)", "by (namespace, job, dependency)"
    return [
        Alert(
            "CemFlowNotRunning",
            "critical",
            "5m",
            f'sum {flow} (increase({runs},flow=~"{"|".join(watched.flows)}"}}[10m])) == 0\n'
            f"or max {EACH} (up{{{own}}}) == 1 unless {MATCHED} sum {EACH} ({runs}}})",
            "{{ $labels.job }} does not work: flow {{ $labels.flow }}",
            "The flow, which runs at least every minute, has not come to an end for ten minutes: it hangs, nobody has "
            "the lock of the flows, or the database is away.",
        ),
        Alert(
            "CemFlowFailing",
            "warning",
            "10m",
            f'sum {flow} (increase({runs},outcome="failed"}}[15m]))\n/ sum {flow} (increase({runs}}}[15m])) > 0.5',
            "Flow {{ $labels.flow }} of {{ $labels.job }} fails",
            "{{ $value | humanizePercentage }} of its runs have failed in the last 15 minutes.",
        ),
        Alert(
            "CemDependencyFailing",
            "warning",
            "5m",
            f'sum {dependency} (rate({called},http_response_status_code=~"0|5.."}}[10m]))\n'
            f"/ sum {dependency} (rate({called}}}[10m])) > 0.5",
            "{{ $labels.dependency }} does not answer {{ $labels.job }}",
            "{{ $value | humanizePercentage }} of the calls of the last ten minutes had no answer or 5xx.",
        ),
    ]


def _database(own: str) -> list[Alert]:
    return [
        Alert(
            "CemDatabaseAway",
            "critical",
            "1m",
            f"max {EACH} (tmfkit_database_up{{{own}}}) == 0",
            "The database of {{ $labels.job }} does not answer",
            "No instance of {{ $labels.job }} gets an answer from its database.",
        ),
        Alert(
            "CemDatabasePoolExhausted",
            "warning",
            "5m",
            f'min_over_time(tmfkit_database_connections{{{own},state="used"}}[2m])\n'
            f"/ ignoring (state) tmfkit_database_connections_max{{{own}}} >= 1",
            "{{ $labels.instance }} of {{ $labels.job }} has no free database connection",
            "All connections have been at work whenever it was looked at for minutes: requests wait for one.",
        ),
    ]


def service_quality(own: str) -> list[Alert]:
    received = f"service_quality_measurements_total{{{own}"
    return [
        Alert(
            "CemMeasurementsStopped",
            "warning",
            "5m",
            f'sum {EACH} (increase({received},outcome="accepted"}}[1d])) > 0\n'
            f'unless sum {EACH} (increase({received},outcome="accepted"}}[30m])) > 0',
            "{{ $labels.job }} gets no measurements",
            "Measurements came within the last day, but none in the last half hour: nothing is judged any more.",
        ),
        Alert(
            "CemMeasurementsRejected",
            "warning",
            "10m",
            f'sum {EACH} (increase({received},outcome="rejected"}}[15m]))\n'
            f"/ sum {EACH} (increase({received}}}[15m])) > 0.05",
            "{{ $labels.job }} refuses measurements",
            "{{ $value | humanizePercentage }} of the measurements of the last 15 minutes were refused.",
        ),
        Alert(
            "CemProblemsUnresolved",
            "warning",
            "4h",
            f"max {EACH} (service_quality_problems_open{{{own}}}) > 0",
            "Service problems stay open",
            "For four hours there has always been an open service problem; now {{ $value }}.",
        ),
    ]


def experience_management(own: str) -> list[Alert]:
    below = f"experience_scores_below_threshold{{{own}}}"
    usual = f"avg_over_time({below}[1d])"
    return [
        Alert(
            "CemExperienceFalls",
            "warning",
            "15m",
            f"max {EACH} ({below}) > 2 * max {EACH} ({usual})\nand max {EACH} ({below}) - max {EACH} ({usual}) > 50",
            "Many more have a bad experience than usual",
            "{{ $value }} subjects are below the threshold: more than twice the mean of the last day.",
        ),
        Alert(
            "CemScoresLate",
            "warning",
            "15m",
            "histogram_quantile(0.95, sum by (namespace, job, le)"
            f" (rate(experience_perception_delay_seconds_bucket{{{own}}}[30m]))) > 1800",
            "Experience is known late",
            "Scores rest on measurements of {{ $value | humanizeDuration }} ago (95 of 100 are newer).",
        ),
    ]


def customer_360(own: str) -> list[Alert]:
    return [
        Alert(
            "CemViewsLate",
            "warning",
            "10m",
            "histogram_quantile(0.95, sum by (namespace, job, le)"
            f" (rate(customer360_assembly_delay_seconds_bucket{{{own}}}[15m]))) > 60",
            "Customer views lag behind",
            "News of a customer takes {{ $value | humanizeDuration }} to be seen in the view (95 of 100 are faster).",
        ),
    ]


def churn_prediction(own: str) -> list[Alert]:
    probability = f"churn_probability_mean{{{own}}}"
    usual = f"avg_over_time({probability}[7d])"
    return [
        Alert(
            "CemModelMissing",
            "warning",
            "1h",
            f"max {EACH} (churn_labelled_customers{{{own}}}) > 0\nunless max {EACH} (churn_model_age_seconds{{{own}}})",
            "There is no churn model",
            "Outcomes are known of {{ $value }} customers, but no model has been trained: nobody is assessed.",
        ),
        Alert(
            "CemModelOld",
            "warning",
            "1h",
            f"max {EACH} (churn_model_age_seconds{{{own}}}) > 90 * 86400",
            "The churn model is old",
            "It was trained {{ $value | humanizeDuration }} ago; customers change.",
        ),
        Alert(
            "CemChurnShifted",
            "warning",
            "6h",
            f"abs(max {EACH} ({probability}) - max {EACH} ({usual}))\n> 0.25 * max {EACH} ({usual})",
            "The mean risk of leaving has shifted",
            "It differs by {{ $value | humanizePercentage }} (absolute) from the mean of the last week, by more than a "
            "quarter of it: the data, the model or the customers have changed.",
        ),
        Alert(
            "CemAssessmentsStopped",
            "warning",
            "10m",
            f"max {EACH} (churn_touched_waiting{{{own}}}) > 0\n"
            f"unless sum {EACH} (increase(churn_assessments_total{{{own}}}[30m])) > 0",
            "News of customers is not assessed",
            "{{ $value }} news wait, and nobody has been assessed for half an hour.",
        ),
        Alert(
            "CemModelBadlyCalibrated",
            "warning",
            "1h",
            f"max {EACH} (churn_model_calibration_error{{{own}}}) > 0.1",
            "The probabilities of the churn model are off",
            "The expected calibration error of the active model is {{ $value | humanizePercentage }}: offers are "
            "weighed with wrong probabilities.",
        ),
    ]


WATCHED = {
    "service-quality": (Watched(("evaluate", "correlate"), follows=False), service_quality),
    "experience-management": (Watched(("evaluate", "deliver", "answer"), follows=True), experience_management),
    "customer-360": (Watched(("assemble", "products"), follows=True), customer_360),
    "churn-prediction": (Watched(("score", "measure"), follows=True), churn_prediction),
}


def alerts(name: str) -> list[Alert]:
    """All alerts of a component: those that every component has, and its own."""
    watched, own = WATCHED[name]
    return [*common(name, watched), *own(selector(name))]


def groups(name: str) -> dict[str, Any]:
    """The alerts as Prometheus reads them."""
    return {
        "groups": [
            {
                "name": name,
                "rules": [_rule(name, alert) for alert in alerts(name)],
            }
        ]
    }


def _rule(name: str, alert: Alert) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expression,
        "for": alert.lasts,
        "labels": {"severity": alert.severity, "component": name},
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook_url": f"{RUNBOOK}#{alert.name.lower()}",
        },
    }


class _Dumper(yaml.SafeDumper):
    """Lines of an expression stay lines."""


def _string(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _string)


def text(name: str) -> str:
    """The rule file of a component."""
    dumped = yaml.dump(groups(name), Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True)
    return f"# Alert rules of {name}; what to do for each: {RUNBOOK}.\n{dumped}"
