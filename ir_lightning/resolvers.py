"""The words that configuration files may use in ``${...}`` beside Hydra's own."""

from omegaconf import OmegaConf

from ir_lightning.networks.geometry import smallest_crop


def register() -> None:
    """Teach them to OmegaConf; needed once before a configuration is read."""
    OmegaConf.register_new_resolver(
        "smallest_crop",
        lambda depth, at_least: max(smallest_crop(depth), at_least),
        replace=True,
    )
