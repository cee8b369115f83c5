"""What the tests over every mechanism are told of each: a file for each mechanism."""

import importlib
import pkgutil

import pytest

from composer import registry
from tests.mechanisms.case import Case

ENTRIES = [entry for entry in registry.entries("mechanism") if entry.plugin.name == "composer"]
CASES: dict[str, Case] = {
    file.name: importlib.import_module(f"{__name__}.{file.name}").CASE for file in pkgutil.iter_modules(__path__)
}


# What takes a second runs with these in every suite, one of each kind and a few more; with the others by `-m slow`.
ALWAYS = {"attention_gate", "bot", "cbam", "dynconv", "gc", "ge", "mhsa", "sk", "window"}


def marks(name: str) -> list[pytest.MarkDecorator]:
    """The marks of a test with a mechanism that takes a second."""
    return [] if name in ALWAYS else [pytest.mark.slow]


SAMPLED = [pytest.param(entry, id=entry.name, marks=marks(entry.name)) for entry in ENTRIES]


def case_of(name: str) -> Case:
    """The case of a mechanism; one that has no file yet is run with its defaults, and test_cases.py names the file."""
    return CASES.get(name, Case(starts=[], values=[]))
