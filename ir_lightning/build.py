"""From configuration to objects, with the user's mistakes said in words."""

from collections.abc import Mapping
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate

from ir_lightning.errors import DataError, UsageError


def build(node: Mapping[str, Any], key: str) -> Any:
    """Instantiate the ``_target_`` of a node, and those inside it.

    Args:
        node: plain, resolved configuration.
        key: where the node stands in the configuration, for messages.

    Raises:
        UsageError, DataError: as raised by a constructor, freed from Hydra's wrapping.
        UsageError: when a target does not exist or refuses its arguments.
    """
    try:
        return instantiate(node, _convert_="all")
    except InstantiationException as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, UsageError | DataError):
                raise cause from None
            cause = cause.__cause__
        reason = error.__cause__ or error
        if isinstance(reason, TypeError | ValueError | ImportError | InstantiationException):
            raise UsageError(f"{key} cannot be built: {str(reason).splitlines()[0]}") from error
        raise
