"""Numbers of nodes from a file, in the JSON that Google's Model Explorer calls node data.

Either `{"results": {path: {"value": 0.5}}}`, or such an object for each graph by name. A result may have its own
`bgColor` and `textColor`; `thresholds` (upper bounds, with colours) or a `gradient` (stops from 0 to 1) colour all.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from PIL import ImageColor

from composer.draw.ramp import ink_on
from composer.draw.values import Values
from composer.errors import Diagnostic, InputError, did_you_mean, one_of
from composer.paths import obstacle, reason

_FORM = '{"results": {PATH: {"value": NUMBER}}}, or {NAME: {"results": …}}'
Rgb = tuple[int, ...]


def read_node_data(path: Path, name: str, paths: Collection[str]) -> Values:
    """The numbers of a file, under the file's name.

    path   the file
    name   the network's name: of a file with several graphs, the one of this name is taken
    paths  of the nodes of the network
    A value that is null or not finite is not known. Raises InputError with every result that is of no node or has no
    number, and for a file that cannot be read.
    """
    data = _graph(path, _json(path), name)
    results: Mapping[str, Any] = data["results"]
    problems = list(_problems(path, results, paths))
    if problems:
        raise InputError(problems)
    numbers = {key: _number(one) for key, one in results.items()}
    known = [one for one in numbers.values() if one is not None]
    tones = {key: _tone(path, key, one, data, known) for key, one in results.items()}
    own = {key: tone for key, tone in tones.items() if tone is not None}
    return Values(path.stem, path.stem, path.stem, numbers, tones=own)


def _json(path: Path) -> Any:
    if problem := obstacle(path):
        raise _unreadable(path, problem)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _unreadable(path, f"cannot be read: {reason(error)}") from error
    except ValueError as error:
        raise _unreadable(path, f"is not JSON: {error}") from error


def _graph(path: Path, data: Any, name: str) -> Mapping[str, Any]:
    """The results of the network in a file."""
    if not isinstance(data, dict):
        raise _unreadable(path, "holds no results of nodes")
    graphs = {"": data} if isinstance(data.get("results"), dict) else data
    if not graphs or not all(isinstance(one, dict) and isinstance(one.get("results"), dict) for one in graphs.values()):
        raise _unreadable(path, "holds no results of nodes")
    if len(graphs) > 1 and name not in graphs:
        text = f"`{path}` holds several graphs, and none is called `{name}`"
        raise InputError(Diagnostic("node-data", text, label=one_of(graphs), help=did_you_mean(name, graphs)))
    found: Mapping[str, Any] = graphs[name] if name in graphs else next(iter(graphs.values()))
    return found


def _problems(path: Path, results: Mapping[str, Any], paths: Collection[str]) -> Iterator[Diagnostic]:
    for key, one in results.items():
        if key not in paths:
            help = did_you_mean(key, paths, "paths are those of `composer sites SPEC '**'`")
            yield Diagnostic("node", f"`{path}`: the network has no node `{key}`", help=help)
        elif not _is_number(one.get("value") if isinstance(one, dict) else one):
            shown = json.dumps(one, ensure_ascii=False)[:80]
            yield Diagnostic("node-data", f"`{path}`: `{key}` is {shown}", label='{"value": NUMBER}')


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _number(result: Any) -> float | None:
    value = result["value"] if isinstance(result, dict) else result
    return None if value is None or not math.isfinite(value) else float(value)


def _style(number: float | None, data: Mapping[str, Any], known: Collection[float]) -> Mapping[str, Any] | None:
    """The colours that a file's thresholds or gradient give a number."""
    if number is None:
        return None
    steps = data.get("thresholds") or ()
    under = [one for one in steps if isinstance(one, dict) and _is_number(one.get("value")) and number <= one["value"]]
    if under:
        return min(under, key=lambda one: float(one["value"]))
    return _between(_part(number, known), data["gradient"]) if data.get("gradient") else None


def _part(number: float, known: Collection[float]) -> float:
    least, most = min(known), max(known)
    return 1.0 if least == most else (number - least) / (most - least)


def _between(part: float, stops: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The colour at a part of a gradient, straight between its stops in sRGB."""
    ordered = sorted(stops, key=lambda one: float(one["stop"]))
    for before, after in pairwise(ordered):
        if part <= after["stop"]:
            share = (part - before["stop"]) / ((after["stop"] - before["stop"]) or 1)
            ends = [ImageColor.getrgb(one["bgColor"]) for one in (before, after)]
            mixed = (round(one + (two - one) * max(0.0, share)) for one, two in zip(*ends, strict=False))
            return {"bgColor": _hex(tuple(mixed))}
    return ordered[-1]


def _tone(
    path: Path, key: str, result: Any, data: Mapping[str, Any], known: Collection[float]
) -> tuple[str, str] | None:
    """Fill and ink of a result; None without a colour of its own. Raises InputError for what is no colour."""
    style: Any = result
    try:
        if not isinstance(result, dict) or "bgColor" not in result:
            style = _style(_number(result), data, known)
        if not style:
            return None
        fill = ImageColor.getrgb(style["bgColor"])
        ink = _hex(ImageColor.getrgb(style["textColor"])) if style.get("textColor") else ink_on(fill[:3])
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        text = f"`{path}`: the colours of `{key}` are {json.dumps(style, default=str)[:80]}"
        raise InputError(Diagnostic("node-data", text, label="bgColor: a name, #rrggbb or rgb(…)")) from error
    return _hex(fill), ink


def _hex(colour: Rgb) -> str:
    return "#" + "".join(f"{one:02x}" for one in colour[:3])


def _unreadable(path: Path, problem: str) -> InputError:
    return InputError(Diagnostic("unreadable", f"`{path}` {problem}", label=_FORM))
