"""Metrics as the Canvas collects them: by a ServiceMonitor, or by annotations of the pods."""

from __future__ import annotations

from collections.abc import Iterator

from oda_ctk.check import MUST, SHOULD
from oda_ctk.component.case import API_OPERATOR, Case, check
from oda_ctk.component.manifest import Api, Document
from oda_ctk.component.piece import Found

SCRAPE = "prometheus.io/"


def _metrics(case: Case) -> Iterator[tuple[Api, Document]]:
    """The metrics APIs with their Services."""
    for api in case.manifest.exposed:
        service = case.manifest.service(api.implementation)
        if api.is_metrics and service:
            yield api, service


@check("component.metrics.label", MUST, f"{API_OPERATOR}: the ServiceMonitor selects by the label name")
def label(case: Case) -> Iterator[Found]:
    """The Service of the metrics has the label name with its own name."""
    for api, service in _metrics(case):
        if service.labels.get("name") != api.implementation:
            yield Found(f"{service.title} has the label name {service.labels.get('name')!r}", (service.piece(),))


@check("component.metrics.port", MUST, f"{API_OPERATOR}: the targetPort of the ServiceMonitor is the declared port")
def port(case: Case) -> Iterator[Found]:
    """The declared port of the metrics is the port of the Service and of the container."""
    for api, service in _metrics(case):
        container = case.manifest.container_port(api)
        listed = [p.get("containerPort") for pod in case.manifest.behind(service) for p in pod.ports()]
        if container is not None and (container != api.port or api.port not in listed):
            shown = (case.component.piece(api.path, api.fields), service.piece("spec", service.spec))
            yield Found(f"declared is {api.port}, the container has {container}, listed are {listed}", shown)


@check(
    "component.metrics.annotations",
    SHOULD,
    f"{API_OPERATOR}: as PrometheusAnnotation it sets scrape for the first pod only, and neither port nor path",
)
def annotated(case: Case) -> Iterator[Found]:
    """The pods of the metrics have the annotations prometheus.io/scrape, port and path, as declared."""
    for api, service in _metrics(case):
        wanted = {"scrape": "true", "port": str(api.port), "path": api.base}
        for pod in case.manifest.behind(service):
            unlike = [n for n, v in wanted.items() if str(pod.annotations.get(SCRAPE + n)) != v]
            if unlike:
                told = ", ".join(f"{SCRAPE}{n} {pod.annotations.get(SCRAPE + n)!r}" for n in unlike)
                shown = pod.document.piece(f"{pod.path}.metadata", pod.metadata)
                yield Found(f"the pods of {pod.document.title} have {told}", (shown,))
