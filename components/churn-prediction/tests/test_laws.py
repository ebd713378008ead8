from churn_prediction.main import component
from tmfkit.testing import laws


class TestLaws(laws(component)):  # type: ignore[misc]
    """Every law of TMF630 over every resource of this component."""
