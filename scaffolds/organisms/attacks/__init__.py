"""Scripted attacks on any setting that has what they need, by name.

Importing this package registers every `Behaviour` of every file in it. They are test signals for
monitors and for the evidence: plain commands without any trick that a reader could not find in a
manual, so that what a monitor misses is the monitor's doing.
"""

from scaffolds.organisms.discovery import behaviours_in

ATTACKS = behaviours_in(__name__, __path__)
"""By name, sorted."""
