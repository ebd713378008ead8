"""Alembic's entry: the declared tables are the schema."""

from churn_prediction.main import component
from tmfkit.migrate import env

env(component.schema)
