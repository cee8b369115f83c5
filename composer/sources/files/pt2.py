"""Reads a file of `torch.export.save`: the JSON inside the archive. No weight is read or unpickled."""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from composer.sources.files.graph import FileGraph, FileProblem, Owned, Ref, Step, Value, checked, words

MAX_JSON = 200_000_000
# Major versions of the schema that this can read: torch 2.5 to 2.14 and later ones that keep it.
VERSIONS = (6, 7, 8)
_OLD = "serialized_exported_program.json"
_DTYPES = {
    **{1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64, 6: torch.float16},
    **{7: torch.float32, 8: torch.float64, 9: torch.complex32, 10: torch.complex64, 11: torch.complex128},
    **{12: torch.bool, 13: torch.bfloat16, 28: torch.uint16, 29: torch.float8_e4m3fn, 30: torch.float8_e5m2},
}
# Functions that only move, compare or choose numbers.
_FREE = words(
    """
    max_pool2d_with_indices grid_sampler argmax argmin topk sort scatter index_put eq ne lt gt le ge logical_not
    logical_and logical_or bitwise_not bitwise_and bitwise_or masked_fill tril triu cumsum sign round ceil remainder
    upsample_nearest1d upsample_nearest3d upsample_trilinear3d nonzero one_hot max min any all isnan type_as
    lift_fresh_copy
    """
)
_TARGET = re.compile(r"torch\.ops\.aten\.(\w+)\.(\w+)")


def read_pt2(path: Path) -> FileGraph:
    """The graph of a `.pt2` file. Raises FileProblem."""
    program = _json_of(path)
    try:
        return checked(_graph(program))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        text = f"its JSON is not that of an exported program ({type(error).__name__}: {error})"
        raise FileProblem(f"{text}: write it again with torch.export.save") from error


def _json_of(path: Path) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [one for one in archive.namelist() if one.endswith("/models/model.json") or one == _OLD]
            others = [one for one in archive.namelist() if "/models/" in one and one.endswith(".json")]
            if not names:
                names = others[:1]
            if not names:
                text = "the archive holds no models/model.json, so it was not written by torch.export.save"
                raise FileProblem(text)
            info = archive.getinfo(names[0])
            with archive.open(info) as stream:
                content = stream.read(MAX_JSON + 1)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, zlib.error) as error:
        raise FileProblem(f"it is no whole zip archive ({error}): it may have been cut off; write it again") from error
    if len(content) > MAX_JSON:
        raise FileProblem(f"its graph is more than {MAX_JSON // 1_000_000} MB of JSON, which no network needs")
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise FileProblem(f"its graph is no JSON ({error}): write it again with torch.export.save") from error


def _graph(program: Any) -> FileGraph:
    version = program["schema_version"]
    major = version["major"] if isinstance(version, dict) else version
    if major not in VERSIONS:
        written = f", written by torch {program['torch_version']}" if program.get("torch_version") else ""
        known = f"{VERSIONS[0]} to {VERSIONS[-1]}"
        raise FileProblem(f"it has version {major} of the format{written}; this composer reads versions {known}")
    module = program["graph_module"]
    graph, signature = module["graph"], module["signature"]
    ints = {name: _hint(one) for name, one in (graph.get("sym_int_values") or {}).items()}
    values = {name: _value(name, one) for name, one in graph["tensor_values"].items()}
    inputs, owned = [], {}
    for one in signature["input_specs"]:
        (kind, given), *_ = one.items()
        if kind == "user_input":
            if name := _tensor_name(given["arg"]):
                inputs.append(name)
        elif kind in ("parameter", "buffer", "tensor_constant"):
            path = given.get("parameter_name") or given.get("buffer_name") or given["tensor_constant_name"]
            owned[given["arg"]["name"]] = Owned(path, kind == "parameter")
    outputs = [
        name
        for one in signature["output_specs"]
        if "user_output" in one and (name := _tensor_name(one["user_output"]["arg"]))
    ]
    steps = [step for node in graph["nodes"] if (step := _step(node, ints)) is not None]
    root = next((stack[0][1] for stack in map(_modules, graph["nodes"]) if stack and not stack[0][0]), "")
    for step in steps:
        for name in step.outputs:
            if name is not None and name not in values:
                raise FileProblem(f"the shape of `{name}`, which `{step.name}` gives, is not in the file")
    return FileGraph(root, "torch", tuple(inputs), tuple(outputs), values, owned, tuple(steps))


