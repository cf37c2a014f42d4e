"""Tells a run's losses to trackers that people already use, and reads nothing back from them."""
