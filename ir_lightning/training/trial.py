"""The rest of the preflight: what cannot be built without lightning, before a run is begun."""

from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException

from ir_lightning.build import build, refusals
from ir_lightning.errors import UsageError
from ir_lightning.networks.meta import on_meta
from ir_lightning.training.loop import new_trainer, quiet


def refuse_unbuildable(config: dict[str, Any], here: bool = True) -> None:
    """Build the system, the callbacks and the trainer of a run, without weights.

    Args:
        config: plain, resolved configuration that has passed the preflight.
        here: the run will be trained on this machine, so that its devices count.

    Raises:
        UsageError: names the key and the value that is refused.
    """
    quiet()
    try:
        # The preflight has built the evaluation: its metrics try a score, which takes data.
        plain_evaluation = {"_target_": "ir_lightning.systems.Evaluation", "protocols": ["rgb8"]}
        with on_meta():
            build({**config["system"], "evaluation": plain_evaluation}, "system")
    except UsageError:
        raise
    except Exception:
        pass  # a part that cannot be built without data is left to the training
    try:
        if here:
            with refusals("trainer", config["trainer"]):
                new_trainer(config, [])
        else:
            build(config["callbacks"], "callbacks")
    except MisconfigurationException as error:
        raise UsageError(f"trainer: {' '.join(str(error).split())}") from None
