"""The control policy layer: protocols, monitors, the live driver and the measures."""
