"""Alembic's entry: the declared tables are the schema."""

from tmfkit.migrate import env

from experience_management.main import component

env(component.schema)
