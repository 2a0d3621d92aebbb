from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    # Not in pyproject.toml, which also governs packages' own tests, where this class cannot be imported.
    config.addinivalue_line("filterwarnings", "error::hypergen_compiler.errors.HyperGenWarning")
