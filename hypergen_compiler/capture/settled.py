"""Comparisons of random numbers whose result no draw changes: `torch.rand([]) < 0.0` of layers never dropped."""

from __future__ import annotations

from hypergen_compiler.capture.tape import Call, Ref

__all__ = ["Settled"]

UNIFORM = frozenset({"torch.rand", "torch.rand_like"})  # from 0 up to, but not including, 1
BELOW = frozenset({"Tensor.lt", "Tensor.__lt__", "torch.lt"})
ABOVE = frozenset({"Tensor.ge", "Tensor.__ge__", "torch.ge", "Tensor.gt", "Tensor.__gt__", "torch.gt"})


class Settled:
    """The tensors of a run that hold the same for every draw."""

    def __init__(self) -> None:
        self.uniform: set[Ref] = set()
        self.found: set[Ref] = set()

    def see(self, call: Call) -> None:
        if call.writes:
            self.uniform.clear()
        if call.name in UNIFORM and isinstance(call.out, Ref):
            self.uniform.add(call.out)
        if call.name not in BELOW | ABOVE or len(call.args) != 2:
            return
        number, limit = call.args
        if not isinstance(number, Ref) or number not in self.uniform or not isinstance(limit, int | float):
            return
        is_never_below = call.name in BELOW and limit <= 0
        if is_never_below or limit >= 1:
            self.found.add(call.out)
