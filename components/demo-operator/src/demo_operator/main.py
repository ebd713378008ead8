"""Demo Operator: the operator's other systems, made up by a seed, and the driver of the whole loop."""

from demo_operator import operations, routes, tables
from demo_operator import resources as r
from demo_operator.commands import COMMANDS
from demo_operator.settings import DemoSettings
from tmfkit import Api, Component, Every

component = Component(
    name="demo-operator",
    package="demo_operator",
    settings=DemoSettings,
    metadata=tables.metadata,
    apis=(
        Api("TMF637", "productInventoryManagement", ("v5",), (r.PRODUCT,)),
        Api("TMF638", "serviceInventoryManagement", ("v5",), (r.SERVICE,)),
        Api(
            "TMF639",
            "resourceInventoryManagement",
            ("v4",),
            (r.RESOURCE, r.PHYSICAL_RESOURCE, r.LOGICAL_RESOURCE),
        ),
    ),
    routes=(routes.router,),
    flows=(Every(15, operations.operate, operations.FLOW),),
    dependencies=("serviceQuality", "experienceManagement", "customer360", "churnPrediction"),
    commands=COMMANDS,
    unguarded=("loop/event/",),
)
