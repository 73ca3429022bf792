"""Fig. 14 compares like with like: each control takes away one difference, and no other."""

from functools import cache
from typing import Any

import pytest
from omegaconf import OmegaConf
from torch import nn

from ir_lightning.build import build
from ir_lightning.networks.generators.encoder_decoder import UNet
from ir_lightning.networks.meta import count, on_meta
from ir_lightning.networks.upsamplers import SubPixel
from ir_lightning.report.experiment import Experiment
from tests.conftest import compose_once

pytestmark = pytest.mark.slow

FIG14 = Experiment.named("fig14")
INFOACCUM = {
    "enhancer": "infoaccum",
    "enhancer.norm": "instance",
    "enhancer.keep_input": True,
}
Cell = dict[str, Any]


def claims(family: str) -> list[Cell]:
    return [claim for claim in FIG14.report["claims"] if claim["family"] == family]


def rivals(family: str) -> list[Any]:
    """The cells of a family's claims, (a, b), called by what is claimed."""
    found = claims(family)
    return [pytest.param(claim["a"], claim["b"], id=claim["says"]) for claim in found]


def generator(cell: Cell, budget: str = "paper") -> UNet:
    """The generator of a cell's runs that restore, on the meta device."""
    values = {key: str(value) for key, value in cell.items()} | {"task": "restoration"}
    (job, *_) = [job for job in FIG14.jobs(budget=budget) if job.cell == values]
    return built(tuple(job.overrides))


@cache
def built(overrides: tuple[str, ...]) -> UNet:
    node: Any = OmegaConf.to_container(compose_once(overrides).generator, resolve=True)
    with on_meta():
        unet = build(node, "generator")
    assert isinstance(unet, UNet)
    return unet


def norms(network: nn.Module) -> set[str]:
    kinds = {type(layer).__name__ for layer in network.modules()}
    return kinds & {"InstanceNorm", "BatchNorm"}


def test_the_cells_are_those_of_the_claims_and_no_others() -> None:
    compared = [claim[side] for claim in FIG14.report["claims"] for side in ("a", "b")]
    wanted = {tuple(sorted((k, str(v)) for k, v in cell.items())) for cell in compared}
    jobs = FIG14.jobs(budget="paper")
    cells = {tuple(sorted((k, v) for k, v in j.cell.items() if k != "task")) for j in jobs}
    assert cells == wanted
    assert {job.cell["task"] for job in jobs} == {"restoration", "reconstruction"}
    assert len(jobs) == 2 * len(cells) * 5


def test_as_published_the_modules_are_those_of_their_papers() -> None:
    for claim in claims("as published"):
        assert claim["a"] == INFOACCUM
        assert list(claim["b"]) == ["enhancer"]  # no other width, norm or input
    names = {claim["b"]["enhancer"] for claim in claims("as published")}
    assert names == {"none", "residual", "context_dilated", "scan", "recursive", "attention"}


@pytest.mark.parametrize(("ours", "theirs"), rivals("like with like"))
def test_like_with_like_is_equal_parameters_and_norm(ours: Cell, theirs: Cell) -> None:
    a, b = generator(ours), generator(theirs)
    assert norms(a.enhancers) == norms(b.enhancers)
    mine, other = (sum(p.numel() for p in net.enhancers.parameters()) for net in (a, b))
    assert other == pytest.approx(mine, rel=0.02)
    # Of the whole generators: what hands on fewer channels has a smaller layer behind it.
    assert count(b).parameters == pytest.approx(count(a).parameters, rel=0.025)
    assert count(b).multiply_adds > 0.85 * count(a).multiply_adds
    rest = [{k: v for k, v in cell.items() if k != "enhancer"} for cell in (ours, theirs)]
    assert ours["enhancer"] == "infoaccum"
    assert ours["enhancer.keep_input"] is True
    assert rest[0].get("enhancer.norm") == rest[1].get("enhancer.norm", "none")
    assert b.enhancers[0].out_channels - features(theirs) == 3 * theirs["enhancer.keep_input"]


def features(cell: Cell) -> int:
    """Channels that a module makes of an image."""
    bare = cell | {"enhancer.keep_input": False}
    changed = tuple(f"{k}={v!s}" for k, v in bare.items())
    return int(built(("depth=5", "upsampler=subpixel", *changed)).enhancers[0].out_channels)


def test_every_rival_is_there_with_its_input_and_where_it_replaces_it_without() -> None:
    found = {(c["b"]["enhancer"], c["b"]["enhancer.keep_input"]) for c in claims("like with like")}
    replacing = ("residual_matched", "context_dilated_matched", "recursive_matched", "scan_matched")
    both = {(name, keep) for name in replacing for keep in (True, False)}
    assert found == both | {("dense", True), ("attention_matched", True)}


def test_without_its_input_infoaccum_differs_in_nothing_else() -> None:
    (claim, _) = claims("what it comes from")
    assert (claim["a"], claim["b"]) == (INFOACCUM, INFOACCUM | {"enhancer.keep_input": False})
    kept, bare = (generator(claim[side]).enhancers[0] for side in ("a", "b"))
    assert count(kept) == count(bare)
    assert kept.out_channels == bare.out_channels + 3


@pytest.mark.parametrize("budget", ["cpu", "paper"])
def test_the_wider_u_net_has_the_multiply_adds_of_the_one_with_infoaccum(budget: str) -> None:
    (_, claim) = claims("what it comes from")
    assert claim["a"] == INFOACCUM
    goal = count(generator(claim["a"], budget)).multiply_adds
    wide = generator(claim["b"], budget)
    assert count(wide).multiply_adds == pytest.approx(goal, rel=0.02)
    width = wide.encoder[0][0].out_channels
    for other in (width - 1, width + 1):
        with on_meta():
            near = UNet(5, other, upsampler=SubPixel())
        here = abs(count(wide).multiply_adds - goal)
        assert abs(count(near).multiply_adds - goal) > here, f"width {other} is nearer"
    assert all(isinstance(block, nn.Identity) for block in wide.enhancers)
