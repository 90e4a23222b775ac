"""What is wrong with a log, or with what a measure was asked."""


class LogError(ValueError):
    """A log whose samples cannot be measured; one line that says why."""
