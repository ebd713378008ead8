from demo_operator.main import component
from tmfkit.testing import laws


class TestLaws(laws(component)):  # type: ignore[misc]
    """Every law of TMF630 over every resource of the demo operator."""
