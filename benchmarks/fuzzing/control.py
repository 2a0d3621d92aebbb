"""Statements of several lines: branches, loops, containers, functions, parts without gradient."""

from __future__ import annotations

from .expressions import BINARY, UNARY
from .writing import Writer

__all__ = ["branch", "container", "helper", "loop", "without_gradient"]


def branch(w: Writer) -> None:
    """Control flow on shapes, on the mode, on attributes."""
    value = w.any(1)
    if value is None or w.indent > 2:
        return
    one, two = w.pick(UNARY).format(value.name), w.pick(UNARY).format(value.name)
    kind = w.chance.randrange(6)
    name = f"picked{len(w.lines)}"
    if kind == 0:
        w.add(f"if {value.name}.shape[-1] > 3:")
        w.add(f"    {name} = {one}")
        w.add("else:")
        w.add(f"    {name} = {two}")
    elif kind == 1:
        w.add("if self.training:")
        w.add(f"    {name} = {one}")
        w.add("else:")
        w.add(f"    {name} = {two}")
    elif kind == 2:
        w.add(f"{name} = {one} if {value.name}.dim() == 2 else {two}")
    elif kind == 3:
        flag = w.member(w.pick(["True", "False", "None", "3"]), "flag")
        w.add(f"{name} = {value.name}")
        w.add(f"if {flag}:")
        w.add(f"    {name} = {one}")
    elif kind == 4:
        w.add(f"{name} = {value.name}")
        w.add(f"while {name}.shape[-1] < 6:")
        w.add(f"    {name} = torch.cat([{name}, {name}[..., :1]], -1)")
        w.hold(name, (*value.shape[:-1], max(6, value.shape[-1])))
        return
    else:
        w.add(f"{name} = {one}")
        w.add(f"if {name}.requires_grad or self.training:" if w.maybe(0.3) else f"if len({name}) > 0:")
        w.add(f"    {name} = {two} + {name}")
    w.hold(name, value.shape)


def loop(w: Writer) -> None:
    value = w.any(1)
    if value is None:
        return
    name, k, last = f"run{len(w.lines)}", w.pick([2, 3, 4]), value.shape[-1]
    kind = w.chance.randrange(8)
    if kind == 0:
        layers = w.member(f"nn.ModuleList([nn.Linear({last}, {last}) for _ in range({k})])", "layers")
        w.add(f"{name} = {value.name}")
        w.add(f"for {w.pick(['layer', 'w', 'i', 'block', 'state'])}_ in {layers}:".replace("__", "_"))
        variable = w.lines[-1].split("for ")[1].split(" in ")[0]
        step = w.pick(["torch.tanh({l}({0}))", "{0} + {l}(F.relu({0}))", "{l}({0}).sigmoid() * {0}"])
        w.add(f"    {name} = {step.format(name, l=variable)}")
    elif kind == 1:
        w.add(f"{name} = {value.name}")
        w.add(f"for i in range({k}):")
        step = w.pick(["{0} * (i + 1) + {1}", "{0}.sin() + i / 3", "F.relu({0} - 0.1 * i) + {1}.tanh()"])
        w.add(f"    {name} = {step.format(name, value.name)}")
    elif kind == 2:
        w.add(f"{name} = {value.name} * 0")
        w.add(f"for column in {value.name}.unbind(1):")
        w.add(f"    {name} = {name} + column.tanh().unsqueeze(1)")
    elif kind == 3:
        w.add("collected = []")
        w.add(f"{name} = {value.name}")
        w.add(f"for step in range({k}):")
        w.add(f"    {name} = torch.tanh({name} * {w.number()})")
        w.add(f"    collected.append({name}.mean(-1, keepdim=True))")
        w.add(f"joined = torch.cat(collected, {w.pick(['-1', 'dim=-1'])})")
        w.hold("joined", (*value.shape[:-1], k))
    elif kind == 4:
        scales = w.member(f"nn.ParameterList([nn.Parameter(torch.rand({last})) for _ in range({k})])", "scales")
        w.add(f"{name} = {value.name}")
        w.add(f"for p, other in zip({scales}, reversed({scales})):")
        w.add(f"    {name} = ({name} * p + other).tanh()")
    elif kind == 5:
        layers = w.member(f"nn.ModuleDict({{key: nn.Linear({last}, {last}) for key in {list('abc'[:k])!r}}})", "table")
        w.add(f"{name} = sum(layer({value.name}) for layer in {layers}.values())")
    elif kind == 6:
        w.add(f"{name} = {value.name}")
        w.add(f"for a_, b_ in [({name}, {value.name}.sin()), ({value.name}, {value.name}.cos())]:")
        w.add(f"    {name} = {name} * a_.sigmoid() + b_")
    else:
        w.add(f"memory = {value.name} * 0.5")
        w.add(f"{name} = {value.name}")
        w.add(f"for i in range({k}):")
        w.add(f"    {name}, memory = memory + {name}.tanh(), {name} * 0.3 + i")
        w.hold("memory", value.shape)
    w.hold(name, value.shape)


