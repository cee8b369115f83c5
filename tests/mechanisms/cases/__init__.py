"""What the tests over every mechanism are told of each: a file for each mechanism."""

import importlib
import pkgutil

from composer import registry
from tests.mechanisms.case import Case

ENTRIES = [entry for entry in registry.entries("mechanism") if entry.plugin.name == "composer"]
CASES: dict[str, Case] = {
    file.name: importlib.import_module(f"{__name__}.{file.name}").CASE for file in pkgutil.iter_modules(__path__)
}


def case_of(name: str) -> Case:
    """The case of a mechanism; one that has no file yet is run with its defaults, and test_cases.py names the file."""
    return CASES.get(name, Case(starts=[], values=[]))
