"""Writes a test that an ejected file computes what its spec says."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from composer.dag.composition import Composition
from composer.ejecting.fit import literal
from composer.ejecting.layout import laid_out
from composer.ejecting.naming import class_name
from composer.ejecting.words import told

_TEXT = '''\
"""Proves that `{file}` computes what `{source}` says: composer builds it, and both are compared bit for bit."""

import importlib.util
from pathlib import Path

import composer
import pytest
import torch

HERE = Path(__file__).parent
{constants}


@pytest.fixture(scope="module")
def pair():
    {plugins}composed = composer.build(composer.load_spec(SPEC{sets}), kernels="reference")
    found = importlib.util.spec_from_file_location("ejected", HERE / {relative})
    ejected = importlib.util.module_from_spec(found)
    found.loader.exec_module(ejected)
    network = ejected.{name}()
    assert list(network.state_dict()) == list(composed.state_dict())
    network.load_state_dict(composed.state_dict())
    return composed, network


def run(network, training, inputs):
    """Outputs, and gradients of parameters and inputs."""
    network.train(training)
    network.zero_grad()
    torch.manual_seed(0)
    given = [one.clone().requires_grad_() for one in inputs]
    output = network(*given)
    outputs = output if isinstance(output, dict) else {{"output": output}}
    sum(one.sin().sum() for one in outputs.values()).backward()
    return outputs, [one.grad for one in (*network.parameters(), *given)]


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_outputs_and_gradients_are_equal(pair, training):
    inputs = [torch.randn(2, *shape, generator=torch.Generator().manual_seed(1)) for shape in SHAPES]
    (outputs, gradients), (others, theirs) = (run(network, training, inputs) for network in pair)
    assert list(outputs) == list(others)
    assert all(torch.equal(one, others[name]) for name, one in outputs.items())
    for one, other in zip(gradients, theirs, strict=True):
        assert (one is None) == (other is None)
        assert one is None or torch.equal(one, other)
'''


def proof_of(
    network: Composition,
    source: str,
    output: Path,
    test: Path,
    *,
    sets: Sequence[str] = (),
    plugins: Sequence[Path] = (),
) -> str:
    """The text of a test for pytest, which needs composer.

    source   what was ejected: a path, or a name of the zoo
    output   the ejected file
    test     where the test will be
    sets     changes to the spec, as `--set` takes them
    plugins  plugin files that the spec needs
    """
    is_file = source.endswith((".yaml", ".yml")) or os.path.exists(source)
    spec = f"HERE / {literal(_relative(Path(source), test))}" if is_file else literal(source)
    shapes = ", ".join(literal(tuple(one.shape)) for one in network.spec.inputs.values())
    constants = [*laid_out(f"SPEC = {spec}", 0), *laid_out(f"SHAPES = [{shapes}]", 0)]
    loading = "".join(f"composer.registry.load_plugin(HERE / {literal(_relative(one, test))})\n    " for one in plugins)
    text = _TEXT.format(
        file=told(output.name),
        source=told(source),
        constants="\n".join(constants),
        plugins=loading,
        sets=f", sets=[{', '.join(map(literal, sets))}]" if sets else "",
        relative=literal(_relative(output, test)),
        name=class_name(network.spec.name),
    )
    return text.replace("import composer\n", "import composer\nimport composer.registry\n") if plugins else text


def _relative(path: Path, test: Path) -> str:
    return Path(os.path.relpath(path.resolve(), test.resolve().parent)).as_posix()
