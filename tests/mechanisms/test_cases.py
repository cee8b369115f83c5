"""Every mechanism has a case, and every case speaks of what there is."""

from __future__ import annotations

import pytest

from composer import contract
from tests.mechanisms.case import in_words, others
from tests.mechanisms.cases import CASES, ENTRIES, case_of

HERE = "tests/mechanisms/cases"


def test_every_mechanism_has_a_case() -> None:
    missing = [f"{HERE}/{entry.name}.py" for entry in ENTRIES if entry.name not in CASES]
    assert not missing, f"missing: {', '.join(missing)}; write `CASE = Case(…)` there, as in {HERE}/eca.py"
    strange = [f"{HERE}/{name}.py" for name in CASES.keys() - {entry.name for entry in ENTRIES}]
    assert not strange, f"no mechanism has the name of {', '.join(strange)}; rename or remove them"


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_what_a_case_must_tell(entry) -> None:
    case, file = case_of(entry.name), f"{HERE}/{entry.name}.py"
    assert case.starts, f"{file}: `starts` is empty; say by which law each parameter is drawn"
    assert case.values, f"{file}: `values` is empty; say what `attention(x)` gives"
    numbers = {key for key, field in entry.options.model_fields.items() if not others(field)}
    assert set(case.numbers) == numbers, f"{file}: `numbers` must try each of {sorted(numbers)}, and nothing else"
    known = {"", *map(in_words, case.options)}
    for words, check in case.refusals:
        assert words in known, f"{file}: `refusals` has {words!r}, which is in none of `options`: {sorted(known)}"
        assert check in contract.CHECKS, f"{file}: `refusals` has {check!r}, which is no check of the contract"
    strange = {check for _, check in case.left_out} - {"*", *contract.CHECKS}
    assert not strange, f"{file}: `left_out` has {strange}, which are no checks of the contract"
