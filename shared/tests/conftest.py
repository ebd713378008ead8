from collections.abc import Iterator
from pathlib import Path

import pytest

from tmfkit.embedded import THROW_AWAY, Embedded


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    server = Embedded(Path(tmp_path_factory.mktemp("pg")), THROW_AWAY)
    yield server
    server.stop()
