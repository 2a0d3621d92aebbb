"""Every word that the compiler writes for some small models is the one that is kept: a look at all of it at once."""

from __future__ import annotations

import pytest

from .models import CASES
from .texts import COMMON, FOLDER, files, kept, printed


@pytest.fixture(scope="module")
def common():
    return files(COMMON)


@pytest.mark.parametrize("name", CASES)
def test_what_is_printed(name, common, request):
    """Where this is meant to change: `pytest tests/printed --keep`, and read the difference."""
    text = printed(name, common)
    if request.config.getoption("keep"):
        kept(name).write_text(text)
    assert text == kept(name).read_text()


def test_nothing_else_is_kept():
    assert set(FOLDER.iterdir()) == set(map(kept, CASES))
