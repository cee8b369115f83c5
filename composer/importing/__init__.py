"""Descriptions of networks that other tools write -> specs. `sources` finds the reader of a source."""

from __future__ import annotations
