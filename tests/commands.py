"""Run the command line in processes of its own."""

from __future__ import annotations

import sys


def command(*arguments: object, ranks: int = 1) -> list[str]:
    """The command line for `tppc <arguments>`."""
    start = [sys.executable]
    if ranks > 1:
        start += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    return [*start, "-m", "tppc", *map(str, arguments)]
