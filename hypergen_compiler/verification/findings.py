"""What a verification found."""

from __future__ import annotations

from dataclasses import dataclass

from hypergen_compiler.errors import HyperGenError

__all__ = ["BATCHES", "ITSELF", "SEED", "Check", "Verification"]

BATCHES = (1, 3, 17)  # none of them is a batch size that entry points are recorded at
SEED = 20240131
ITSELF = {  # how a model may disagree with itself, and what to do then
    "repeat": "Keep what changes from call to call in a buffer, as a tensor; draw random numbers with torch.",
    "kept": "Compute what is made of weights anew in every call: they come from the hypernetwork.",
    "weights": "Weights come from the hypernetwork: limit or mask them where they are used; do not write to them.",
    "size": "Write it without, or as a tensor's value that torch.where or a mask decides by.",
}


@dataclass(frozen=True)
class Check:
    """One comparison: `what` of `entry` in `mode` at `batch` with `weights`.

    It is an output, gradients, state, run, start, inputs, random, or together, the pass that several datasets share;
    or what the model does not do as it should, of those in ITSELF, with the line that is at fault, if one is.
    """

    entry: str
    mode: str
    batch: int
    weights: str
    what: str
    ok: bool
    exact: bool
    detail: str
    where: str | None = None

    @property
    def place(self) -> str:
        return f"{self.entry}, {self.mode} mode, batch of {self.batch}, {self.weights} weights"


@dataclass(frozen=True)
class Verification:
    """All comparisons, and in `notes` what could not be compared and why."""

    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)

    @property
    def exact(self) -> bool:
        """Whether something was compared and all of it is equal bit for bit."""
        return bool(self.checks) and all(check.exact for check in self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.ok)

    def require(self) -> None:
        """Raises HG602 if an entry point failed to run and HG601 if one does not agree with the model.

        Raises HG204 if the model does not agree with itself.
        """
        if self.ok:
            return
        if own := next((check for check in self.failures if check.what in ITSELF), None):
            raise HyperGenError("HG204", f"{own.place}: {own.detail}", where=own.where, remedy=ITSELF[own.what])
        first = next((check for check in self.failures if check.what == "run"), self.failures[0])
        others = f" ({len(self.failures) - 1} more checks failed)" if len(self.failures) > 1 else ""
        raise HyperGenError(
            "HG602" if first.what == "run" else "HG601",
            f"{first.what} of {first.place}: {first.detail}{others}",
            remedy="If the package was edited, undo or correct the edit. Otherwise please report this as a bug of "
            "HyperGen, with the model: nothing was found in it that explains this.",
        )
