"""Numbers of a component: Prometheus instruments in a registry of their own, shown at /metrics and sent as OTLP.

The instruments are prometheus_client's, because counting and timing a request with them costs about a tenth of what
OTel's instruments cost; the registry is read for OTLP only when it is time to send (otlp.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, choose_encoder, generate_latest
from prometheus_client.metrics import MetricWrapperBase

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
DURATION_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""OTel semantic conventions, http.server.request.duration."""

_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})

M = TypeVar("M", bound=MetricWrapperBase)


class Metrics:
    """The registry and the instruments that every component has. Names follow the OTel semantic conventions as OTel
    writes them for Prometheus; what has no convention begins with tmfkit_."""

    def __init__(self, service_name: str) -> None:
        self.registry = CollectorRegistry(target_info={"service_name": service_name})
        self._declared: dict[str, tuple[MetricWrapperBase, tuple[str, ...]]] = {}
        ProcessCollector(registry=self.registry)
        self._requests = self.histogram(
            "http_server_request_duration",
            "Requests served, by method, route and status.",
            ("http_request_method", "http_route", "http_response_status_code"),
            unit="seconds",
        )
        self._upstreams = self.histogram(
            "http_client_request_duration",
            "Requests to dependent APIs; status 0 means no answer.",
            ("dependency", "http_request_method", "http_response_status_code"),
            unit="seconds",
        )
        self._deliveries = self.histogram(
            "tmfkit_delivery_duration", "Notifications sent to subscribers, by outcome.", ("outcome",), unit="seconds"
        )
        self._flows = self.histogram(
            "tmfkit_flow_duration",
            "Runs of the component's flows, by outcome.",
            ("flow", "outcome"),
            unit="seconds",
            buckets=(0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0),
        )
        self._dead_letters = self.counter("tmfkit_dead_letters", "Notifications given up.")
        self._waiting = self.gauge("tmfkit_outbox_waiting", "Events not yet given to the relay.")
        self._lag = self.gauge("tmfkit_outbox_lag", "Age of the oldest event that waits.", unit="seconds")
        self._pending = self.gauge("tmfkit_deliveries_pending", "Notifications still to be delivered.")
        self._dead = self.gauge("tmfkit_deliveries_dead", "Dead letters that are kept for replay.")
        self._undelivered = self.gauge(
            "tmfkit_deliveries_lag", "Age of the oldest notification still to be delivered.", unit="seconds"
        )
        self._follows = self.gauge(
            "tmfkit_following", "1: the subscription stands, 0: not yet or no more.", ("follow",)
        )
        self._database_up = self.gauge("tmfkit_database_up", "1: the database answers, 0: it does not.")
        self._connections = self.gauge(
            "tmfkit_database_connections", "Connections of the pool, at work (used) or not (idle).", ("state",)
        )
        self._connections_max = self.gauge("tmfkit_database_connections_max", "Connections that the pool may open.")
        self._request_series: dict[tuple[str, str, int], Histogram] = {}
        self._upstream_series: dict[tuple[str, str, int], Histogram] = {}

    # --- a component's own numbers; asking twice for one name gives the same instrument ---

    def counter(self, name: str, documentation: str, labels: Sequence[str] = ()) -> Counter:
        """Something counted, only ever up. Shown as `<name>_total`."""
        return self._declare(Counter, name, labels, lambda: Counter(name, documentation, labels, registry=None))

    def gauge(self, name: str, documentation: str, labels: Sequence[str] = (), *, unit: str = "") -> Gauge:
        """Something that goes up and down. The unit (seconds, ratio, bytes) is put behind the name."""
        return self._declare(Gauge, name, labels, lambda: Gauge(name, documentation, labels, unit=unit, registry=None))

    def histogram(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str] = (),
        *,
        unit: str = "",
        buckets: Sequence[float] = DURATION_BUCKETS_S,
    ) -> Histogram:
        """How something is distributed, in buckets. The unit (seconds, ratio, bytes) is put behind the name."""
        return self._declare(
            Histogram,
            name,
            labels,
            lambda: Histogram(name, documentation, labels, unit=unit, buckets=buckets, registry=None),
        )

    def _declare(self, kind: type[M], name: str, labels: Sequence[str], make: Callable[[], M]) -> M:
        known = self._declared.get(name)
        if known is None:
            made = make()
            self.registry.register(made)
            self._declared[name] = (made, tuple(labels))
            return made
        if not isinstance(known[0], kind) or known[1] != tuple(labels):
            raise ValueError(f"the metric {name} is declared already, as another kind or with other labels")
        return known[0]

    # --- the kernel's numbers ---

    def served(self, method: str, route: str, status: int, duration_s: float) -> None:
        """A request was served. `route` is the template of the path, never the path itself: each makes a series."""
        key = (method if method in _METHODS else "_OTHER", route, status)
        series = self._request_series.get(key)
        if series is None:
            series = self._request_series[key] = self._requests.labels(key[0], route, str(status))
        series.observe(duration_s)

    def upstream(self, dependency: str, method: str, status: int, duration_s: float) -> None:
        """A dependent API was asked; status 0: it did not answer."""
        key = (dependency, method, status)
        series = self._upstream_series.get(key)
        if series is None:
            series = self._upstream_series[key] = self._upstreams.labels(dependency, method, str(status))
        series.observe(duration_s)

    def outbox(self, waiting: int, lag_s: float, pending: int, dead: int, undelivered_s: float = 0.0) -> None:
        """How far the events have come: not yet relayed, age of the oldest, not yet delivered, given up, age of the
        oldest not delivered."""
        self._waiting.set(waiting)
        self._lag.set(lag_s)
        self._pending.set(pending)
        self._dead.set(dead)
        self._undelivered.set(undelivered_s)

    def delivered(self, outcome: str, duration_s: float) -> None:
        """A notification was sent: ok or failed."""
        self._deliveries.labels(outcome).observe(duration_s)

    def dead_letter(self) -> None:
        """A notification was given up."""
        self._dead_letters.inc()

    def following(self, follow: str, stands: bool) -> None:
        """A subscription at another component stands, or does not."""
        self._follows.labels(follow).set(stands)

    def database_answers(self, well: bool) -> None:
        """Whether the database has just answered."""
        self._database_up.set(well)

    def pool(self, size: int, used: Callable[[], int], idle: Callable[[], int]) -> None:
        """The connections, counted when the numbers are read: who waits for one could not tell."""
        self._connections_max.set(size)
        self._connections.labels("used").set_function(used)
        self._connections.labels("idle").set_function(idle)

    def flow_known(self, name: str) -> None:
        """A flow that will run: its series begin at 0, so that one that never ran is seen."""
        for outcome in ("ok", "failed"):
            self._flows.labels(name, outcome)

    def flow(self, name: str, outcome: str, duration_s: float) -> None:
        """A flow has run: ok or failed."""
        self._flows.labels(name, outcome).observe(duration_s)

    # --- the exit for Prometheus ---

    def render(self) -> bytes:
        """All numbers in the Prometheus text format; its content type is CONTENT_TYPE."""
        return generate_latest(_WithoutCreated(self.registry))

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """All numbers and their content type, in the format that the scraper prefers (OpenMetrics or text)."""
        encode, content_type = choose_encoder(accept)
        return encode(_WithoutCreated(self.registry)), content_type


class _WithoutCreated:
    """A registry without the `_created` series, which double the output and which nobody reads."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric
