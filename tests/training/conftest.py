"""The cipher as a corpus, and the command line."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cipher import cipher_pairs
from commands import command
from factory import write_corpus


@pytest.fixture(scope="session")
def cipher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2,000 train and 500 test pairs."""
    pairs = cipher_pairs(2_500, seed=1)
    return write_corpus(
        tmp_path_factory.mktemp("cipher"), {"train": pairs[:2_000], "test": pairs[2_000:]}, "cipher/en-hi"
    )


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def tppc() -> Run:
    """Run `tppc ...` in a process of its own, or in `ranks` of them under torchrun."""

    def run(*arguments: object, ranks: int = 1, check: bool = True) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            command(*arguments, ranks=ranks), capture_output=True, text=True, timeout=120, check=False
        )
        assert not check or result.returncode == 0, result.stderr
        return result

    return run
