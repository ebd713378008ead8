"""tmfkit: TMF Open APIs from declared resources. The public names, nothing else."""

from tmfkit.component import Api, Component
from tmfkit.context import Context, Transaction
from tmfkit.deadletter import context, permit
from tmfkit.errors import TmfError
from tmfkit.event import Event
from tmfkit.follow import Follow
from tmfkit.resource import OPERATIONS, READ, TASK, Lifecycle, Resource
from tmfkit.settings import Settings
from tmfkit.worker import Every

__all__ = [
    "OPERATIONS",
    "READ",
    "TASK",
    "Api",
    "Component",
    "Context",
    "Event",
    "Every",
    "Follow",
    "Lifecycle",
    "Resource",
    "Settings",
    "TmfError",
    "Transaction",
    "context",
    "permit",
]