def _tensor_name(arg: Mapping[str, Any]) -> str | None:
    return arg["as_tensor"]["name"] if "as_tensor" in arg else None


def _hint(value: Any) -> int | None:
    """A length: a number, or the one with which a symbol was traced; None without any."""
    if "as_int" in value:
        return int(value["as_int"])
    hint = value.get("as_expr", {}).get("hint") or {}
    return int(hint["as_int"]) if hint.get("as_int") is not None else None


def _value(name: str, meta: Any) -> Value:
    sizes = [_hint(one) for one in meta["sizes"]]
    if any(one is None or one < 0 for one in sizes):
        raise FileProblem(f"`{name}` has a length that is only a symbol: export it again with example inputs")
    dtype = _DTYPES.get(meta["dtype"])
    if dtype is None:
        raise FileProblem(f"`{name}` has a type of numbers that is not known ({meta['dtype']})")
    return Value(tuple(one for one in sizes if one is not None), dtype)


def _step(node: Any, ints: Mapping[str, int | None]) -> Step | None:
    outputs = list(_outputs(node["outputs"]))
    if not any(outputs):
        # What gives no tensor checks something, or computes a length, which the file has where it is used.
        return None
    target = node["target"]
    found = _TARGET.fullmatch(target)
    op, overload = (found[1], found[2]) if found else (target.rpartition("::")[2].split(".")[-2:][0], "")
    op = op if op.startswith("_") else op.removesuffix("_")
    args, kwargs = [], {}
    for one in node["inputs"]:
        value = _argument(one["arg"], ints)
        if one.get("kind", 1) == 2:
            if one["name"] not in ("layout", "pin_memory", "memory_format"):
                kwargs[one["name"]] = value
        elif kwargs:
            kwargs[one["name"]] = value
        else:
            args.append(value)
    name = node.get("name") or next(one for one in outputs if one)
    return Step(name, op, overload, tuple(args), kwargs, tuple(outputs), _stack(node), costs=op not in _FREE)


def _outputs(given: Any) -> Iterator[str | None]:
    for one in given:
        if "as_tensor" in one:
            yield one["as_tensor"]["name"]
        elif "as_tensors" in one:
            yield from (each["name"] for each in one["as_tensors"])
        else:
            yield None


def _argument(arg: Any, ints: Mapping[str, int | None]) -> Any:
    (kind, value), *_ = arg.items()
    if kind == "as_tensor":
        return Ref(value["name"])
    if kind == "as_tensors":
        return [Ref(one["name"]) for one in value]
    if kind == "as_optional_tensors":
        return [Ref(one["as_tensor"]["name"]) if "as_tensor" in one else None for one in value]
    if kind == "as_sym_int":
        return _sym_int(value, ints)
    if kind == "as_sym_ints":
        return [_sym_int(one, ints) for one in value]
    if kind in ("as_int", "as_ints", "as_float", "as_floats", "as_bool", "as_bools", "as_string", "as_strings"):
        return value
    if kind == "as_scalar_type":
        return _DTYPES.get(value)
    return torch.device("meta") if kind == "as_device" else None


def _sym_int(value: Any, ints: Mapping[str, int | None]) -> int | None:
    return int(value["as_int"]) if "as_int" in value else ints.get(value["as_name"])


def _stack(node: Any) -> tuple[tuple[str, str, str], ...]:
    """The modules around a call, without the whole network."""
    return tuple(one for one in _modules(node) if one[0])


def _modules(node: Any) -> tuple[tuple[str, str, str], ...]:
    """The modules around a call, from `key,path,class;key,path,class;…`. The key tells the calls of one apart."""
    found = []
    for one in (node.get("metadata") or {}).get("nn_module_stack", "").split(";"):
        key, _, rest = one.partition(",")
        path, _, made = rest.rpartition(",")
        if made:
            path = re.sub(r"\[(\d+)\]", r".\1", path.replace("L['self']", "").lstrip("."))
            found.append((path, made, key))
    return tuple(found)
