"""Recurrent layers, by torch and by hand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn


def sequences(n):
    return torch.randn(n, 5, 4)


class Recurrent(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.rnn = layer
        self.head = nn.LazyLinear(3)
        self.head(layer(torch.randn(2, 5, 4))[0])

    def forward(self, x):
        y, hidden = self.rnn(x)
        return self.head(y), hidden


LAYERS = {
    "lstm": lambda: nn.LSTM(4, 6, batch_first=True),
    "deep": lambda: nn.LSTM(4, 6, num_layers=3, dropout=0.3, batch_first=True),
    "bidirectional": lambda: nn.GRU(4, 6, num_layers=2, bidirectional=True, batch_first=True),
    "projected": lambda: nn.LSTM(4, 6, proj_size=3, batch_first=True),
    "rnn": lambda: nn.RNN(4, 6, nonlinearity="relu", bias=False, batch_first=True),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(check, name):
    check(Recurrent(LAYERS[name]()), sequences, exact=False)


class SketchRNN(nn.Module):
    """An LSTM whose start is a function of a latent, second dimension batch."""

    def __init__(self):
        super().__init__()
        self.enc, self.dec = nn.LSTM(4, 6, bidirectional=True), nn.LSTM(4 + 3, 6)
        self.to_z, self.start, self.out = nn.Linear(12, 6), nn.Linear(3, 12), nn.Linear(6, 4)

    def forward(self, x):
        x = x.transpose(0, 1)
        _, (h, _) = self.enc(x)
        h = h.permute(1, 0, 2).contiguous().view(x.shape[1], -1)
        mean, log_var = self.to_z(h).chunk(2, -1)
        z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
        h0, c0 = torch.split(torch.tanh(self.start(z)), 6, 1)
        inputs = torch.cat([torch.cat([x.new_zeros(1, x.shape[1], 4), x[:-1]]), z.expand(len(x), *z.shape)], 2)
        y, _ = self.dec(inputs, (h0.unsqueeze(0).contiguous(), c0[None].contiguous()))
        return F.mse_loss(self.out(y), x) - 0.5 * torch.mean(1 + log_var - mean**2 - log_var.exp())


def test_sketch_rnn(check):
    check(SketchRNN(), sequences, exact=False)


class Cells(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.gru, self.rnn, self.out = nn.LSTMCell(4, 6), nn.GRUCell(6, 6), nn.RNNCell(6, 6), nn.Linear(6, 4)

    def forward(self, x):
        h = c = x.new_zeros(x.size(0), 6)
        g = torch.zeros(x.size(0), 6)
        outs = []
        for t in range(x.size(1)):
            h, c = self.lstm(x[:, t], (h, c))
            g = self.rnn(self.gru(h, g))
            outs.append(self.out(g))
        return torch.stack(outs, dim=1), (h, c)


def test_cells(check):
    emitted = check(Cells(), sequences, exact=False)
    assert "for " in emitted.text


class Sampler(Cells):
    """Each output is the next input."""

    def sample(self, n):
        state = None
        x, outs = torch.zeros(n, 4), []
        for _ in range(6):
            state = self.lstm(x, state)
            x = self.out(state[0]) + 0.1 * torch.randn(n, 4)
            outs.append(x)
        return torch.stack(outs, 1)


@pytest.mark.filterwarnings("ignore:no entry point reads")
def test_sampler(check):
    check(Sampler(), sequences, sample="sample", entries=(), exact=False)


class Minimal(nn.Module):
    """A gated unit by hand, forwards and backwards in time."""

    def __init__(self):
        super().__init__()
        self.gates, self.new = nn.Linear(8, 8), nn.Linear(8, 4)
        self.h0 = nn.Parameter(torch.randn(1, 4))

    def step(self, x, h):
        r, z = self.gates(torch.cat([x, h], -1)).sigmoid().chunk(2, -1)
        n = torch.tanh(self.new(torch.cat([x, r * h], -1)))
        return (1 - z) * n + z * h

    def forward(self, x):
        h = self.h0.expand(x.shape[0], -1)
        forwards, backwards = [], []
        for t in range(5):
            h = self.step(x[:, t], h)
            forwards.append(h)
        for t in reversed(range(5)):
            h = self.step(x[:, t], h)
            backwards.insert(0, h)
        return torch.stack(forwards, 1) + torch.stack(backwards, 1)


def test_gated_unit_by_hand(check):
    check(Minimal(), sequences, exact=False)


class Packed(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(4, 6, batch_first=True)

    def forward(self, x, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        y, h = self.rnn(packed)
        y, _ = nn.utils.rnn.pad_packed_sequence(y, batch_first=True, total_length=5)
        return y, h


def test_packed_sequences_are_refused(refused):
    example = lambda n: (torch.randn(n, 5, 4), torch.randint(1, 6, (n,)))  # noqa: E731
    refused("HG401", Packed(), example, where="test_recurrent.py")


class WeightTied(nn.Module):
    """A language model: embedding and output share their weight."""

    def __init__(self):
        super().__init__()
        self.embed, self.rnn, self.out = (
            nn.Embedding(9, 6),
            nn.GRU(6, 6, 2, batch_first=True),
            nn.Linear(6, 9, bias=False),
        )
        self.out.weight = self.embed.weight

    def loss(self, ids):
        y, _ = self.rnn(self.embed(ids[:, :-1]))
        return F.cross_entropy(self.out(y).flatten(0, 1), ids[:, 1:].reshape(-1), ignore_index=0)

    def sample(self, n):
        ids, hidden = torch.ones(n, 1, dtype=torch.long), None
        for _ in range(4):
            y, hidden = self.rnn(self.embed(ids[:, -1:]), hidden)
            probabilities = F.softmax(self.out(y[:, -1]) / 0.7, -1)
            ids = torch.cat([ids, torch.multinomial(probabilities, 1)], 1)
        return ids


def test_language_model(check):
    check(WeightTied(), lambda n: torch.randint(0, 9, (n, 5)), loss="loss", sample="sample", entries=(), exact=False)
