"""What each component's dashboard shows: first what the operator's people ask, then how the software does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from grafana import Panel, Row, dashboard, figure, graph
from series import RUN, SERVED, by_resource, increase, is_, newest, quantile, quantiles, rate, selected
from software import software

HIGH = 'band=~"high|critical"'


def service_quality() -> Sequence[Panel]:
    received = "service_quality_measurements_total"
    return [
        figure(
            "Open service problems",
            "Service problems (TMF656) that are not resolved: degradations with their cause and whom they affect.",
            "short",
            newest("service_quality_problems_open"),
            limits=((1, "orange"),),
        ),
        figure(
            "Open violations",
            "Service level objectives (TMF657) that are not met now, counted per measured series.",
            "short",
            newest("service_quality_violations_open"),
            limits=((1, "orange"),),
        ),
        figure(
            "Measurements",
            "Measurements accepted in the time shown.",
            "short",
            f"sum({increase(received, is_('outcome', 'accepted'))})",
            decimals=0,
        ),
        figure(
            "Rejected",
            "Share of the measurements in the time shown that were refused; the table `rejection` says why.",
            "percentunit",
            f"sum({increase(received, is_('outcome', 'rejected'))}) / sum({increase(received)})",
            limits=((0.01, "orange"), (0.05, "red")),
        ),
        figure(
            "Time to a verdict",
            "Mean time of one evaluation of what arrived against all objectives, over the time shown.",
            "s",
            f"sum({increase(f'{RUN}_sum', is_('flow', 'evaluate'))})"
            f" / sum({increase(f'{RUN}_count', is_('flow', 'evaluate'))})",
            limits=((10, "orange"), (60, "red")),
        ),
        graph(
            "Problems",
            "Service problems that are not resolved.",
            "short",
            {"open": newest("service_quality_problems_open")},
        ),
        graph(
            "Violations",
            "Service level violations that are open. Many violations with one cause make one problem.",
            "short",
            {"open": newest("service_quality_violations_open")},
        ),
        graph(
            "Measurements by outcome",
            "Measurements received: accepted, sent a second time (duplicate), refused (rejected).",
            "cps",
            {"{{outcome}}": f"sum by (outcome) ({rate(received)})"},
        ),
    ]


def experience_management() -> Sequence[Panel]:
    scored, delay = "experience_subjects_scored_total", "experience_perception_delay_seconds"
    return [
        figure(
            "Bad experience",
            "Subjects (customers, things) on services whose experience score is below `SCORE_THRESHOLD` now.",
            "short",
            newest("experience_scores_below_threshold"),
            limits=((1, "orange"),),
        ),
        figure(
            "Scores written",
            "Experience scores that were written in the time shown.",
            "short",
            f"sum({increase(scored)})",
            decimals=0,
        ),
        figure(
            "Time to a score",
            "From the newest measurement behind a score to the score: 95 of 100 in the time shown are faster.",
            "s",
            quantile(0.95, delay, window="$__range"),
        ),
        graph(
            "Scores below the threshold",
            "How many feel it now.",
            "short",
            {"below": newest("experience_scores_below_threshold")},
        ),
        graph(
            "Scores by kind of service",
            "Scores written, by kind of service.",
            "cps",
            {"{{service}}": f"sum by (service) ({rate(scored)})"},
        ),
        graph(
            "Scores by subject",
            "Scores written, by type of subject.",
            "cps",
            {"{{subject}}": f"sum by (subject) ({rate(scored)})"},
        ),
        graph(
            "Time from measurement to score",
            "The newest measurement behind a score was so old when the score was written.",
            "s",
            quantiles(delay),
        ),
        graph(
            "What people tell",
            "Interactions, trouble tickets, survey responses, messages and intents that were created or asked for.",
            "reqps",
            {
                "{{resource}}": by_resource(
                    rate(
                        f"{SERVED}_count",
                        'http_route=~".*/v[0-9]+/'
                        '(partyInteraction|troubleTicket|surveyResponse|communicationMessage|intent|experienceScore)(/.*)?"',
                    )
                )
            },
        ),
    ]


def customer_360() -> Sequence[Panel]:
    made, delay = "customer360_assembled_total", "customer360_assembly_delay_seconds"
    views, customers = 'http_route=~".*/customer360/v[0-9]+/.+"', 'http_route=~".*/customerManagement/v[0-9]+/.+"'
    return [
        figure(
            "Views renewed",
            "Views of customers that were made anew in the time shown, because something was heard of them.",
            "short",
            f"sum({increase(made)})",
            decimals=0,
        ),
        figure(
            "Time to the view",
            "From hearing that something happened to a customer to their view: 95 of 100 in the time shown are faster.",
            "s",
            quantile(0.95, delay, window="$__range"),
            limits=((5, "orange"), (60, "red")),
        ),
        figure(
            "Views asked for",
            "Requests for customer views (TMF717) in the time shown.",
            "short",
            f"sum({increase(f'{SERVED}_count', views)})",
            decimals=0,
        ),
        graph("Views renewed per second", "Views made anew.", "ops", {"views": f"sum({rate(made)})"}),
        graph("Time from news to view", "How old the news was when the view showed it.", "s", quantiles(delay)),
        graph(
            "Questions about customers",
            "Requests for views (TMF717) and customers (TMF629).",
            "reqps",
            {
                "views": f"sum({rate(f'{SERVED}_count', views)})",
                "customers": f"sum({rate(f'{SERVED}_count', customers)})",
            },
        ),
    ]


def churn_prediction() -> Sequence[Panel]:
    assessed, offers = "churn_assessments_total", "churn_recommendations_total"
    return [
        figure(
            "Customers at risk",
            "Customers whose newest assessment is in the band high or critical.",
            "short",
            f"sum(max by (band) ({selected('churn_customers_at_risk', HIGH)}))",
        ),
        figure(
            "Customers assessed",
            "Customers who have an assessment by the active model (TMF696).",
            "short",
            newest("churn_assessed_customers"),
        ),
        figure(
            "Mean risk of leaving",
            "Mean of the newest probabilities of those assessed.",
            "percentunit",
            newest("churn_probability_mean"),
            decimals=1,
        ),
        figure(
            "Offers",
            "Offers recommended in the time shown: a risk rose, and keeping the customer earns more than it costs.",
            "short",
            f"sum({increase(offers)})",
            decimals=0,
        ),
        figure(
            "Age of the model",
            "Time since the active model was trained.",
            "s",
            newest("churn_model_age_seconds"),
            limits=((30 * 86400, "orange"), (90 * 86400, "red")),
        ),
        figure(
            "Known outcomes",
            "Customers of whom it is known whether they left: what a model can learn from.",
            "short",
            newest("churn_labelled_customers"),
        ),
        figure(
            "News not assessed",
            "News of customers that no assessment has answered yet.",
            "short",
            newest("churn_touched_waiting"),
        ),
        figure(
            "Ranking of the model",
            "Area under the ROC curve in cross-validation: 0.5 is chance, 1 is perfect.",
            "short",
            newest("churn_model_auc"),
            decimals=3,
        ),
        figure(
            "Calibration of the model",
            "Expected calibration error in cross-validation: by how much its probabilities are off on average.",
            "percentunit",
            newest("churn_model_calibration_error"),
            limits=((0.05, "orange"), (0.1, "red")),
            decimals=1,
        ),
        graph(
            "Assessments by cause",
            "Customers assessed: because of an event, or because there is a new model.",
            "cps",
            {"{{cause}}": f"sum by (cause) ({rate(assessed)})"},
        ),
        graph("Offers recommended", "Offers made when a risk rose.", "cps", {"offers": f"sum({rate(offers)})"}),
        graph(
            "Mean probability",
            "Mean of the newest probabilities. A jump without news about customers: look at the data that come in.",
            "percentunit",
            {"mean": newest("churn_probability_mean")},
        ),
        graph(
            "Customers by band",
            "Customers by band of their newest assessment.",
            "short",
            {"{{band}}": f"max by (band) ({selected('churn_customers_at_risk')})"},
        ),
        graph(
            "News waiting",
            "News of customers that no assessment has answered yet.",
            "short",
            {"waiting": newest("churn_touched_waiting")},
        ),
    ]


BUSINESS: dict[str, tuple[str, str, Callable[[], Sequence[Panel]]]] = {
    "service-quality": (
        "Service Quality",
        "Does each service keep its level, and if not, why and for whom?",
        service_quality,
    ),
    "experience-management": (
        "Experience Management",
        "How does it feel, to whom, on which service?",
        experience_management,
    ),
    "customer-360": ("Customer 360", "Who is this, and what has happened?", customer_360),
    "churn-prediction": (
        "Churn Prediction",
        "Who will leave, why, and what would keep them at a profit?",
        churn_prediction,
    ),
}


def board(name: str) -> dict[str, Any]:
    """The dashboard of a component."""
    title, question, panels = BUSINESS[name]
    rows = [Row(question, panels()), *software(follows=name != "service-quality")]
    return dashboard(name, title, question, rows)
