"""A U-Net that denoises 28 x 28 pictures (arXiv 2006.11239), with attention at its lowest resolution."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["UNet"]

STEPS = 1000  # of the noise schedule


class ResidualBlock(nn.Module):
    """Two convolutions behind group norms, the time added between them."""

    def __init__(self, channels: int, out_channels: int, time: int):
        super().__init__()
        self.norm1 = nn.GroupNorm(8, channels)
        self.conv1 = nn.Conv2d(channels, out_channels, 3, padding=1)
        self.time = nn.Linear(time, out_channels)
        self.norm2 = nn.GroupNorm(8, out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.shortcut = nn.Conv2d(channels, out_channels, 1) if channels != out_channels else nn.Identity()

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x))) + self.time(F.silu(t))[:, :, None, None]
        return self.shortcut(x) + self.conv2(F.silu(self.norm2(h)))


class Attention(nn.Module):
    """One head over all positions."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.GroupNorm(8, channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(x)).flatten(2).transpose(1, 2).unsqueeze(1).chunk(3, dim=-1)
        attended = F.scaled_dot_product_attention(q, k, v).squeeze(1)
        return x + self.out(attended.transpose(1, 2).reshape(x.shape))


class UNet(nn.Module):
    """Three resolutions, two residual blocks on each way down and up; 1.25 million weights."""

    def __init__(self, channels: tuple[int, int, int] = (32, 64, 128), time: int = 128, sampler_steps: int = 4):
        super().__init__()
        a, b, c = channels
        self.width, self.sampler_steps = a, sampler_steps
        self.embed_time = nn.Sequential(nn.Linear(a, time), nn.SiLU(), nn.Linear(time, time))
        self.stem = nn.Conv2d(1, a, 3, padding=1)
        self.down1 = nn.ModuleList([ResidualBlock(a, a, time), ResidualBlock(a, a, time)])
        self.shrink1 = nn.Conv2d(a, a, 3, stride=2, padding=1)
        self.down2 = nn.ModuleList([ResidualBlock(a, b, time), ResidualBlock(b, b, time)])
        self.shrink2 = nn.Conv2d(b, b, 3, stride=2, padding=1)
        self.middle1, self.attention, self.middle2 = ResidualBlock(b, c, time), Attention(c), ResidualBlock(c, c, time)
        self.grow2 = nn.Conv2d(c, b, 3, padding=1)
        self.up2 = nn.ModuleList([ResidualBlock(2 * b, b, time), ResidualBlock(b, b, time)])
        self.grow1 = nn.Conv2d(b, a, 3, padding=1)
        self.up1 = nn.ModuleList([ResidualBlock(2 * a, a, time), ResidualBlock(a, a, time)])
        self.norm, self.out = nn.GroupNorm(8, a), nn.Conv2d(a, 1, 3, padding=1)
        self.register_buffer("kept", torch.cos(torch.linspace(0, 1, STEPS + 1) * math.pi / 2 * 0.998).square())

    def time(self, t: Tensor) -> Tensor:
        """[n] -> [n, time]"""
        half = self.width // 2
        rates = torch.exp(-math.log(1e4) * torch.arange(half, device=t.device) / half)
        angles = t[:, None].float() * rates
        return self.embed_time(torch.cat([angles.sin(), angles.cos()], dim=1))

    def noise(self, x: Tensor, t: Tensor) -> Tensor:
        """Noisy pictures [n, 1, 28, 28] at times t [n] -> their noise."""
        t = self.time(t)
        h = high = through(self.down1, self.stem(x), t)
        h = low = through(self.down2, self.shrink1(h), t)
        h = self.middle2(self.attention(self.middle1(self.shrink2(h), t)), t)
        h = through(self.up2, torch.cat([self.grow2(F.interpolate(h, scale_factor=2)), low], dim=1), t)
        h = through(self.up1, torch.cat([self.grow1(F.interpolate(h, scale_factor=2)), high], dim=1), t)
        return self.out(F.silu(self.norm(h)))

    def loss(self, x: Tensor) -> Tensor:
        """The mean squared error of the noise at random times."""
        t = torch.randint(0, STEPS, (x.shape[0],), device=x.device)
        noise, kept = torch.randn_like(x), self.kept[t][:, None, None, None]
        return F.mse_loss(self.noise(kept.sqrt() * x + (1 - kept).sqrt() * noise, t), noise)

    def sample(self, n: int) -> Tensor:
        """DDIM (arXiv 2010.02502) -> [n, 1, 28, 28]"""
        x = torch.randn(n, 1, 28, 28, device=self.kept.device)
        times = [STEPS - 1 - i * STEPS // self.sampler_steps for i in range(self.sampler_steps)]
        for now, after in zip(times, [*times[1:], 0], strict=True):
            noise = self.noise(x, torch.full((n,), now, device=x.device))
            clean = (x - (1 - self.kept[now]).sqrt() * noise) / self.kept[now].sqrt()
            x = self.kept[after].sqrt() * clean + (1 - self.kept[after]).sqrt() * noise
        return x


def through(blocks: nn.ModuleList, x: Tensor, t: Tensor) -> Tensor:
    for block in blocks:
        x = block(x, t)
    return x
