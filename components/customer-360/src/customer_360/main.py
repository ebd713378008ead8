"""Customer 360: who is this, and what has happened?"""

from tmfkit import Api, Component, Settings

from customer_360 import resources as r

component = Component(
    name="customer-360",
    package="customer_360",
    settings=Settings,
    apis=(
        Api("TMF717", "customer360", ("v5",), (r.CUSTOMER_360,)),
        Api("TMF629", "customerManagement", ("v4", "v5"), (r.CUSTOMER,)),
    ),
)
