"""What makes a data set, a feature list or a model the same one: sha256 over canonical JSON."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def fingerprint(document: Any) -> str:
    """sha256 (hex) of the UTF-8 canonical JSON: keys sorted, no spaces, shortest round-trip floats, no NaN."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
