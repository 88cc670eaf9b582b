"""How stores move bytes: how many at a time, and when a request that failed is made again."""

from __future__ import annotations

import os
import random
import time

CHUNK = 4 << 20  # bytes at a time
ATTEMPTS = 4  # of one request that fails on the way


def pause(attempt: int, attempts: int, error: Exception) -> None:
    """Wait before the next attempt; raises `error` where it will not pass, or too often."""
    answer = getattr(error, "response", None)
    status = answer.status_code if answer is not None else None
    if attempt + 1 >= attempts or (status is not None and status not in (408, 425, 429, 500, 502, 503, 504)):
        raise error
    base = float(os.environ.get("TPPC_BACKOFF", "1"))
    time.sleep(base * 2**attempt * random.uniform(0.5, 1.0))
