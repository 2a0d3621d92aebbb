"""The predicted peak memory of a training step, against what torch allocates for one."""

from __future__ import annotations

import pytest
import torch

import hypergen_compiler as hypergen
from benchmarks.predictions import measured_peak, step_of
from hypergen_compiler.design import Request, design
from hypergen_compiler.examples import ConvVAE, CouplingFlow, SmallGPT
from hypergen_compiler.plan.alternatives import weigh
from hypergen_compiler.plan.machine import Machine


@pytest.mark.parametrize(
    ("name", "make", "items", "head"),
    [
        ("flow", CouplingFlow, torch.randn(64, 2), None),
        ("pictures", ConvVAE, torch.rand(64, 1, 8, 8), None),
        ("text", lambda: SmallGPT(width=64), torch.randint(28, (64, 32)), None),
        ("flow_gains", CouplingFlow, torch.randn(64, 2), "gains"),
        ("text_gains", lambda: SmallGPT(width=64), torch.randint(28, (64, 32)), "gains"),
    ],
)
def test_memory_is_predicted_within_a_tenth(name, make, items, head, tmp_path):
    model = make()
    found = design(Request(model, items, head=head), name)
    (predicted,) = (
        row for row in weigh(found.program, found.layout, found.plan, Machine(1.0), found.together) if row.chosen
    )
    package = hypergen.compile(model, items, out=tmp_path / f"{name}_measured", head=head)
    step, held = step_of(package.load(), items)
    assert predicted.memory == pytest.approx(measured_peak(step, held), rel=0.1)
