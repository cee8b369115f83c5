"""Any bytes give a Spec or a SpecError, in little time."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from clock import cpu_time
from hypothesis import given, settings
from hypothesis import strategies as st

from composer.errors import SpecError
from composer.spec import zoo
from composer.spec.load import load_spec
from composer.spec.spec import Spec
from composer.spec.yaml import MAX_BYTES, Source, read

NET = """\
input: [3, 32, 32]
vars: {width: 8, twice: "${width * 2}"}
blocks:
  unit: {args: {planes: }, nodes: {act: relu}}
nodes:
  conv: {op: conv2d, out_channels: $width, kernel_size: 3}
  one: {block: unit, args: {planes: $twice}}
outputs: {logits: one}
attention:
  - {use: se, after: conv}
"""


def fill(unit: str, head: str = "", limit: int = MAX_BYTES) -> str:
    """As many lines as a file may have, `#` being their number."""
    count = min(limit, (MAX_BYTES - len(head)) // (len(unit) + 4 * unit.count("#")))
    return head + "".join(unit.replace("#", str(number)) for number in range(count))


# A harmless file of the same size, for PyYAML alone.
PLAIN = fill(" n#: 3\n")


@cache
def time_of_plain() -> float:
    return cpu_time(lambda: yaml.compose(PLAIN, Loader=yaml.CSafeLoader))


HEAD = "input: [3, 8, 8]\n"
HOSTILE = {
    "brackets": "[" * MAX_BYTES,
    "questions": "? " * (MAX_BYTES // 2),
    "values": "[" + "1," * (MAX_BYTES // 2 - 1) + "]",
    "one long word": "a: " + "x" * (MAX_BYTES - 3),
    "unclosed expressions": f"{HEAD}nodes: {{a: {{op: '" + "${" * 500_000 + "'}}",
    "nodes that are none": fill(" n#: 3\n", f"{HEAD}nodes:\n"),
    "nodes from nowhere": fill(" n#: {op: a, from: m#}\n", f"{HEAD}nodes:\n", 38_000),
    "names that are not known": fill(" n#: {op: $m#}\n", f"{HEAD}nodes:\n"),
    "outputs of nowhere": fill(
        " o#: n#\n", f"{HEAD}nodes: {{{', '.join(f'a{n}: b' for n in range(20_000))}}}\noutputs:\n"
    ),
    "a circle of blocks": f"{HEAD}nodes: {{a: b}}\nblocks:\n"
    + "".join(f" b{n}: {{nodes: {{a: {{block: b{(n + 1) % 18_000}}}}}}}\n" for n in range(18_000)),
    "vars that are not known": fill(" v#: 1\n", "backbone: resnet50\nvars:\n"),
    "vars that fail": fill(" v#: $w#\n", f"{HEAD}nodes: {{a: b}}\nvars:\n"),
    "lists that double": f"{HEAD}nodes: {{a: b}}\nvars:\n v0: [1]\n"
    + "".join(f" v{n + 1}: [$v{n}, $v{n}]\n" for n in range(38_000)),
    "lists that nest": f"{HEAD}nodes: {{a: b}}\nvars:\n v0: [1]\n"
    + "".join(f" v{n + 1}: [$v{n}]\n" for n in range(9_000)),
    "one large list": fill(" v#: '${[v]}'\n", f"{HEAD}nodes: {{a: b}}\nvars:\n v: [{'1, ' * 9_000}]\n"),
    "strings that double": f"{HEAD}nodes: {{a: b}}\nvars:\n v0: ab\n"
    + "".join(f" v{n + 1}: $v{n}$v{n}\n" for n in range(38_000)),
    "names that are alike": fill(" n#: {op: a, from: " + "ba" * 20 + "#}\n", f"{HEAD}nodes:\n"),
    "a long key": fill("k" * 1000 + "#: 1\n"),
    "minus": f"{HEAD}nodes: {{a: {{op: '${{{'-' * 990}x}}'}}}}",
    "parentheses": f"{HEAD}nodes: {{a: {{op: '${{{'(' * 490}1}}'}}}}",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_are_answered_in_little_time(tmp_path: Path, case: str) -> None:
    assert len(HOSTILE[case]) <= MAX_BYTES
    path = tmp_path / "net.yaml"
    path.write_text(HOSTILE[case], encoding="utf-8")
    found: list[SpecError] = []

    def refused() -> None:
        with pytest.raises(SpecError) as caught:
            load_spec(path)
        found.append(caught.value)

    # Anything quadratic takes hundreds of times as long; the slowest of these takes about twice as long.
    assert cpu_time(refused) < 8 * time_of_plain()
    assert len(str(found[0])) < 50_000


TEXTS = {path.stem: path.read_text() for path in sorted((zoo.folder() / "backbones").glob("*.yaml"))}
TOKEN = re.compile(r"\s+|\w+|.", re.DOTALL)
STRANGE = [
    *("{", "}", "[", "]", ":", ",", "-", "? ", "*a", "&a ", "!", "|", ">", "'", '"', "#", "%", "@", "`", "\\", "\t"),
    *("\n", "\r", "\n  ", "---\n", "<<: ", "$", "${", "${-", "$$", "~", "null", "true", "on", ".inf", "1e999"),
    *("9" * 70, "-1", "0", "1.5", "\0", "\x85", "\ufeff", "\u2028", "🙂", "input", "nodes", "backbone: ", "net.yaml"),
]


def mutate(text: str, random: Random, strange: list[str]) -> str:
    tokens = TOKEN.findall(text)
    for _ in range(random.randint(1, 4)):
        place = random.randrange(len(tokens))
        match random.randrange(5):
            case 0:
                del tokens[place : place + random.randint(1, 6)]
            case 1:
                tokens.insert(place, tokens[random.randrange(len(tokens))])
            case 2:
                tokens[place] = tokens[random.randrange(len(tokens))]
            case 3:
                tokens[place] = random.choice(strange)
            case _:
                tokens.insert(place, random.choice(strange))
    return "".join(tokens)


def answer(source: Any) -> Spec | SpecError:
    try:
        return load_spec(source)
    except SpecError as error:
        return error


def check_answer(source: Any) -> None:
    """A Spec that can be written down and read again, or a SpecError that can be told."""
    found = answer(source)
    if isinstance(found, Spec):
        again = load_spec(found.to_mapping())
        assert (again.vars, again.nodes, again.blocks) == (found.vars, found.nodes, found.blocks)
        return
    assert str(found).encode("utf-8")
    for place in filter(None, (problem.location for problem in found.diagnostics)):
        assert 1 <= place.column <= len(place.source.line(place.line)) + 1
        assert place.end_column > place.column


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.sampled_from(sorted(TEXTS)), st.randoms(use_true_random=False))
def test_any_text_gives_a_spec_or_a_spec_error(
    tmp_path_factory: pytest.TempPathFactory, name: str, random: Any
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_bytes(mutate(TEXTS[name], random, STRANGE).encode("utf-8"))
    check_answer(path)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.sampled_from(sorted(TEXTS)), st.binary(min_size=1, max_size=6), st.floats(0, 1), st.integers(0, 30))
def test_any_bytes_give_a_spec_or_a_spec_error(
    tmp_path_factory: pytest.TempPathFactory, name: str, bytes: bytes, where: float, length: int
) -> None:
    path, data = tmp_path_factory.getbasetemp() / "fuzz.yaml", TEXTS[name].encode()
    place = int(where * len(data))
    path.write_bytes(data[:place] + bytes + data[place + length :])
    check_answer(path)


KEYS = ["op", "block", "from", "repeat", "args", "nodes", "shape", "use", "after", "where", "with"]
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from(STRANGE)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(st.text(max_size=3), st.sampled_from(KEYS)),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=8,
)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.sampled_from(["vars", "blocks", "nodes", "attention", "input", "inputs", "outputs", "classes", "name"]), JSON)
def test_any_values_give_a_spec_or_a_spec_error(key: str, value: Any) -> None:
    found = answer({**read(Source("net.yaml", NET)).plain(), key: value})
    assert found.to_mapping() if isinstance(found, Spec) else str(found).encode("utf-8")
