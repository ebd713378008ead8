"""Business numbers of the component, looked up in the ledger from time to time."""

from __future__ import annotations

from churn_prediction.settings import ChurnSettings
from tmfkit import Context


async def due(ctx: Context[ChurnSettings]) -> None:
    """Gauges: who is assessed by the active model, their mean probability, the age of the model, who still waits."""
    row = await ctx.database.pool.fetchrow(
        "SELECT m.created_at, (SELECT count(*) FROM outcome) AS labelled, (SELECT count(*) FROM touched) AS touched,"
        " (SELECT count(*) FROM assessed a WHERE a.version = m.version) AS assessed,"
        " (SELECT avg(probability) FROM assessed a WHERE a.version = m.version) AS mean"
        " FROM (VALUES (1)) AS one (row) LEFT JOIN artefact m ON m.active"
    )
    telemetry = ctx.telemetry
    telemetry.gauge("churn_labelled_customers", "Customers whose outcome is known.").set(row["labelled"])
    telemetry.gauge("churn_touched_waiting", "Touches still to be answered by an assessment.").set(row["touched"])
    if row["created_at"] is None:
        return
    age_s = (ctx.now() - row["created_at"]).total_seconds()
    telemetry.gauge("churn_model_age", "Time since the active model was trained.", unit="seconds").set(age_s)
    telemetry.gauge("churn_assessed_customers", "Customers assessed by the active model.").set(row["assessed"])
    if row["mean"] is not None:
        telemetry.gauge("churn_probability_mean", "Mean of their newest churn probability, 0..1.").set(row["mean"])
