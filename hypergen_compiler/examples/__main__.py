"""Compiles every bundled model:  python -m hypergen_compiler.examples FOLDER"""

from __future__ import annotations

import sys
from pathlib import Path

from hypergen_compiler.examples.catalogue import BUNDLED

if __name__ == "__main__":
    for bundled in BUNDLED:
        package = bundled.compile(Path(sys.argv[1]), force=True)
        print(f"{package.path.name}: {len(package.files)} files")
