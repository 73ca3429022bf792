"""The bar that a person watches: iteration, losses, validation PSNR, time left."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar

from ir_lightning.arguments import check_whole


class IterationBar(TQDMProgressBar):
    """Lightning's bar, counting iterations instead of epochs.

    ``refresh_rate``: iterations between two updates; 0 shows no bar.
    """

    def __init__(self, refresh_rate: int = 10) -> None:
        super().__init__(check_whole("refresh_rate", refresh_rate, 0))

    def on_train_start(self, trainer: Trainer, *args: Any) -> None:
        super().on_train_start(trainer, *args)
        self.train_progress_bar.total = trainer.num_training_batches
        self.train_progress_bar.set_description("training")

    def on_train_epoch_start(self, *_: Any) -> None:
        """Nothing: the one epoch is the training, and a resumed one does not begin it."""

    def get_metrics(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """What the bar shows: loss names without their prefix, validation PSNR in dB."""
        shown = dict(super().get_metrics(trainer, pl_module))
        shown.pop("v_num", None)
        return {name.removeprefix("train/"): value for name, value in shown.items()}
