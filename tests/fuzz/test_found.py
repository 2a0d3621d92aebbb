"""What fuzzing found, as small as it can be; each of these was compiled into something else, or not at all."""

from __future__ import annotations

import pytest

from benchmarks.fuzzing.running import outcome

PROGRAM = """
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

class Other(NamedTuple):
    only: Any

class Pair(NamedTuple):
    first: Any
    second: Any

def leaves(value):
    value = list(value.values()) if isinstance(value, dict) else value
    return [value] if isinstance(value, torch.Tensor) else [leaf for item in value for leaf in leaves(item)]

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)

{methods}

def model():
    torch.manual_seed(0)
    return Model()

def example(n):
    return (torch.randn(n, 4),)

ENTRIES = {entries}
"""

FOUND = {
    "running statistics of a result that nobody reads": """
def forward(self, x):
    self.norm(x)
    return self.fc(x)
""",
    "running statistics read before and after they change": """
def forward(self, x):
    before = self.norm.running_mean.clone()
    y = self.norm(x)
    return y * self.fc(before) + self.norm.running_mean
""",
    "a write by a mask behind a write that became a value": """
def forward(self, x):
    y = self.fc(x)
    z = y * 2
    z += 1.5
    z[z > 0.5] = 0.1
    return z
""",
    "a write of a part behind a write that became a value": """
def forward(self, x):
    y = self.fc(x) * 2
    y.add_(x)
    y[..., 3] = x[..., 0] * 2
    y[:, :1] = 0.25
    return y
""",
    "a write into what is a view in a batch of one and else a copy": """
def forward(self, x):
    y = self.fc(x)
    z = y[:, :2].contiguous()
    z.mul_(2)
    return y, z
""",
    "a write into what is a view where the batch is not the outermost in memory": """
def forward(self, x):
    y = self.fc(x).expand(2, -1, -1).contiguous().transpose(0, 1) * 1.5
    z = y.flatten(1)
    z[:] = 0.5
    return y * self.fc.bias
""",
    "a write into a part of what may be a view": """
def forward(self, x):
    y = self.fc(x)
    z = y[:, :2].contiguous()
    z[0].mul_(2)
    return y, z
""",
    "a container that holds another of its own class": """
def forward(self, x):
    return Pair(x, Pair(self.fc(x), Other(x)))
""",
    "a mapping whose keys are nothing, pairs and types": """
def forward(self, x):
    return {None: x, ("a", 1): self.fc(x), torch.float64: x.double()}
""",
    "a tuple of one tensor that another entry point reads": """
def forward(self, x):
    y = torch.tanh(self.fc(x)) * x
    return (y + y.sin(),)

def loss(self, x):
    return self(x)[0].square().mean()
""",
}


@pytest.mark.parametrize("name", FOUND)
def test_found(name):
    methods = "\n".join(f"    {line}" if line else line for line in FOUND[name].splitlines())
    entries = ("forward", "loss") if "def loss" in methods else ("forward",)
    found = outcome(PROGRAM.format(methods=methods, entries=entries))
    assert found.kind == "accepted", found.detail
