"""Three ordinary PyTorch models to try the compiler on; none of them knows of hypernetworks."""

from __future__ import annotations

from hypergen_compiler.examples.conv_vae import ConvVAE
from hypergen_compiler.examples.flow import CouplingFlow
from hypergen_compiler.examples.gpt import SmallGPT

__all__ = ["ConvVAE", "CouplingFlow", "SmallGPT"]
