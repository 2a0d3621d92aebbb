"""Statements of models of pictures: other resolutions, groups, and blocks that skip others."""

from __future__ import annotations

from .expressions import LARGEST, product
from .writing import Writer

__all__ = ["resampled", "skipping"]


def resampled(w: Writer) -> None:
    """To twice or half the resolution, or by another layer of convolution."""
    value = w.any(3, 3)
    if value is None:
        return
    name, (channels, height, width) = value
    twice, half = (channels, 2 * height, 2 * width), (channels, height // 2, width // 2)
    options = [
        (f"F.interpolate({name}, scale_factor=2, mode='nearest')", twice),
        (f"F.interpolate({name}, size=({2 * height}, {2 * width}), mode='bilinear', align_corners=False)", twice),
        (f"F.interpolate({name}, scale_factor=2.0)", twice),
        (f"F.avg_pool2d({name}, 2)", half),
        (f"F.max_pool2d({name}, 2)", half),
        (f"F.adaptive_avg_pool2d({name}, 1)", (channels, 1, 1)),
        (f"F.pad({name}, (1, 1, 1, 1), mode='replicate')", (channels, height + 2, width + 2)),
        (f"F.pixel_unshuffle({name}, 2)" if height % 2 == width % 2 == 0 else name, (4 * channels, *half[1:])),
        (f"F.unfold({name}, 1).view({name}.shape)", value.shape),
        (f"{name}.rot90(2, (2, 3))", value.shape),
        (f"{name}.amax((2, 3), keepdim=True) * {name}", value.shape),
    ]
    layers = [
        (f"nn.ConvTranspose2d({channels}, {channels}, 4, 2, 1)", twice),
        (f"nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d({channels}, {channels}, 1))", twice),
        (f"nn.Conv2d({channels}, {channels}, 3, padding=1, groups={channels})", value.shape),
        (f"nn.Conv2d({channels}, {channels}, 3, padding=2, dilation=2, padding_mode='zeros')", value.shape),
        (f"nn.GroupNorm({channels}, {channels})", value.shape),
        (f"nn.Conv2d({channels}, {channels}, 3, padding='same', bias=False)", value.shape),
    ]
    if w.maybe(0.5):
        call, shape = w.pick([o for o in options if 0 < product(o[1]) <= 2 * LARGEST])
        w.new(call, shape)
        return
    layer, shape = w.pick([o for o in layers if product(o[1]) <= 2 * LARGEST])
    w.new(f"{w.member(layer, 'conv')}({name})", shape)


def skipping(w: Writer) -> None:
    """A way down that keeps what it makes, and a way up that takes it from there, as a U-Net does."""
    value = w.any(1, 1)
    if value is None:
        return
    width, k, name = value.shape[-1], w.pick([2, 3]), f"level{len(w.lines)}"
    down = w.member(f"nn.ModuleList([nn.Linear({width}, {width}) for _ in range({k})])", "downs")
    joined = w.maybe(0.5)
    up = w.member(f"nn.ModuleList([nn.Linear({width * (1 + joined)}, {width}) for _ in range({k})])", "ups")
    w.add("skips = []")
    w.add(f"{name} = {value.name}")
    w.add(w.pick(["for layer in {0}:", "for i, layer in enumerate({0}):"]).format(down))
    w.add(f"    skips.append({name})")
    w.add(f"    {name} = F.silu(layer({name}))")
    w.add(f"for layer in {up}:")
    taken = f"torch.cat([{name}, skips.pop()], 1)" if joined else f"{name} + skips.pop()"
    w.add(f"    {name} = layer({taken}).tanh()")
    w.hold(name, value.shape)
