"""Business numbers of the component, looked up in the ledger from time to time."""

from __future__ import annotations

from churn_prediction.domain.risk import Band
from churn_prediction.settings import ChurnSettings
from tmfkit import Context


async def due(ctx: Context[ChurnSettings]) -> None:
    """Gauges: who is assessed by the active model and in which band, their mean probability, the age of the model and
    what its cross-validation promised, who still waits."""
    row = await ctx.database.pool.fetchrow(
        "SELECT m.created_at, m.version, (m.card::jsonb #>> '{metrics,auc,value}')::float8 AS auc,"
        " (m.card::jsonb #>> '{metrics,ece,value}')::float8 AS ece,"
        " (SELECT count(*) FROM outcome) AS labelled, (SELECT count(*) FROM touched) AS touched,"
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
    if row["auc"] is not None:
        telemetry.gauge("churn_model_auc", "AUC of the active model in cross-validation.").set(row["auc"])
    if row["ece"] is not None:
        telemetry.gauge("churn_model_calibration_error", "Its expected calibration error there, 0..1.").set(row["ece"])
    bands = await ctx.database.pool.fetch(
        "SELECT document ->> 'band' AS band, count(*) FROM assessed WHERE version = $1 GROUP BY 1", row["version"]
    )
    found = {r["band"]: r["count"] for r in bands}
    at_risk = telemetry.gauge("churn_customers_at_risk", "Customers by band of their newest assessment.", ("band",))
    for band in Band:
        at_risk.labels(band.value).set(found.get(band.value, 0))
    if row["mean"] is not None:
        telemetry.gauge("churn_probability_mean", "Mean of their newest churn probability, 0..1.").set(row["mean"])
