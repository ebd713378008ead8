"""Alembic's entry: the declared tables are the schema."""

from tmfkit.migrate import env

from churn_prediction.main import component

env(component.schema)
