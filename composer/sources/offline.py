"""Keeps a model's factory from connecting: what a library fetches without being asked fails, and is named."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from functools import cache
from typing import Any

_EVENTS = {"socket.connect", "socket.getaddrinfo", "socket.sendto"}
_offline: ContextVar[bool] = ContextVar("offline", default=False)


class Connects(RuntimeError):
    """A factory tried to connect."""


@contextlib.contextmanager
def offline() -> Iterator[None]:
    """In this context, connecting to the network raises Connects."""
    _listen()
    token = _offline.set(True)
    try:
        yield
    finally:
        _offline.reset(token)


@cache
def _listen() -> None:
    # A hook for audits cannot be removed again, so it looks whether it is wanted.
    sys.addaudithook(_refuse)


def _refuse(event: str, args: tuple[Any, ...]) -> None:
    if event in _EVENTS and _offline.get():
        raise Connects("it tried to connect to the network, which a spec never does")
