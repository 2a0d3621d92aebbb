"""The page about how hard HyperGen is to break."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Result", "page"]

INTRODUCTION = """\
# Hard to break

What HyperGen promises about wrong code, hostile input and being stopped, each with the number that was measured, the
day, and the command that measures it. `make scorecard` measures all of them and writes this page.

| promise | measured | on | by |
|---|---|---|---|
"""

FOUND = """
## What differs between versions of torch

- With torch 2.6, training in several processes on CPUs fails where the gradients of a divided head are gathered: gloo
  has no `reduce_scatter` there.
- With torch 2.6, `torch.compile` cannot take in a whole training step of a model with running statistics.
- With torch 2.6, `aminmax` has no gradient.
- Packages name the torch that they were compiled with in their manifest, and `hypergen check` tells that apart from
  other drift.

## What was found

- A full temporary folder during verification was taken for a disagreement: HyperGen emitted one pass for each dataset
  in place of one for all. It is an error now, HG507.
- A compiler that started while another had just replaced the package read the manifest of one and the files of the
  other, and reported edits that nobody had made.
- Where folders cannot be exchanged in one step, one killed between two renames left no package under its name until the
  next compile; now every command puts it back.
- A folder that was made for a package in a new place was left behind by a kill between two steps.
- An edit within the moment of the swap itself was lost; the folder is now looked at once more after it, and put back.
- A read-only folder within a package was left as a temporary sibling.
- Damaged manifests, and a pyproject.toml that is no UTF-8, ended in tracebacks.
- With torch 2.14, models with an `autograd.Function` could not be recorded.
- An entry point called `layers` hid the module of that name: it is refused by name now.
- Complex, sparse, quantized and expanded tensors, models on the meta device, modules that are parts of their own parts
  and models whose copying fails in an unusual way ended in tracebacks. Each is refused with a code, or compiled.
- A hook on a parameter's gradient was left out in silence; all hooks on gradients are refused now.
- A seed that an entry point set before anything else, or in the end, was seen by verification alone; it is refused at
  its line, as are numbers of a generator that the model holds.
- A model that does not repeat itself was reported as a bug of HyperGen.
- A parameter that is registered as a buffer too was taken for one that nobody reads, and its package for a wrong one.
- A parameter without elements, or one at the very end of a part of the buffer, was taken for a mistake of the layout.
- A model that decides by the size of its batch, keeps what it has made of weights, or changes its weights as it runs
  was reported as a bug of HyperGen; it is refused by name now, at its line where there is one.
- A mapping with a key of `None`, or with types or pairs as keys, was stopped as a bug of HyperGen.
- A model that sets torch's default type or switches gradients off left that to whatever ran next.
"""

MISSED = """
## Mistakes that no test noticed

Of the sample of small mistakes, what became of what. Mistakes that change nothing are left out of the sample;
`benchmarks/equivalent.py` lists them with why.

The sample was drawn and measured once, and no test was written for any of it before. Of the samples before it 159 of
200 were noticed (seed 0) and 77 of 100 (seed 1), and then 91 of 100 (seed 3), as since the second of these every
mistake also meets the texts of whole packages in `tests/printed`, whatever they take. A mistake that does not come to
an end within 120 seconds of a processor counts as noticed. That nothing else does was tried with 18 samples that had
no mistake at all: no test failed.

"""


@dataclass(frozen=True)
class Result:
    """A promise, the number that was measured in words, the day, the command, and what else it told, line by line."""

    promise: str
    number: str
    date: str
    command: str
    details: Sequence[str] = ()


def page(results: Sequence[Result]) -> str:
    rows = "".join(f"| {r.promise} | {r.number} | {r.date} | `{r.command}` |\n" for r in results)
    missed = "".join(f"- {detail}\n" for result in results for detail in result.details)
    return INTRODUCTION + rows + FOUND + (MISSED + missed if missed else "")
