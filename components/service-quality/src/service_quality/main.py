"""Service Quality: does each service keep the level it was sold with, and if not, why and for whom?"""

from tmfkit import Api, Component, Settings

from service_quality import resources as r

component = Component(
    name="service-quality",
    package="service_quality",
    settings=Settings,
    apis=(
        Api("TMF657", "serviceQualityManagement", ("v4",), (r.SERVICE_LEVEL_OBJECTIVE, r.SERVICE_LEVEL_SPECIFICATION)),
        Api("TMF649", "performanceThresholding", ("v5",), (r.THRESHOLD, r.THRESHOLD_RULE, r.THRESHOLD_JOB)),
        Api("TMF656", "serviceProblemManagement", ("v4", "v5"), (r.SERVICE_PROBLEM, r.SERVICE_PROBLEM_EVENT_RECORD, r.PROBLEM_ACKNOWLEDGEMENT, r.PROBLEM_UNACKNOWLEDGEMENT, r.PROBLEM_GROUP, r.PROBLEM_UNGROUP)),
        Api("own", "serviceLevelViolation", ("v1",), (r.SERVICE_LEVEL_VIOLATION,)),
    ),
)
