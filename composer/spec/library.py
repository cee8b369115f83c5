"""A file of blocks that several specs share, as a value: a plugin in YAML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from composer.errors import MAX_FOUND, Diagnostic, SpecError
from composer.spec.check import check_blocks
from composer.spec.form import check_block, check_vars
from composer.spec.model import NODE_KEYS, BlockSpec, SpecFile
from composer.spec.origin import Origin
from composer.spec.references import LoadedFile, read_file
from composer.spec.settle import settle_vars
from composer.spec.spec import Spec
from composer.spec.structure import inspect

_KEYS = ("name", "description", "vars", "blocks")


def read_library(path: Path) -> Spec:
    """The blocks of a file, and the vars that these read, as a Spec without nodes. Raises SpecError."""
    document = read_file(path)
    content, problems = inspect(document, check_library)
    SpecError.check(problems)
    assert content is not None, "what has no problems has a model"
    file = LoadedFile(content, Origin(document), path, path.parent)
    vars = settle_vars((file,), ())
    blocks = {name: block for name, block in content.blocks.items() if isinstance(block, BlockSpec)}
    spec = Spec(
        name=content.name or path.stem,
        inputs={},
        input_origins={},
        vars=vars.values,
        kinds=vars.kinds,
        var_origins=vars.origins,
        nodes={},
        node_origins={},
        blocks=blocks,
        block_origins={name: file.origin / "blocks" / name for name in blocks},
        outputs=None,
        rules=(),
        classes=None,
        files=(file,),
    )
    SpecError.check([*vars.problems, *islice(check_blocks(spec), MAX_FOUND)])
    return spec


def check_library(file: SpecFile, origin: Origin) -> Iterator[Diagnostic]:
    """The problems of a file of blocks that can be found without its references."""
    for key in sorted(file.model_fields_set - set(_KEYS)):
        help = ("`composer build` and others take a file that makes a network; a plugin is what such files share",)
        text = f"a plugin has blocks and no `{key}`"
        yield (origin / key).problem("plugin", text, "remove it, or give the file as the spec", help, key=True)
    if not file.blocks:
        yield origin.problem("empty", "a plugin without `blocks` brings nothing", "`blocks: {lka: {nodes: …}}`")
    yield from check_vars(file, origin / "vars")
    for name, block in file.blocks.items():
        here = origin / "blocks" / name
        yield from check_block(name, block, here)
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            label = "lower-case letters, digits and `_`"
            yield here.problem("name", f"`{name}` cannot name what a plugin registers", label, key=True)
        if not isinstance(block, BlockSpec):
            text = f"`{name}` is a network, and a plugin has blocks of operations"
            yield here.problem("plugin", text, "a block with `nodes`", key=True)
            continue
        for arg in block.args:
            if arg in NODE_KEYS:
                text = f"argument `{arg}` of `{name}` is a word of the spec language"
                yield (here / "args" / arg).problem("name", text, "another name", key=True)
