"""SE-Var-3, another name of `ese`, whose case runs the battery with options."""

from __future__ import annotations

from dataclasses import replace

from tests.mechanisms.cases.ese import CASE as ESE

CASE = replace(ESE, options=())
