from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import HealthCheck, settings

# No test is timed, hypothesis' own draws included: machines that run tests are busy.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--keep", action="store_true", help="keep what is printed now as what is to be printed")


def pytest_configure(config: pytest.Config) -> None:
    # Not in pyproject.toml, which also governs packages' own tests, where this class cannot be imported.
    config.addinivalue_line("filterwarnings", "error::hypergen_compiler.errors.HyperGenWarning")


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    """Commands that time run on one thread; what another test computes bit for bit must not depend on them."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
