"""Attention maps one can look at: what mechanisms compute on photographs, as findings, figures and one page."""

from __future__ import annotations

import sys
from types import ModuleType

from composer.look.plates import Finding
from composer.look.report import Look, look


class _Callable(ModuleType):
    """`composer.look` is this package as soon as anything in it is imported, and a function of the same name too."""

    __call__ = staticmethod(look)


sys.modules[__name__].__class__ = _Callable

__all__ = ["Finding", "Look", "look"]
