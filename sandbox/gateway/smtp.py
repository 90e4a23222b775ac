"""SMTP as a server speaks it, with no I/O in it; every mail is accepted."""

import random

from sandbox.gateway.lines import COMMANDS, LONGEST, Command, Said, command

MAIL_HOST = "mx1.mail.example.net"
"""What a mail server calls itself where nobody has called it by a name."""
_QUEUE_IDS = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"
_EXTENSIONS = ("PIPELINING", "SIZE 52428800", "8BITMIME", "SMTPUTF8")
_END = b"\r\n.\r\n"
_REPLIES = {
    "MAIL": "250 2.1.0 Ok",
    "RCPT": "250 2.1.5 Ok",
    "RSET": "250 2.0.0 Ok",
    "NOOP": "250 2.0.0 Ok",
    "VRFY": "252 2.0.0 Cannot verify, but will accept",
    "HELP": "214 2.0.0 See RFC 5321",
    "DATA": "354 End data with <CR><LF>.<CR><LF>",
    "STARTTLS": "220 2.0.0 Ready to start TLS",
    "QUIT": "221 2.0.0 Bye",
}


class Smtp:
    """One SMTP connection."""

    waiting = False
    """Nothing here ever waits for anything but the client."""

    def __init__(self, secure: bool = False, name: str = MAIL_HOST) -> None:
        """Starts a connection to `name`; one that is `secure` is not offered STARTTLS."""
        self._name = name
        self._secure = secure
        self._buffer = b""
        self._mail: bytes | None = None  # the last bytes of the mail under way
        self._size = 0
        self._asked = 0  # answers that AUTH still waits for
        self._count = 0
        self._closed = False

    def greet(self) -> bytes:
        """What the server says first."""
        return f"220 {self._name} ESMTP Postfix\r\n".encode("ascii", "replace")

    def poll(self) -> bytes:
        """What is to be sent although the client has said nothing: nothing."""
        return b""

    def receive(self, data: bytes) -> Said:
        """Takes the client's next bytes; after the close they are ignored."""
        if self._closed:
            return Said()
        self._buffer += data
        send = bytearray()
        commands: list[Command] = []
        start_tls, error = False, None
        while not self._closed and not start_tls:
            if self._mail is not None:
                if not self._take_mail(send, commands):
                    break
                continue
            line, found, rest = self._buffer.partition(b"\n")
            if not found or len(line) > LONGEST:
                if len(line) > LONGEST:
                    error, self._closed = "a line that is too long", True
                    send += b"500 5.5.2 Line too long\r\n"
                break
            self._buffer = rest
            send += self._reply(command(line), commands)
            start_tls = bool(commands) and commands[-1].verb == "STARTTLS" and not self._secure
        return Said(bytes(send), tuple(commands), self._closed, start_tls, error)

    def _take_mail(self, send: bytearray, commands: list[Command]) -> bool:
        """Takes what there is of a mail; returns whether it ended."""
        assert self._mail is not None
        seen = self._mail + self._buffer
        at = seen.find(_END)
        if at < 0:
            self._size += len(self._buffer)
            self._mail, self._buffer = seen[-len(_END) + 1 :], b""
            return False
        self._size += at + len(_END) - len(self._mail)
        self._buffer = seen[at + len(_END) :]
        self._mail = None
        commands.append(Command("MAIL-END", str(max(0, self._size - 3))))
        number = "4" + "".join(random.choices(_QUEUE_IDS, k=14))  # as Postfix makes them
        send += f"250 2.0.0 Ok: queued as {number}\r\n".encode()
        return True

    def _reply(self, one: Command, commands: list[Command]) -> bytes:
        self._count += 1
        if self._count > COMMANDS:
            self._closed = True
            return b"421 4.7.0 Too many commands\r\n"
        if self._asked:
            self._asked -= 1
            commands.append(Command("AUTH-ANSWER", f"{one.verb} {one.argument}".strip()))
            return b"334 UGFzc3dvcmQ6\r\n" if self._asked else b"235 2.7.0 Ok\r\n"
        commands.append(one)
        match one.verb:
            case "EHLO":
                offers = _EXTENSIONS if self._secure else (*_EXTENSIONS, "STARTTLS")
                lines = [self._name, *offers, "AUTH PLAIN LOGIN"]
                return "".join(
                    f"250{'-' if line is not lines[-1] else ' '}{line}\r\n" for line in lines
                ).encode("ascii", "replace")
            case "HELO":
                return f"250 {self._name}\r\n".encode("ascii", "replace")
            case "AUTH":
                return self._authenticate(one.argument.split())
            case "DATA":
                # A mail without a line ends right after DATA's own line end.
                self._mail, self._size = b"\r\n", 0
            case "QUIT":
                self._closed = True
            case "STARTTLS" if self._secure:
                return b"503 5.5.1 TLS already active\r\n"
        return (_REPLIES.get(one.verb, "502 5.5.2 Command not recognized") + "\r\n").encode()

    def _authenticate(self, words: list[str]) -> bytes:
        login = bool(words) and words[0].upper() == "LOGIN"
        self._asked = max(0, (2 if login else 1) - len(words[1:2]))
        if not self._asked:
            return b"235 2.7.0 Authentication successful\r\n"
        if self._asked == 2:
            return b"334 VXNlcm5hbWU6\r\n"
        return b"334 UGFzc3dvcmQ6\r\n" if login else b"334 \r\n"
