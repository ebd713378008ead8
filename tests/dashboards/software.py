"""The rows that all dashboards have: how the software does."""

from __future__ import annotations

from grafana import Row, figure, graph
from series import (
    API,
    CALLED,
    DELIVERED,
    RUN,
    SERVED,
    by_api,
    by_resource,
    increase,
    newest,
    quantile,
    quantiles,
    rate,
    selected,
    share,
)


def golden() -> Row:
    count = f"{SERVED}_count"
    bad, refused = 'http_response_status_code=~"5.."', 'http_response_status_code=~"4.."'
    return Row(
        "Requests: traffic, errors, latency, saturation",
        [
            graph(
                "Requests by API",
                "Requests answered, by API and version. Health, metrics and listeners are not counted here.",
                "reqps",
                {"{{api}}": by_api(rate(count, API))},
            ),
            graph(
                "Failures by API",
                "Share of requests that were answered with 5xx.",
                "percentunit",
                {"{{api}}": share(by_api(rate(count, API, bad)), by_api(rate(count, API)))},
            ),
            graph(
                "Latency by API",
                "95 of 100 requests took less than this.",
                "s",
                {
                    "{{api}}": "histogram_quantile(0.95, "
                    + by_api(rate(f"{SERVED}_bucket", API)).replace("(api)", "(api, le)", 1)
                    + ")"
                },
            ),
            graph(
                "Requests by resource",
                "Requests answered, by resource and method.",
                "reqps",
                {
                    "{{http_request_method}} {{resource}}": by_resource(rate(count, API), "http_request_method"),
                },
            ),
            graph(
                "Latency by resource",
                "95 of 100 requests took less than this.",
                "s",
                {"{{resource}}": f"histogram_quantile(0.95, {by_resource(rate(f'{SERVED}_bucket', API), 'le')})"},
            ),
            graph(
                "Requests at work",
                "Mean number of requests that are being answered at once (time spent per second): saturation.",
                "short",
                {"{{api}}": by_api(rate(f"{SERVED}_sum", API))},
            ),
            graph("Latency", "All APIs together.", "s", quantiles(SERVED, API)),
            graph(
                "Answers by status",
                "Requests answered, by status. 499: the client left before the answer.",
                "reqps",
                {"{{http_response_status_code}}": f"sum by (http_response_status_code) ({rate(count, API)})"},
            ),
            graph(
                "Refused by API",
                "Share of requests that were answered with 4xx: what clients send wrongly or may not do.",
                "percentunit",
                {"{{api}}": share(by_api(rate(count, API, refused)), by_api(rate(count, API)))},
            ),
        ],
    )


def events(*, follows: bool) -> Row:
    panels = [
        figure(
            "Dead letters",
            "Notifications given up and kept for replay. Not 0: a listener refused or was away too long.",
            "short",
            newest("tmfkit_deliveries_dead"),
            limits=((1, "red"),),
        ),
        figure(
            "Oldest event not relayed",
            "Age of the oldest event that no process has turned into notifications yet.",
            "s",
            newest("tmfkit_outbox_lag_seconds"),
            limits=((10, "orange"), (60, "red")),
        ),
        figure(
            "Given up",
            "Notifications that became dead letters in the time shown.",
            "short",
            f"sum({increase('tmfkit_dead_letters_total')})",
            limits=((1, "red"),),
            decimals=0,
        ),
        figure(
            "Oldest not delivered",
            "Age of the oldest notification that its listener has not taken yet.",
            "s",
            newest("tmfkit_deliveries_lag_seconds"),
            limits=((300, "orange"), (900, "red")),
        ),
        graph(
            "Waiting",
            "Events that are not yet turned into notifications (outbox), and notifications still to be delivered.",
            "short",
            {"outbox": newest("tmfkit_outbox_waiting"), "deliveries": newest("tmfkit_deliveries_pending")},
        ),
        graph(
            "Notifications sent",
            "Tries to deliver a notification, by outcome.",
            "ops",
            {"{{outcome}}": f"sum by (outcome) ({rate(f'{DELIVERED}_count')})"},
        ),
        graph("Time of a delivery", "How long listeners take to answer.", "s", quantiles(DELIVERED)),
    ]
    if follows:
        panels.append(
            graph(
                "Events heard",
                "Notifications of other components that arrived at the listeners, by answer.",
                "ops",
                {
                    "{{http_route}} {{http_response_status_code}}": "sum by (http_route, http_response_status_code) ("
                    + rate(f"{SERVED}_count", 'http_route=~".*/listener/.+"')
                    + ")"
                },
            )
        )
        panels.append(
            graph(
                "Subscriptions",
                "1: our subscription at the other component stands. 0: not yet, or no more.",
                "short",
                {"{{follow}}": f"min by (follow) ({selected('tmfkit_following')})"},
            )
        )
    return Row("Events", panels)


