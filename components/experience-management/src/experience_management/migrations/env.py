"""Alembic's entry: the declared tables are the schema."""

from experience_management.main import component
from tmfkit.migrate import env

env(component.schema)
