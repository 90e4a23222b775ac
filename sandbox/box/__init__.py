"""One sealed box on this machine, without a daemon and without root.

`launch.py` builds the namespaces, `supervisor.py` is PID 1 inside, `seccomp.py` the system-call
filter, and `box.py` the handle that the harness holds.
"""
