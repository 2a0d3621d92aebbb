"""`python -m hypergen_compiler` is the command `hypergen`."""

from __future__ import annotations

from hypergen_compiler.cli import main

if __name__ == "__main__":
    main()
