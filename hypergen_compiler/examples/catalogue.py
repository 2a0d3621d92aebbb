"""How each bundled model is compiled: for `generated/`, for the demo, and for tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypergen_compiler.errors import Progress
from hypergen_compiler.pipeline import publish
from hypergen_compiler.publishing.package import Package
from hypergen_compiler.request.origin import Origin
from hypergen_compiler.request.words import request

__all__ = ["BUNDLED", "BundledModel"]


@dataclass(frozen=True)
class BundledModel:
    """What one would type after `hypergen compile`; `package` is the emitted package's name."""

    package: str
    source: str
    example: str
    entries: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def origin(self) -> Origin:
        return Origin(self.source, self.settings, self.example, entries=self.entries)

    def compile(self, folder: Path, *, force: bool = False, progress: Progress = lambda message: None) -> Package:
        """Publishes the package to `folder / package`, just as the command line would."""
        asked = request(self.origin, progress)
        return publish(asked, folder / self.package, name=self.package, force=force, progress=progress)


BUNDLED = (
    BundledModel("conv_vae", "hypergen_compiler.examples:ConvVAE", "1x8x8", ("encode",)),
    BundledModel("coupling_flow", "hypergen_compiler.examples:CouplingFlow", "2", ("log_prob",)),
    BundledModel("small_gpt", "hypergen_compiler.examples:SmallGPT", "tokens:32:28", ("forward",)),
)
