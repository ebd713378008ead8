"""Alembic's entry: the declared tables are the schema."""

from service_quality.main import component
from tmfkit.migrate import env

env(component.schema)
