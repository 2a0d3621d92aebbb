"""Mutants that are no mistakes, each named by its module and by what became of what, with the reason."""

from __future__ import annotations

__all__ = ["EQUIVALENT"]

CHECKER, EMIT = "hypergen_compiler/checker", "hypergen_compiler/emit"
RENDERED_WEIGHTS = "return render('weights.py.j2', header=header(program), model=prose(program.model"
CARRIES = "return node.meta.get('grad', True) and (dtype is None or dtype.is_floating_point"
ROUNDED = "abs(wanted.value - leaf.value) {} ROUNDING * max(1.0, abs(leaf.value))"

EQUIVALENT: dict[tuple[str, str], str] = {
    (f"{CHECKER}/repeats.py", f"{ROUNDED.format('<=')} -> {ROUNDED.format('<')}"): (
        "no two floats of a progression differ by exactly 1e-14 of themselves"
    ),
    (
        f"{CHECKER}/functions.py",
        "True -> False in for j, (leaf, recorded) in enumerate(zip(item.leaves, other.leaves, strict=True)",
    ): "items whose leaves differ in number are no longer there: same_item has told them apart",
    (f"{CHECKER}/texts.py", "'ascii' -> 'ascii_' in text = content.decode('ascii')"): (
        "Python knows the encoding by that name too"
    ),
    (f"{EMIT}/export.py", "return False -> return None"): "any() reads it",
    (f"{EMIT}/single_file.py", "'the one module' -> 'the one module_' in ITSELF = 'the one module'"): (
        "a value that nothing else is equal to"
    ),
    (f"{EMIT}/weights.py", f"'yes' -> 'yes_' in {RENDERED_WEIGHTS}"): "the template asks whether there is a text",
    (f"{EMIT}/package_tests.py", f"'' -> '_' in {CARRIES}"): "neither is the name of a call without gradient",
    **{
        (f"{EMIT}/numbers.py", mistake): "no line has a slope of 0: it would be a number"
        for mistake in ("step < 0 -> step <= 0", "step < 0 < first -> step <= 0 < first")
    },
    **{
        (f"{EMIT}/formulas.py", f"0 -> 1 in {statement}"): "stands for no formula: what counts begins at 2"
        for statement in (
            "inverse = round(1 / value / value) if value < 1 else 0",
            "number = round(math.exp(value)) if value < math.log(LARGEST) else 0",
        )
    },
}
