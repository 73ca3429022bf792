"""Speed is compared between equals: the published step computes what ours computes."""

import pytest
import torch

from benchmarks.harness import Figure, compared, in_turns
from benchmarks.ways import batch, our_step, our_system, published_like, published_step
from ir_lightning.systems.adversarial import AdversarialSystem

OVERRIDES = ["depth=6", "budget=smoke", "width=8", "norm=instance", "seed=0"]


def weights(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters()])


@pytest.mark.slow
def test_the_published_step_trains_what_ours_trains() -> None:
    ours: AdversarialSystem = our_system(OVERRIDES).double()
    published = published_like(ours, depth=6, width=8)
    published.generator.double()
    published.discriminator.double()
    images = {kind: image.double() for kind, image in batch(2, 64).items()}
    theirs, mine = published_step(published, images), our_step(ours, images)
    start = weights(ours.generator).clone()
    for _ in range(4):
        theirs()
        mine()
    assert (weights(ours.generator) - start).abs().max() > 1e-4
    for one, other in (
        (ours.generator, published.generator),
        (ours.discriminator, published.discriminator),
    ):
        torch.testing.assert_close(weights(one), weights(other), rtol=0, atol=1e-6)


def test_a_figure_is_the_median_of_pairs_and_says_whether_its_goal_is_met() -> None:
    figure = compared("x", "a / b", [2.0, 30.0, 4.0], [1.0, 10.0, 1.0], goal=3.0)
    assert (figure.ratio, figure.spread, figure.met) == (3.0, (2.0, 4.0), True)
    assert not Figure("x", "", 0.3, 0.25, at_least=False).met
    assert Figure("x", "", None, 1.0).met is None


def test_ways_are_measured_in_turns_and_the_first_rounds_do_not_count() -> None:
    order: list[str] = []

    def way(name: str, seconds: float) -> float:
        order.append(name)
        return seconds

    ways = {"a": lambda: way("a", 1.0), "b": lambda: way("b", 2.0)}
    assert in_turns(ways, rounds=2, warm_up=1) == {"a": [1.0, 1.0], "b": [2.0, 2.0]}
    assert order == ["a", "b"] * 3
