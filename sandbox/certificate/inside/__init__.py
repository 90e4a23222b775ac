"""The probes that run inside the agent's box, standard library only, one module per group.

They are never imported there: the harness sends their source over standard input (see `sources`),
so that nothing has to be installed in a box and nothing is left behind in one. Every module that
holds probes has a table `PROBES`: the probe's name, with its group before the dot, and a function
that takes the `Setup` and returns an `Outcome`. A probe tries the thing itself wherever trying is
harmless, even where it should turn out to be allowed.
"""
