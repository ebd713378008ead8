"""Service Quality: does each service keep the level it was sold with, and if not, why and for whom?"""

from dataclasses import replace

from service_quality import alarm_tasks, correlate, evaluate, files, ingest, retention, tables, tasks
from service_quality import resources as r
from service_quality.settings import ServiceQualitySettings
from tmfkit import Api, Component, Every
from tmfkit.roles import ROLES, SECURITY_FUNCTION

component = Component(
    name="service-quality",
    package="service_quality",
    settings=ServiceQualitySettings,
    metadata=tables.metadata,
    apis=(
        Api("TMF657", "serviceQualityManagement", ("v4",), (r.SERVICE_LEVEL_OBJECTIVE, r.SERVICE_LEVEL_SPECIFICATION)),
        Api("TMF649", "performanceThresholding", ("v5",), (r.THRESHOLD, r.THRESHOLD_RULE, r.THRESHOLD_JOB)),
        Api(
            "TMF628",
            "performance",
            ("v4",),
            (
                r.MEASUREMENT_COLLECTION_JOB,
                r.ON_DEMAND_COLLECTION,
                r.PERFORMANCE_INDICATOR_SPECIFICATION,
                r.PERFORMANCE_INDICATOR_GROUP_SPECIFICATION,
                r.TRACKING_RECORD,
            ),
        ),
        Api(
            "TMF656",
            "serviceProblemManagement",
            ("v4", "v5"),
            (
                r.SERVICE_PROBLEM,
                r.SERVICE_PROBLEM_EVENT_RECORD,
                replace(r.PROBLEM_ACKNOWLEDGEMENT, perform=tasks.acknowledge),
                replace(r.PROBLEM_UNACKNOWLEDGEMENT, perform=tasks.unacknowledge),
                replace(r.PROBLEM_GROUP, perform=tasks.group),
                replace(r.PROBLEM_UNGROUP, perform=tasks.ungroup),
            ),
        ),
        Api(
            "TMF642",
            "alarm",
            ("v4",),
            (
                r.ALARM,
                replace(r.ACK_ALARMS, perform=alarm_tasks.acknowledge),
                replace(r.UN_ACK_ALARMS, perform=alarm_tasks.unacknowledge),
                replace(r.CLEAR_ALARMS, perform=alarm_tasks.clear),
                replace(r.COMMENT_ALARMS, perform=alarm_tasks.comment),
                replace(r.GROUP_ALARMS, perform=alarm_tasks.group),
                replace(r.UN_GROUP_ALARMS, perform=alarm_tasks.ungroup),
            ),
        ),
        Api("own", "serviceLevelViolation", ("v1",), (r.SERVICE_LEVEL_VIOLATION,)),
        *SECURITY_FUNCTION,
    ),
    routes=(ingest.router, files.router),
    flows=(
        Every(10, evaluate.due, name="evaluate"),
        Every(15, correlate.due, name="correlate"),
        Every(3600, retention.due, name="retention"),
        ROLES,
    ),
    dependencies=("serviceInventory", "resourceInventory"),
)
