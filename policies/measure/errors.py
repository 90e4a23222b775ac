"""What is wrong with a log or a sample."""


class LogError(ValueError):
    """A log whose samples cannot be measured; one line that says why."""


_LONGEST = 200  # characters of another program's error


def ended_in(error: str) -> str:
    """Why a sample that ended in an error has no result, in one line."""
    line = (error.strip() or "nobody said which").splitlines()[0]
    if line.startswith("CancelledError"):
        return "it was cancelled"
    return f"it ended in an error: {line[:_LONGEST]}"
