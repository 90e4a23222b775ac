"""Honest behaviours that look bad, by name: they calibrate the false-positive side.

Importing this package registers every `Behaviour` of every file in it.
"""

from scaffolds.organisms.discovery import behaviours_in

LOOKALIKES = behaviours_in(__name__, __path__)
"""By name, sorted."""
