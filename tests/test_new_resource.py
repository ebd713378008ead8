"""Adding a resource as CONTRIBUTING says: a class in resources.py and a line in main.py; all else is derived."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tmfkit.database import new_id
from tmfkit.embedded import create
from tmfkit.testing import database_named, server

ROOT = Path(__file__).parents[1]
CLASS = '''

class LoyaltyCard(Entity):
    """A card that collects points."""

    name: str
    status: str | None = None
    points: int | None = None
    issued: Instant | None = None
    relatedParty: list[RelatedPartyOrPartyRole] | None = None


LOYALTY_CARD = Resource(LoyaltyCard, lifecycle=Lifecycle("status"), index=("issued",))
'''


def test_a_new_resource_is_a_class_and_a_line(tmp_path: Path) -> None:
    source = ROOT / "components/customer-360/src/customer_360"
    copy = tmp_path / "customer_360"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
    resources, main = copy / "resources.py", copy / "main.py"
    text = resources.read_text()
    for name in ("Instant", "RelatedPartyOrPartyRole", "Entity"):
        assert name in text, f"{name} is expected among the imports of resources.py"
    resources.write_text(text + CLASS)
    before = main.read_text()
    after = before.replace("r.CUSTOMER,", "r.CUSTOMER, r.LOYALTY_CARD,", 1)
    assert after != before
    main.write_text(after)

    database = f"new_resource_{new_id()[-12:]}"
    create(server(), [database])
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "DATABASE_URL": database_named(database), "AUTH_MODE": "none"}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments], env=env, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{arguments}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    written = Path(run("-m", "customer_360", "revision", "-m", "add loyalty card").strip().splitlines()[-1])
    assert written.is_relative_to(copy)
    assert "create_table('loyalty_card'" in written.read_text()
    run("-m", "customer_360", "migrate")
    run("-m", "customer_360", "check")
    run("-m", "customer_360", "openapi", "--out", str(tmp_path / "openapi"))
    file = json.loads((tmp_path / "openapi/customer-360/customerManagement.v5.json").read_text())
    assert {"/loyaltyCard", "/loyaltyCard/{id}"} <= set(file["paths"])
    schemas = set(file["components"]["schemas"])
    assert {"LoyaltyCard", "LoyaltyCard_FVO", "LoyaltyCard_MVO"} <= schemas
    assert {"LoyaltyCardCreateEvent", "LoyaltyCardStateChangeEvent", "LoyaltyCardDeleteEvent"} <= schemas

    (tmp_path / "test_card.py").write_text(
        "from customer_360.main import component\nfrom tmfkit.testing import laws\n\n\n"
        "class TestLaws(laws(component)):\n    pass\n"
    )
    told = run("-m", "pytest", "-q", "-k", "LoyaltyCard-v5", "-p", "no:cacheprovider", str(tmp_path / "test_card.py"))
    passed = int(told.split(" passed")[0].split()[-1])
    assert passed >= 20, told
