"""Demo Operator: the operator's other systems, made up by a seed, and the driver of the whole loop."""

from typing import Any

from tmfkit import Api, Component, Context, Every

from demo_operator import inventory, routes, tables
from demo_operator import resources as r
from demo_operator.commands import COMMANDS
from demo_operator.live import live
from demo_operator.load import LoadError, is_loaded, load, say
from demo_operator.memory import Busy
from demo_operator.settings import DemoSettings


async def operate(ctx: Context[Any]) -> None:
    """What `serve` does by itself, as far as settings.loop allows; what is done is not done again."""
    await inventory.fill(ctx)
    try:
        if ctx.settings.loop != "off" and not await is_loaded(ctx):
            await load(ctx)
        if ctx.settings.loop == "live":
            await live(ctx)
    except (LoadError, Busy) as e:
        say(str(e))


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
    flows=(Every(15, operate, "operate"),),
    dependencies=("serviceQuality", "experienceManagement", "customer360", "churnPrediction"),
    commands=COMMANDS,
)
