"""Writes anew what the compiler prints, for tests to compare with:  python -m benchmarks.printed

Read the difference before you commit it.
"""

from __future__ import annotations

from benchmarks.printed.models import CASES
from benchmarks.printed.texts import COMMON, FOLDER, files, kept, printed

if __name__ == "__main__":
    common = files(COMMON)
    FOLDER.mkdir(exist_ok=True)
    for case in CASES:
        kept(case).write_text(printed(case, common))
