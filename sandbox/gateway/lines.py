"""Protocols of command lines and numbered replies, such as SMTP and FTP: what they share."""

from dataclasses import dataclass

LONGEST = 4096
"""Bytes a command line may have."""
COMMANDS = 2000
"""Commands a connection may have: each is an event, and a flood of events is no use to anyone."""


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        verb: Its first word, in upper case.
        argument: The rest of the line.
    """

    verb: str
    argument: str


@dataclass(frozen=True)
class Said:
    """What to do after some bytes came in.

    Attributes:
        send: Bytes to send, possibly none.
        commands: The commands that ended.
        close: Whether the connection ends after `send`.
        start_tls: Whether TLS begins after `send`.
        error: Why the bytes were not commands, if they were not.
    """

    send: bytes = b""
    commands: tuple[Command, ...] = ()
    close: bool = False
    start_tls: bool = False
    error: str | None = None


def command(line: bytes) -> Command:
    """A line as a command; any bytes will do."""
    verb, _, argument = line.strip().decode("latin-1").partition(" ")
    return Command(verb.upper(), argument.strip())
