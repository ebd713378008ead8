"""Alembic's entry: the declared tables are the schema."""

from tmfkit.migrate import env

from customer_360.main import component

env(component.schema)