def container(w: Writer) -> None:
    value = w.any(1)
    if value is None:
        return
    other = w.like(value).name
    name = f"held{len(w.lines)}"
    kind = w.chance.randrange(5)
    if kind == 0:
        w.add(f"table = {{'a': {value.name}, 'b': {{'c': {other}.sin()}}}}")
        w.add(f"{name} = table['a'] * table['b']['c']")
    elif kind == 1:
        w.add(f"pairs = [({value.name}, 2), ({other}, 3)]")
        w.add(f"{name} = sum(tensor * factor for tensor, factor in pairs)")
    elif kind == 2:
        w.add(f"self._cache = {value.name}.tanh()")
        w.add(f"{name} = self._cache + {other}")
        w.add("del self._cache")
    elif kind == 3:
        w.add(f"first, *rest = ({value.name}, {other}, {value.name}.cos())")
        w.add(f"{name} = first + torch.stack(rest).mean(0)")
    else:
        w.add(f"{name} = (lambda t, scale=2: t * scale - t.mean(0))({value.name})")
    w.hold(name, value.shape)


def without_gradient(w: Writer) -> None:
    value = w.any(1)
    if value is None:
        return
    name = f"fixed{len(w.lines)}"
    w.add("with torch.no_grad():")
    w.add(f"    {name} = {w.pick(UNARY).format(value.name)}")
    if w.maybe(0.4):
        w.add(f"    {name} = {name} * {w.number()} + {w.like(value).name}")
    w.hold(name, value.shape)
    w.new(f"{value.name} + {name}", value.shape)


def helper(w: Writer) -> None:
    """A call of a function of the file, of a static method or of a closure."""
    value = w.any(1)
    if value is None:
        return
    kind = w.chance.randrange(4)
    if kind == 0:
        w.new(f"{w.program.function(w)}({value.name}, {w.like(value).name})", value.shape)
    elif kind == 1:
        name = w.member_name("mix")
        result = f"{w.pick(BINARY).format('x', 'y')} * scale + y.tanh().exp().clamp(max=2)"
        head = f"@staticmethod\ndef {name}(x, y=None, *, scale=1.0):\n    y = x if y is None else y\n"
        w.owner.methods.append(f"{head}    return {result}")
        w.new(f"self.{name}({value.name}{w.pick(['', ', scale=0.5', f', {w.like(value).name}'])})", value.shape)
    elif kind == 2:
        name = f"inner{len(w.lines)}"
        w.add(f"def {name}(t, u=0.5):")
        w.add(f"    {w.pick(['t = t * u', 'u = t.sigmoid()', 't = t - 1'])}")
        w.add(f"    return {w.pick(UNARY).format('t')} + {value.name} * u")
        w.new(f"{name}({w.like(value).name})", value.shape)
        if w.maybe(0.5):
            w.new(f"{name}({value.name}, 2)", value.shape)
    else:
        name = w.member_name("recurse")
        head = f"def {name}(self, x, depth):\n    if depth == 0:\n        return x\n"
        w.owner.methods.append(f"{head}    return self.{name}(x.tanh() + x * depth, depth - 1).sin()")
        w.new(f"self.{name}({value.name}, {w.pick([1, 2, 3])})", value.shape)
