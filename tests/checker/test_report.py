"""The report of an internal error, to the letter."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from hypergen_compiler.checker.report import program_lines, report_text

from ..programs import captured


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.gain = nn.Linear(3, 3), nn.Parameter(torch.ones(3), requires_grad=False)
        self.tied = self.fc
        self.register_buffer("count", torch.zeros(2))

    def forward(self, x):
        self.count += 1
        if self.training:
            return torch.randn_like(x) + self.count.uniform_().sum()
        left, right = (self.fc(x) * torch.tensor([1.0, 2.0, 3.0])).split([1, 2], dim=-1)
        return F.layer_norm(right, (2,), eps=0.25) + left, self.gain


LINES = """\
model Net
parameter gain [3] torch.float32 frozen
parameter fc.weight [3, 3] torch.float32 = tied.weight
parameter fc.bias [3] torch.float32 = tied.bias
buffer count [2] torch.float32

entry forward
  %count: [2] torch.float32 = get_attr count
  %x: [Affine(slope=1, offset=0), 3] torch.float32 = placeholder x
  %add_, writes = Tensor.add_('%count', '1')
  %randn_like: [Affine(slope=1, offset=0), 3] torch.float32, random = torch.randn_like('%x',)
  %uniform_, writes, random = Tensor.uniform_('%count',)
  %sum_1: [] torch.float32 = Tensor.sum('%count',)
  %add: [Affine(slope=1, offset=0), 3] torch.float32 = Tensor.add('%randn_like', '%sum_1')
  return %add

entry forward, in evaluation
  %gain: [3] torch.float32 = get_attr gain
  %fc_bias: [3] torch.float32 = get_attr fc.bias
  %fc_weight: [3, 3] torch.float32 = get_attr fc.weight
  %count: [2] torch.float32 = get_attr count
  %x: [Affine(slope=1, offset=0), 3] torch.float32 = placeholder x
  %add_, writes = Tensor.add_('%count', '1')
  %linear: [Affine(slope=1, offset=0), 3] torch.float32 = torch.nn.functional.linear('%x', '%fc_weight', '%fc_bias')
  %tensor: [3] torch.float32 = torch.tensor(['1.0', '2.0', '3.0'],)
  %mul: [Affine(slope=1, offset=0), 3] torch.float32 = Tensor.mul('%linear', '%tensor')
  %split = Tensor.split('%mul', ['1', '2']) {'dim': '-1'}
  %project: [Affine(slope=1, offset=0), 1] torch.float32 = part('%split', '0')
  %project_1: [Affine(slope=1, offset=0), 2] torch.float32 = part('%split', '1')
  %layer_norm: [Affine(slope=1, offset=0), 2] torch.float32 = torch.nn.functional.layer_norm('%project_1', ('2',)) \
{'weight': 'None', 'bias': 'None', 'eps': '0.25'}
  %add: [Affine(slope=1, offset=0), 2] torch.float32 = Tensor.add('%layer_norm', '%project')
  return ('%add', '%gain')"""


def test_the_programs_lines():
    assert "\n".join(program_lines(captured(Net(), lambda n: (torch.randn(n, 3),)))) == LINES


def test_the_report():
    program = captured(Net(), lambda n: (torch.randn(n, 3),))
    text = report_text("layout", ["one", "two"], program).splitlines()
    assert text[:2] == ["HyperGen contradicted itself.", ""] and f"torch: {torch.__version__}" in text
    start = text.index("stage: layout")
    assert text[start - 1 : start + 5] == ["", "stage: layout", "- one", "- two", "", "model Net"]
