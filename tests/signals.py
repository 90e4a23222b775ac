"""Signals of processes that tests start."""

import signal


def interruptible() -> None:
    """For `preexec_fn`: take SIGINT as a terminal would send it.

    Whoever runs the tests in the background of a shell has it ignored, and children inherit that.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
