"""Expressions of the boards: what is selected, how it is summed, and how a share is had.

Numbers that every replica reads from the one database are the largest of what replicas say; what each replica counts by
itself is summed. A share is 0 where there were requests and none was bad, and nothing where there were no requests.
"""

from __future__ import annotations

OWN = 'namespace=~"$namespace",job=~"$job",instance=~"$instance"'
API = 'http_route=~".*/v[0-9]+/.+"'
SERVED = "http_server_request_duration_seconds"
CALLED = "http_client_request_duration_seconds"
DELIVERED = "tmfkit_delivery_duration_seconds"
RUN = "tmfkit_flow_duration_seconds"
WINDOW = "$__rate_interval"
QUANTILES = {"median": 0.5, "95 %": 0.95, "99 %": 0.99}


def selected(metric: str, *conditions: str) -> str:
    return f"{metric}{{{','.join([OWN, *conditions])}}}"


def rate(metric: str, *conditions: str, window: str = WINDOW) -> str:
    return f"rate({selected(metric, *conditions)}[{window}])"


def increase(metric: str, *conditions: str, window: str = "$__range") -> str:
    return f"increase({selected(metric, *conditions)}[{window}])"


def newest(metric: str, *conditions: str) -> str:
    return f"max({selected(metric, *conditions)})"


def quantile(q: float, metric: str, *conditions: str, by: str = "", window: str = WINDOW) -> str:
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({q}, sum by ({labels}) ({rate(metric + '_bucket', *conditions, window=window)}))"


def quantiles(metric: str, *conditions: str) -> dict[str, str]:
    return {legend: quantile(q, metric, *conditions) for legend, q in QUANTILES.items()}


def share(bad: str, all_of_it: str) -> str:
    """Bad in all; 0 where there is no bad one, nothing where there is nothing."""
    return f"({bad} or 0 * {all_of_it}) / ({all_of_it} > 0)"


def by_api(series: str) -> str:
    """Summed by API and version, both read from the route."""
    return f'sum by (api) (label_replace({series}, "api", "$1", "http_route", ".*/([^/]+/v[0-9]+)/.*"))'


def by_resource(series: str, *more: str) -> str:
    labels = ", ".join(["resource", *more])
    return f'sum by ({labels}) (label_replace({series}, "resource", "$1", "http_route", ".*/v[0-9]+/([^/]+).*"))'


def is_(label: str, value: str) -> str:
    return f'{label}="{value}"'
