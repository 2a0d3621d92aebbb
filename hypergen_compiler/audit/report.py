"""What an audit finds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Audit", "Following", "Forecast", "Group", "Quality", "findings"]

ABSORBED = 0.5  # of its share: a group that is generated less than this is called absorbed


@dataclass(frozen=True)
class Group:
    """A group's share in the data, as the classifier reads it in real items that it does not know, and in generated
    ones; the part of its real items that lie among generated ones, and among as many real ones; and its loss."""

    name: str
    given: float
    read: float
    generated: float
    generated_error: float
    coverage: float
    coverage_of_real: float
    loss: float | None

    @property
    def kept(self) -> float:
        """What is generated of what would be read if all were real."""
        return self.generated / max(self.read, 1e-9)


@dataclass(frozen=True)
class Quality:
    """Of generated items, or of real ones that are treated like them."""

    frechet: float
    precision: float
    recall: float
    diversity: float


@dataclass(frozen=True)
class Following:
    """How emitted weights follow the data over random mixtures of the groups.

    `slope` of generated against given shares: 1 where they are the same, 0 where the mixture does not matter.
    `slope_of_real` is what the classifier reads in the mixtures themselves. `variation` is how far the weights move
    from mixture to mixture, relative to their size. `points` are pairs of given and generated shares.
    """

    slope: float
    slope_of_real: float
    mean_error: float
    variation: float
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Forecast:
    """Generations that each learn from the last one's samples alone; the first is real data.

    `shares` of the groups and the Fréchet distance to real data by generation; `drift` the total variation distance
    from the data's shares, and `drift_of_sampling` what drawing again and again from the data does. Where there is no
    hypernetwork it is extrapolated: as if each generation treated the groups as this one did.
    """

    extrapolated: bool
    shares: tuple[tuple[float, ...], ...]
    drift: tuple[float, ...]
    drift_of_sampling: tuple[float, ...]
    frechet: tuple[float, ...]
    frechet_of_sampling: tuple[float, ...]


@dataclass(frozen=True)
class Audit:
    """`classifier` is its accuracy on items that it does not know; groups, following and forecast are those of data
    with labels."""

    name: str
    kind: str
    items: int
    sampled: int
    classifier: float | None
    loss: float | None
    quality: Quality
    quality_of_real: Quality
    groups: tuple[Group, ...]
    following: Following | None
    forecast: Forecast | None


def findings(audit: Audit) -> Iterator[str]:
    """What a person should know, each in a sentence."""
    real, own = audit.quality_of_real, audit.quality
    yield (
        f"Generated items lie at a Fréchet distance of {own.frechet:.3g} from real ones, other real items at "
        f"{real.frechet:.3g}; {own.recall:.0%} of real items have generated ones around, {real.recall:.0%} real ones."
    )
    absorbed = [group for group in audit.groups if group.kept < ABSORBED]
    if absorbed:
        groups = [f"{group.name} ({group.generated:.1%} generated, {group.read:.1%} real)" for group in absorbed]
        yield f"Absorbed, with less than half of what is read in real items: {', '.join(groups)}."
    if audit.groups and not absorbed:
        least = min(audit.groups, key=lambda group: group.kept)
        yield f"No group is absorbed; {least.name} keeps least of its share, {least.kept:.0%}."
    if audit.following is not None:
        yield following_finding(audit.following)
    if audit.forecast is not None:
        yield forecast_finding(audit.forecast)


def following_finding(found: Following) -> str:
    ability = (
        "hardly follow the data"
        if found.slope < 0.2
        else "follow the data in part"
        if found.slope < 0.7
        else "follow the data"
    )
    return (
        f"The emitted weights {ability}: generated shares change by {found.slope:.2f} for every 1 of the "
        f"mixture's ({found.slope_of_real:.2f} would be read in the mixtures themselves)."
    )


def forecast_finding(found: Forecast) -> str:
    last = len(found.drift) - 1
    if found.extrapolated:
        return (
            f"If each of {last} generations treated the groups as this one did, their shares would drift by "
            f"{found.drift[-1]:.2f}: extrapolated, since only training anew could tell."
        )
    return (
        f"After {last} generations, each emitted from the last one's samples, the shares have drifted by "
        f"{found.drift[-1]:.2f}, and by {found.drift_of_sampling[-1]:.2f} where the data are only drawn from."
    )
