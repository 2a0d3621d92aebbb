"""The package of a small model and what the next version would write for it."""

from ..owning.conftest import build_net, built, home, newer, package, run

__all__ = ["build_net", "built", "home", "newer", "package", "run"]
