"""Models of other libraries as backbones: what may be named, what each library says of it, and how it is made.

A spec names a model of a library's own registry; nothing here connects, reads weights, or runs code that nobody
allowed.
"""

from composer.sources.ask import check_name, num_classes, own_inputs
from composer.sources.calls import example
from composer.sources.check import arguments_of, problems, shape_problems, var_problem
from composer.sources.identity import check_lock, identity
from composer.sources.make import make
from composer.sources.recorded import recorded, recorded_so_far

__all__ = [
    "arguments_of",
    "check_lock",
    "check_name",
    "example",
    "identity",
    "make",
    "num_classes",
    "own_inputs",
    "problems",
    "recorded",
    "recorded_so_far",
    "shape_problems",
    "var_problem",
]
