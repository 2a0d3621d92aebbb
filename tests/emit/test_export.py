"""Plain weights for all of the data, a part of it or a mixture, as the user's own module loads them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from .cases import CASES, importable, module, publish


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    with importable(tmp_path_factory.mktemp("packages")) as path:
        for case in CASES:
            publish(case, path / case)
        publish("vectors", path / "moments", budget=None)  # few weights, so the encoder takes moments
        yield path


@pytest.mark.parametrize("case", ["labelled", "tokens", "moments"])
def test_row_weights_count_as_repeated_rows_do(case):
    inputs = tuple(part for part in CASES[case.replace("moments", "vectors")][1](7) if isinstance(part, Tensor))
    hypernetwork = module(case, "hypernetwork").Hypernetwork()
    assert (module(case, "hypernetwork").RANK == 5 * module(case, "hypernetwork").FEATURES) == (case == "moments")
    for parameter in hypernetwork.parameters():
        nn.init.normal_(parameter)
    data, export = module(case, "data").Data, module(case, "export")
    times = torch.tensor([3, 0, 1, 1, 0, 2, 1])
    repeated = data(tuple(part.repeat_interleave(times, 0) for part in inputs))
    expected = export.emit_for(hypernetwork, repeated)
    for chunk in (2, 1024):
        got = export.emit_for(hypernetwork, data(inputs), times / times.sum(), chunk)
        torch.testing.assert_close(got, expected)
    assert not torch.allclose(export.emit_for(hypernetwork, data(inputs)), expected)


def test_shares_become_weights():
    shares_to_weights = module("vectors", "export").shares_to_weights
    labels = torch.tensor([9, 4, 9, 9, 2])
    assert torch.equal(shares_to_weights(labels, {4: 1, 9: 3}), torch.tensor([0.25, 0.25, 0.25, 0.25, 0]).double())
    assert shares_to_weights(labels, {2: 0.1, 9: 0.2, 7: 0}).sum() == 1
    for shares, message in (({7: 0.5}, "labels are 2, 4, 9"), ({4: -1, 9: 2}, "at least 0"), ({}, "at least 0"),
                            ({4: float("nan")}, "at least 0"), ({4: 0}, "not all of them 0")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            shares_to_weights(labels, shares)
