"""Generators and critics, with the losses that people write for them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm


class Generator(nn.Module):
    def __init__(self, latent=5, channels=4):
        super().__init__()
        self.latent = latent
        self.project = nn.Linear(latent, channels * 2 * 2)
        self.up = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.BatchNorm2d(channels, 0.8),
            nn.LeakyReLU(0.2, inplace=True),
            nn.ConvTranspose2d(channels, 1, 4, 2, 1),
            nn.Tanh(),
        )

    def forward(self, z):
        out = self.project(z)
        out = out.view(out.shape[0], -1, 2, 2)
        return self.up(out)

    def sample(self, n):
        return self(torch.randn(n, self.latent))


class Critic(nn.Module):
    def __init__(self):
        super().__init__()

        def block(inputs, outputs, bn=True):
            layers = [nn.Conv2d(inputs, outputs, 3, 2, 1), nn.LeakyReLU(0.2, inplace=True), nn.Dropout2d(0.25)]
            if bn:
                layers.append(nn.BatchNorm2d(outputs, 0.8))
            return layers

        self.model = nn.Sequential(*block(1, 4, bn=False), *block(4, 6), *block(6, 8))
        self.head = nn.Sequential(nn.Linear(8, 1), nn.Sigmoid())

    def forward(self, img):
        out = self.model(img)
        out = out.view(out.shape[0], -1)
        return self.head(out)


class HingeGAN(nn.Module):
    def __init__(self):
        super().__init__()
        self.G = Generator()
        self.D = nn.Sequential(
            spectral_norm(nn.Conv2d(1, 4, 4, 2, 1)), nn.LeakyReLU(0.1), spectral_norm(nn.Conv2d(4, 1, 4)), nn.Flatten()
        )

    def d_loss(self, real):
        fake = self.G.sample(real.size(0)).detach()
        return F.relu(1.0 - self.D(real)).mean() + F.relu(1.0 + self.D(fake)).mean()

    def g_loss(self, real):
        return -self.D(self.G.sample(len(real))).mean()

    def gradient_penalty(self, real):
        fake = self.G.sample(real.size(0))
        alpha = torch.rand(real.size(0), 1, 1, 1, device=real.device)
        mixed = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
        out = self.D(mixed)
        (grad,) = torch.autograd.grad(out, mixed, torch.ones_like(out), create_graph=True, retain_graph=True)
        return ((grad.flatten(1).norm(2, dim=1) - 1) ** 2).mean()


def images(n):
    return torch.rand(n, 1, 8, 8) * 2 - 1


def test_generator(check):
    check(Generator(), lambda n: torch.randn(n, 5), sample="sample")


def test_critic(check):
    check(Critic(), images)


def test_hinge_loss_with_spectral_norm(check):
    check(HingeGAN(), images, entries=("d_loss",))


def test_only_the_batch_size_of_the_input_is_read(check):
    check(HingeGAN(), images, entries=("g_loss",))


def test_gradient_penalty(check):
    check(HingeGAN(), images, entries=("gradient_penalty",))
