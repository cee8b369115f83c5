"""Scans: one mechanism at each place of a network by itself, then together, by what places cost and gain."""
