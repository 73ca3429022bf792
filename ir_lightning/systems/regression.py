"""A generator that learns from pixel losses alone: no discriminator."""

from torch.optim import Optimizer

from ir_lightning.systems.restoration import Batch, RestorationSystem


class RegressionSystem(RestorationSystem):
    """Minimise the weighted sum of the pixel terms, e.g. MSE for the autoencoders of Table III."""

    def configure_optimizers(self) -> list[Optimizer]:
        return [self.optimization.optimizer(self.generator.parameters())]

    def training_step(self, batch: Batch, _: int) -> None:
        losses = self.pixel_losses(self.generator(batch["degraded"]), batch["clean"])
        total = self.weighted(losses)
        self.step_optimizer(self.optimizers(), total)
        self.finish_iteration({"generator": total.detach(), **losses})
