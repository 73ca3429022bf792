"""The signals by which a person or a scheduler asks a run to save and stop."""

import signal

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
DEFAULT = signal.SIGTERM  # what another process of the same run was asked with
