"""Recordings of modules of other libraries, written as specs."""
