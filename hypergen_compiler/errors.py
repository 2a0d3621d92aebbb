"""Every way in which HyperGen can refuse, each with a code, a place and a remedy.

The hundreds follow the pipeline: 1 source and example, 2 capture, 3 layout and plan, 4 emission, 5 package,
6 verification, 7 audit, 9 internal. `docs/errors.md` is written from `CODES` and kept fresh by a test.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["CODES", "HyperGenError", "HyperGenWarning", "InternalError"]

CODES: dict[str, str] = {
    "HG101": "the source cannot be imported",
    "HG102": "the source names nothing that is an nn.Module, a class of one, or a factory of one",
    "HG103": "the constructor or factory fails with the arguments given",
    "HG104": "the example is not understood",
    "HG105": "a setting is not `key=value`, or the budget is not a size",
    "HG106": "the name is not a usable package name",
    "HG107": "the recipe or one of its settings is not understood",
    "HG108": "pyproject.toml cannot be read, or a table below `[tool.hypergen]` is not understood",
    "HG201": "the model has no such method",
    "HG202": "the entry point fails on the example",
    "HG203": "the batch size is baked into the model",
    "HG204": "control flow or a constant depends on the data",
    "HG205": "a decision is taken from the weights",
    "HG206": "an output is not a tensor or a container of tensors that recorded calls produced",
    "HG207": "the loss is neither a scalar nor one number per item",
    "HG208": "the loss has no gradient",
    "HG209": "the entry point draws random numbers outside torch",
    "HG210": "the samples do not have the shape of the data",
    "HG211": "one entry point's name or inputs clash with another's or with the package's own",
    "HG301": "a parameter cannot share the flat buffer with the others",
    "HG302": "the model has no parameters to emit",
    "HG303": "the budget is too small for any head",
    "HG304": "the head is none that this model can have",
    "HG305": "a pattern of weights to keep matches no parameter",
    "HG306": "the penalty, or what it compares, is none that this model can have",
    "HG401": "an operator cannot be printed",
    "HG402": "a value has no literal form",
    "HG501": "the output folder cannot be written",
    "HG502": "the output folder holds something that HyperGen did not write",
    "HG503": "files in the output folder were edited since HyperGen wrote them",
    "HG504": "the folder is not a package that HyperGen wrote",
    "HG505": "what HyperGen wrote is no longer known, which a copy or a merge has to start from",
    "HG506": "a tool that is needed is not installed or fails",
    "HG507": "a file outside the package, such as a temporary one, cannot be read or written",
    "HG601": "the emitted package does not agree with the model",
    "HG602": "the emitted package fails to import or run",
    "HG603": "the model cannot be rebuilt from the manifest",
    "HG604": "training data cannot be read",
    "HG605": "the package fails its own tests",
    "HG701": "there is nothing to audit at the place that is named, or more than one thing",
    "HG702": "what is audited and its data do not fit each other",
    "HG901": "HyperGen contradicts itself",
    "HG902": "what a stage of HyperGen made breaks the stage's own rules",
}


class HyperGenError(Exception):
    """A refusal with a code from `CODES`: what is wrong, where in the user's code, and what to do.

    `where` is `file:line` of the user's model, or None when no line is at fault.
    """

    def __init__(self, code: str, what: str, *, where: str | None = None, remedy: str):
        if code not in CODES:
            raise KeyError(code)
        self.code, self.what, self.where, self.remedy = code, what, where, remedy
        super().__init__(f"{code}: {what}" + (f"\n  at {where}" if where else "") + f"\n  {remedy}")


class InternalError(HyperGenError):
    """A bug of HyperGen's own; `report` is what to hand on, with nothing of the user's beyond names and calls."""

    def __init__(self, code: str, what: str, *, where: str | None = None, remedy: str, report: str):
        super().__init__(code, what, where=where, remedy=remedy)
        self.report = report


class HyperGenWarning(UserWarning):
    """Something the user should know that does not stop the compiler."""


Progress = Callable[[str], None]


def ignore(message: str) -> None:
    """Progress that nobody watches."""
