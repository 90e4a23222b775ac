"""Protocols whose libraries may be missing: without them they are recorded as they come."""

import importlib.util

from sandbox.gateway.outside import Outside
from sandbox.gateway.talk import Talk
from sandbox.gateway.tape import Tape
from sandbox.gateway.web import Site


def http2(tape: Tape, site: Site) -> Talk:
    """HTTP/2, if h2 is installed."""
    if importlib.util.find_spec("h2") is None:
        return Talk()
    from sandbox.gateway.http2 import Http2Talk

    return Http2Talk(tape, site)


def ssh(tape: Tape, outside: Outside) -> Talk:
    """SSH, if Twisted is installed."""
    if importlib.util.find_spec("twisted") is None:
        return Talk()
    from sandbox.gateway.ssh import SshTalk

    return SshTalk(tape, outside.shelf)
