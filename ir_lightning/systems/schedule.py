"""Learning-rate schedules: pure functions of progress, so a checkpoint has nothing to store."""


class ConstantThenLinear:
    """pix2pix's schedule: the full rate, then a straight line down to zero.

    Args:
        constant: share of the run at the full rate, in [0, 1].

    Raises:
        ValueError: if ``constant`` is outside [0, 1].
    """

    def __init__(self, constant: float = 0.5) -> None:
        if not 0.0 <= constant <= 1.0:
            raise ValueError(f"schedule.constant={constant} is a share: it must lie in [0, 1].")
        self.constant = constant

    def __call__(self, progress: float) -> float:
        """Factor on the learning rate at ``progress`` = iteration / iterations, in [0, 1)."""
        if progress < self.constant:
            return 1.0
        return (1.0 - progress) / (1.0 - self.constant)
