"""Alembic's entry: the declared tables are the schema."""

from customer_360.main import component
from tmfkit.migrate import env

env(component.schema)
