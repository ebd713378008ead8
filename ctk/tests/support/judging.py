"""Running the kit inside a test."""

from __future__ import annotations

from ctk.tests.support.customers import Customers

from oda_ctk import suite as suites
from oda_ctk.check import Profile
from oda_ctk.contract import Contract, shipped
from oda_ctk.run import Choice, Report, run
from oda_ctk.session import Session

PATIENCE_S = 0.7
SUITE = """
resources:
  customer:
    lifecycle: {attribute: status, legal: [[approved, active]]}
"""


def judged(server: Customers, *only: str, profile: Profile = "core", contract: Contract | None = None) -> Report:
    """The report of the checks of those ids (of all, where none is named) over a server of customers."""
    suite = suites.parsed(SUITE, "test").over(suites.shipped("TMF629", "v4"))
    known = contract or shipped("TMF629", "v4")
    session = Session(known, suite, server.url, profile=profile, patience_s=PATIENCE_S)
    report = Report("TMF629", "v4", server.url, profile, "2026-01-15T10:00:00+00:00")
    return run(session, Choice(only=only), report, tell=lambda line: None)
