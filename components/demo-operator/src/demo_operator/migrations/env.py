"""Alembic's entry: the declared tables are the schema."""

from demo_operator.main import component
from tmfkit.migrate import env

env(component.schema)
