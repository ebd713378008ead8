"""Alembic's entry: the declared tables are the schema."""

from tmfkit.migrate import env

from demo_operator.main import component

env(component.schema)
