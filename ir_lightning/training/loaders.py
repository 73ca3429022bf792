"""What Lightning asks for the data."""

from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from ir_lightning.data.module import RestorationData
from ir_lightning.data.pair_maker import Pair


class Loaders(LightningDataModule):
    """The loaders of this process.

    Args:
        data: of the run.
    """

    def __init__(self, data: RestorationData) -> None:
        super().__init__()
        self.data = data
        self.validation_pairs = data.validation_pairs
        self.test_pairs = data.test_pairs

    def train_dataloader(self) -> DataLoader[Pair]:
        return self.data.train_dataloader(*self._process())

    def val_dataloader(self) -> DataLoader[Pair]:
        return self.data.val_dataloader(*self._process())

    def test_dataloader(self) -> DataLoader[Pair]:
        return self.data.test_dataloader(*self._process())

    def _process(self) -> tuple[int, int]:
        """Rank of this process, and how many there are."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