def dependencies() -> Row:
    called, none = f"{CALLED}_count", 'http_response_status_code=~"0|5.."'

    def by(series: str) -> str:
        return f"sum by (dependency) ({series})"

    return Row(
        "Dependent APIs",
        [
            graph(
                "Calls",
                "Requests to the APIs that this component depends on, with the confirmations of its subscriptions.",
                "reqps",
                {"{{dependency}}": by(rate(called))},
            ),
            graph(
                "Calls without a good answer",
                "Share of calls with no answer (status 0) or 5xx.",
                "percentunit",
                {"{{dependency}}": share(by(rate(called, none)), by(rate(called)))},
            ),
            graph(
                "Time of a call",
                "95 of 100 calls took less than this.",
                "s",
                {"{{dependency}}": quantile(0.95, CALLED, by="dependency")},
            ),
        ],
    )


def flows() -> Row:
    count = f"{RUN}_count"

    def by(series: str) -> str:
        return f"sum by (flow) ({series})"

    return Row(
        "Flows",
        [
            graph(
                "Runs",
                "How often each flow runs: at its interval and when woken.",
                "ops",
                {"{{flow}}": by(rate(count))},
            ),
            graph(
                "Busy",
                "Share of the time in which the flow runs. Near 100 %: it does not keep up.",
                "percentunit",
                {"{{flow}}": by(rate(f"{RUN}_sum"))},
            ),
            graph(
                "Failed runs",
                "Share of the runs that failed; the log says why.",
                "percentunit",
                {"{{flow}}": share(by(rate(count, 'outcome="failed"')), by(rate(count)))},
            ),
        ],
    )


def process() -> Row:
    count = f"{SERVED}_count"
    unavailable = 'http_response_status_code="503"'
    return Row(
        "Database and process",
        [
            graph(
                "Unavailable",
                "Share of all answers that are 503, health included: the database is away, or a schema is not the one "
                "this release knows.",
                "percentunit",
                {"{{instance}}": share(_by_instance(rate(count, unavailable)), _by_instance(rate(count)))},
            ),
            graph(
                "Database answers",
                "1: the database answered when it was last asked (every 5 s).",
                "short",
                {"{{instance}}": _by_instance(selected("tmfkit_database_up"), "min")},
            ),
            graph(
                "Connections",
                "Connections of the pool: at work, idle, and how many there may be.",
                "short",
                {
                    "{{state}}": f"sum by (state) ({selected('tmfkit_database_connections')})",
                    "allowed": f"sum({selected('tmfkit_database_connections_max')})",
                },
            ),
            graph(
                "Processor",
                "Processor time, in cores.",
                "short",
                {"{{instance}}": _by_instance(rate("process_cpu_seconds_total"))},
            ),
            graph(
                "Memory",
                "Resident memory.",
                "bytes",
                {"{{instance}}": _by_instance(selected("process_resident_memory_bytes"), "max")},
            ),
            graph(
                "Open files",
                "File descriptors, sockets included, as a share of what the process may open.",
                "percentunit",
                {
                    "{{instance}}": _by_instance(selected("process_open_fds"), "max")
                    + " / "
                    + _by_instance(selected("process_max_fds"), "max")
                },
            ),
            graph(
                "Running since",
                "Age of the process. A fall to 0 is a restart.",
                "s",
                {"{{instance}}": "time() - " + _by_instance(selected("process_start_time_seconds"), "max")},
            ),
            graph(
                "Instances",
                "Instances that Prometheus reaches (1) or not (0).",
                "short",
                {"{{instance}}": _by_instance(selected("up"), "max")},
            ),
            graph(
                "Time of a scrape",
                "How long an instance takes to tell its metrics. Rises when the process is out of processor time.",
                "s",
                {"{{instance}}": _by_instance(selected("scrape_duration_seconds"), "max")},
            ),
        ],
    )


def _by_instance(series: str, how: str = "sum") -> str:
    return f"{how} by (instance) ({series})"


def software(*, follows: bool = True) -> list[Row]:
    return [golden(), events(follows=follows), dependencies(), flows(), process()]
