"""Models of as many tokens as a byte has values read texts, and show samples as such."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import pytest
import torch

from .cases import TokenModel, importable, module
from .packages import publish

TEXT = "All that glitters is not gold. "


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    """A package whose model has tokens below 128, `ascii_text`, and one for each other number of tokens."""
    with importable(tmp_path_factory.mktemp("packages")) as path:
        for vocabulary, name in ((128, "ascii_text"), (127, "few"), (257, "many")):
            publish(TokenModel(vocabulary), path / name, "low-rank", example=functools.partial(tokens, vocabulary))
        yield path


def tokens(vocabulary: int, n: int) -> torch.Tensor:
    return torch.randint(vocabulary, (n, 6))


def read(path: Path) -> torch.Tensor:
    return module("ascii_text", "data").read_data(path).inputs[0]


def test_a_text_is_its_bytes_in_rows(tmp_path):
    for name in ("data.txt", "LICENSE"):
        (tmp_path / name).write_text(TEXT)
        assert bytes(read(tmp_path / name).flatten().tolist()).decode() == TEXT[: len(TEXT) // 6 * 6]


def test_a_text_of_other_bytes_is_refused(tmp_path):
    (tmp_path / "data.txt").write_text("caf\N{LATIN SMALL LETTER E WITH ACUTE}s", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"array `tokens` holds values from 97 to 195, expected 0 to 127"):
        read(tmp_path / "data.txt")


def test_other_numbers_of_tokens_are_no_text(folder, tmp_path):
    (tmp_path / "data.txt").write_text(TEXT)
    for name in ("few", "many"):
        with pytest.raises(SystemExit, match=r"cannot be read: expected .*\.safetensors, \.bin or module:function"):
            module(name, "data").read_data(tmp_path / "data.txt")
        assert "text" not in (folder / name / "samples.py").read_text()


def test_samples_of_a_text_can_be_read(tmp_path, monkeypatch):
    training, settings = module("ascii_text", "training"), module("ascii_text", "settings")
    (tmp_path / "data.txt").write_text(20 * TEXT)
    data = module("ascii_text", "data").read_data(tmp_path / "data.txt")
    training.Trainer(data, settings.Settings(steps=2, batch=8), tmp_path / "run").run()
    shown = (tmp_path / "run" / "samples.txt").read_text(encoding="utf-8")
    tokens = torch.load(tmp_path / "run" / "samples.pt")
    assert shown.startswith(bytes(tokens[0].tolist()).decode() + "\n-----") and len(tokens) == 64
    samples = tmp_path / "drawn.txt"
    arguments = ["export", str(tmp_path / "run"), str(tmp_path / "data.txt"), "--out", str(tmp_path / "weights.pt")]
    monkeypatch.setattr(sys, "argv", [*arguments, "--samples", str(samples), "--count", "3"])
    module("ascii_text", "export").main()
    assert samples.read_text(encoding="utf-8").count(f"\n{'-' * 40}\n") == 2
    monkeypatch.setattr(sys, "argv", [*arguments, "--samples", "drawn.png"])
    with pytest.raises(SystemExit):
        module("ascii_text", "export").main()
