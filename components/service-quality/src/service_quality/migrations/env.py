"""Alembic's entry: the declared tables are the schema."""

from tmfkit.migrate import env

from service_quality.main import component

env(component.schema)
