"""Capture: an nn.Module and its entry points to a `Program`.

Each entry point is run on real tensors in training and in evaluation mode, at three batch sizes each, under a recorder;
the runs are merged into one graph whose numbers follow the batch size.
"""

from __future__ import annotations

from hypergen_compiler.capture.entry import EntryPoint, batches, entry_points
from hypergen_compiler.capture.program import capture

__all__ = ["EntryPoint", "batches", "capture", "entry_points"]
