"""What the tests over every mechanism are told of each: a file for each mechanism."""

import importlib
import pkgutil

from tests.mechanisms.case import Case

CASES: dict[str, Case] = {
    file.name: importlib.import_module(f"{__name__}.{file.name}").CASE for file in pkgutil.iter_modules(__path__)
}
