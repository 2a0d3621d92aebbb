"""Equal bytes, whatever the seed of hashes, the folder and the Python."""

from __future__ import annotations

from benchmarks.determinism import SEEDS, compare, pythons

MODELS = ("conv_vae", "coupling_flow")


def test_five_seeds_two_folders_and_every_python_here():
    here, *others = pythons()
    found = compare([(here, seed) for seed in SEEDS] + [(other, 0) for other in others], MODELS)
    assert found.models == MODELS and found.runs >= len(SEEDS) == 5
    assert not found.different
