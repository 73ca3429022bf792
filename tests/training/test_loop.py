"""A training is set up as its configuration says, or refused in words."""

from pathlib import Path
from typing import Any, ClassVar

import pytest
from lightning.pytorch import Callback

from ir_lightning.errors import UsageError
from ir_lightning.launch.run import run
from tests.conftest import SMALL, Compose


@pytest.mark.parametrize("precision", ["16-mixed", "16"])
def test_16_mixed_without_a_gpu_is_refused_instead_of_replaced(
    precision: str, composed: Compose
) -> None:
    config = composed(*SMALL, "trainer.accelerator=cpu", f"trainer.precision={precision}")
    with pytest.raises(UsageError, match=r"16-mixed needs a GPU.*bf16-mixed or 32-true"):
        run(config, [])


def test_what_lightning_refuses_is_said_in_words(composed: Compose) -> None:
    own = "+callbacks.mine._target_=lightning.pytorch.callbacks.ModelCheckpoint"
    with pytest.raises(UsageError, match=r"trainer or callbacks: .*ModelCheckpoint"):
        run(composed(*SMALL, own), [])


class Places(Callback):
    """Notes which batches a training says that it is at, of how many."""

    seen: ClassVar[list[tuple[int, int]]] = []

    def on_train_batch_end(self, trainer: Any, module: Any, out: Any, batch: Any, i: int) -> None:
        self.seen.append((i, trainer.num_training_batches))
        assert module.iteration == i + 1
        if i == 2 and len(self.seen) == 3:
            raise RuntimeError("power cut")


def test_callbacks_see_a_resumed_training_as_the_one_it_is(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Places, "seen", [])
    config = composed(
        *SMALL,
        "depth=1",
        "budget.iterations=5",
        f"+callbacks.mine._target_={__name__}.Places",
        f"run_dir={tmp_path}/run",
    )
    with pytest.raises(RuntimeError, match="power cut"):
        run(config, [])
    run(config, [])
    assert Places.seen == [(i, 5) for i in (0, 1, 2, 2, 3, 4)]
