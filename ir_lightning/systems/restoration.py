"""What every restorer does, however it is trained; and the one that learns from pixels alone."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping
from typing import Any, NoReturn, cast

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer

from ir_lightning.errors import DivergedError, RunError
from ir_lightning.networks.tiling import restore_tiled
from ir_lightning.runs.record import mean_score
from ir_lightning.systems.across_ranks import any_process, from_all, gathered, means
from ir_lightning.systems.evaluation import Evaluation
from ir_lightning.systems.optimization import Optimization

Batch = dict[str, Any]
"""``name``: B strings; ``degraded`` and ``clean``: (B, 3, H, W), float32 in [0, 1]. When images are
evaluated, B = 1, and there are strings ``scene``."""

SMALLEST_SCALE = 2.0**-24  # of the losses in 16-mixed: float16 has no smaller number

Losses = dict[str, Tensor]
"""Of one iteration, by name: scalars, without their history."""

Row = dict[str, Any]
"""One image: ``image``, ``scene`` and ``scores``, by metric in validations, ``Scores`` in tests."""


class RestorationSystem(LightningModule, ABC):
    """The common half of the systems. A subclass adds ``optimise``.

    Budgets, schedules and the x axis of every curve count ``iteration``, one per batch: Lightning's
    ``global_step`` counts optimizer steps, two per batch for a GAN.

    Args:
        generator: (B, 3, H, W) in [0, 1] to the same.
        loss: named terms; each has a ``weight``. A term that is None is switched off.
        optimization: optimizer, schedule and budget.
        evaluation: protocols, and how large images are restored.
    """

    def __init__(
        self,
        generator: nn.Module,
        loss: Mapping[str, Any],
        optimization: Optimization,
        evaluation: Evaluation,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator = generator
        self.terms = {name: term for name, term in loss.items() if term is not None}
        # A term with weights of its own (a perceptual network, say) follows to the device.
        modules = (term for term in self.terms.values() if isinstance(term, nn.Module))
        self.term_modules = nn.ModuleList(modules)
        self.optimization = optimization
        self.evaluation = evaluation
        self.iteration = 0
        self.tiled_images = 0
        self.test_rows: list[Row] = []  # of all processes, in test order
        self.rows: dict[int, Row] = {}  # of this process, by the image's place in the set
        # On the device, so that to watch every iteration does not make the GPU wait; written in
        # place, so that an iteration can be recorded.
        for name in ("counted", "bad_at"):
            self.register_buffer(name, torch.zeros((), dtype=torch.int64), persistent=False)
        self.counted: Tensor  # iterations, this one included
        self.bad_at: Tensor
        self.take_step: Callable[[Tensor, Tensor], Losses] = self.step

    def forward(self, degraded: Tensor) -> Tensor:
        """Restore: (B, 3, H, W) in [0, 1] to the same."""
        return cast(Tensor, self.generator(degraded))

    def restore(self, degraded: Tensor) -> Tensor:
        """Restore one evaluation image, in tiles if it is too large to be restored whole."""
        whole = self.evaluation.whole_pixels
        if whole is None or degraded.shape[-1] * degraded.shape[-2] <= whole:
            return self.forward(degraded)
        self.tiled_images += 1
        return restore_tiled(self, degraded, self.evaluation.tile, self.evaluation.overlap)

    def pixel_losses(self, restored: Tensor, clean: Tensor) -> dict[str, Tensor]:
        """The unweighted pixel terms, in float32 and in pix2pix's range [-1, 1]."""
        restored, clean = to_float32(restored) * 2 - 1, to_float32(clean) * 2 - 1
        return {n: t(restored, clean) for n, t in self.terms.items() if n != "adversarial"}

    def weighted(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Sum of the terms, each times its weight."""
        return torch.stack([self.terms[name].weight * loss for name, loss in losses.items()]).sum()

    @abstractmethod
    def optimise(self, degraded: Tensor, clean: Tensor) -> Losses:
        """A step of each optimizer, from a batch, two times (B, 3, H, W) in [0, 1].

        All tensors, in the same order each time: a GPU may record them once and repeat them. What
        changes between iterations is a tensor, or part of the ``phase``.
        """

    @property
    def phase(self) -> Hashable:
        """What of the computation changes between iterations, by their number."""
        return None

    def on_train_start(self) -> None:
        self.counted.fill_(self.iteration)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Set the rates that the schedule gives this iteration."""
        factor = self.optimization.schedule(self.iteration / self.optimization.iterations)
        optimizers = self.optimizers()
        for optimizer in optimizers if isinstance(optimizers, list) else [optimizers]:
            for group in cast(Optimizer, optimizer).param_groups:
                rate = group.setdefault("initial_lr", float(group["lr"])) * factor
                if isinstance(group["lr"], Tensor):
                    group["lr"].fill_(rate)
                else:
                    group["lr"] = rate

    def training_step(self, batch: Batch, _: int) -> None:
        self.finish_iteration(self.take_step(batch["degraded"], batch["clean"]))

    def step(self, degraded: Tensor, clean: Tensor) -> Losses:
        """One iteration, all on the device: optimise, and remember whether a loss was finite."""
        self.counted += 1
        losses = {name: loss.detach() for name, loss in self.optimise(degraded, clean).items()}
        bad = ~torch.stack([loss.float() for loss in losses.values()]).isfinite().all()
        self.bad_at.copy_(torch.where(bad & (self.bad_at == 0), self.counted, self.bad_at))
        return losses

    def step_optimizer(self, optimizer: Any, loss: Tensor) -> None:
        """One step of one optimizer."""
        optimizer.zero_grad(set_to_none=True)
        self.manual_backward(loss)
        optimizer.step()

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip the gradients to ``optimization.gradient_clip``, without the scale of ``16-mixed``,
        which Lightning has removed unless the optimizer would do so itself (a fused one).
        """
        if self.optimization.gradient_clip is None:
            return
        precision = self.trainer.precision_plugin
        scaler = getattr(precision, "scaler", None)
        if scaler is not None and getattr(optimizer, "_step_supports_amp_scaling", False):
            scaler.unscale_(optimizer)
        precision.clip_grad_by_norm(optimizer, self.optimization.gradient_clip)

    def finish_iteration(self, losses: Mapping[str, Tensor]) -> None:
        """Count the batch and, every ``log_every`` iterations, write a row of the curve.

        Raises:
            DivergedError: a loss has not been finite since the last row.
        """
        self.iteration += 1
        last = self.iteration == self.optimization.iterations
        if last or self.iteration % self.optimization.log_every == 0:
            self.write({f"train/{name}": loss for name, loss in means(self, losses).items()})
            if any_process(self, bool(self.bad_at > 0)):
                self._diverge()

    def require_finite(self) -> None:
        """Raise ``DivergedError`` if a loss or weight is not finite; nothing such is saved.

        Nor may ``16-mixed`` have skipped every step since its gradients overflow at any scale.
        """
        if self.bad_at > 0:
            self._diverge()
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        if scaler is not None and scaler.get_scale() < SMALLEST_SCALE:
            raise DivergedError(
                "the training diverged: no loss scale makes the gradients finite at iteration "
                f"{self.iteration}. The last checkpoint before it is kept; "
                "trainer.precision=bf16-mixed or 32-true may help."
            )
        weights = [p for p in self.parameters() if p.is_floating_point()]
        if weights and not torch.stack([p.isfinite().all() for p in weights]).all():
            raise DivergedError(
                f"the training diverged: a weight is not finite after iteration {self.iteration}. "
                "The last checkpoint before it is kept."
            )

    def _diverge(self) -> NoReturn:
        raise DivergedError(
            f"the training diverged: a loss was not finite at iteration "
            f"{int(self.bad_at) or self.iteration}. The last checkpoint before it is kept; a lower "
            "optimizer.lr, optimization.gradient_clip=1.0 or another seed may help."
        )

    def write(self, values: dict[str, float]) -> None:
        """Send values to every logger, at this iteration, and to the progress bar."""
        for logger in self.loggers:
            logger.log_metrics(values, step=self.iteration)
        self.log_dict(values, prog_bar=True, logger=False, batch_size=1)

    def on_validation_epoch_start(self) -> None:
        self.rows = {}

    def validation_step(self, batch: Batch, index: int) -> None:
        restored = self.restore(batch["degraded"])
        self._keep(index, batch, self.evaluation.validate(restored, batch["clean"]))

    def on_validation_epoch_end(self) -> None:
        """Write the mean of each metric to the curve.

        Raises:
            RunError: the metric that chooses the best weights is not defined for any image.
        """
        rows = gathered(self, self.rows)
        names = rows[0]["scores"]
        means = {name: mean_score(name, [row["scores"][name] for row in rows]) for name in names}
        chosen = self.evaluation.choose_by
        if math.isnan(means[chosen]):
            raise RunError(
                f"evaluation.choose_by={chosen} is not defined for any validation image (they may "
                "be too small for it): choose another metric."
            )
        self.write({f"val/{name}": value for name, value in means.items()})

    def on_test_epoch_start(self) -> None:
        self.rows, self.test_rows = {}, []
        self.tiled_images = 0

    def test_step(self, batch: Batch, index: int) -> Tensor:
        """Score one image; returns it restored, (1, 3, H, W) in [0, 1]."""
        restored = to_float32(self.restore(batch["degraded"]))
        scores = self.evaluation.test(restored, batch["degraded"], batch["clean"])
        self._keep(index, batch, scores)
        return restored

    def on_test_epoch_end(self) -> None:
        self.test_rows = gathered(self, self.rows)
        tiled = from_all(self, {self.trainer.global_rank: self.tiled_images})
        self.tiled_images = sum(tiled.values())

    def _keep(self, index: int, batch: Batch, scores: dict[Any, float]) -> None:
        """Keep the scores of this process's ``index``-th image, by its place among those of all."""
        place = index * self.trainer.world_size + self.trainer.global_rank
        image, scene = batch["name"][0], batch["scene"][0]
        self.rows[place] = {"image": image, "scene": scene, "scores": scores}


def to_float32(image: Tensor) -> Tensor:
    """In float32, or in float64 where the training is."""
    return image if image.dtype == torch.float64 else image.float()


class RegressionSystem(RestorationSystem):
    """Minimise the weighted sum of the pixel terms, e.g. MSE for the autoencoders of Table III."""

    def configure_optimizers(self) -> list[Optimizer]:
        return [self.optimization.optimizer(self.generator.parameters())]

    def optimise(self, degraded: Tensor, clean: Tensor) -> Losses:
        losses = self.pixel_losses(self.generator(degraded), clean)
        total = self.weighted(losses)
        self.step_optimizer(self.optimizers(), total)
        return {"generator": total, **losses}
