"""What a scan that trains is, written before its first training: the same command goes on, another one is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from composer.comparing.declared import changes, declaration_text, read_declaration
from composer.comparing.write import write_texts
from composer.errors import Diagnostic, InputError

DECLARATION, LOCK, NETWORKS = "declaration.json", ".lock", "networks"


def declare(folder: Path, wanted: Mapping[str, Any]) -> None:
    """Write what a scan is; or, in a folder that has one, check that it is the same.

    wanted  plain JSON values by name
    Raises InputError with what differs, and for a folder that holds something else or cannot be used.
    """
    wanted = json.loads(json.dumps(wanted))
    path = folder / DECLARATION
    before = read_declaration(path)
    if before is None:
        if folder.is_dir() and any(one.name != LOCK for one in folder.iterdir()):
            text = f"the folder `{folder}` is not empty, and holds no scan"
            raise InputError(Diagnostic("scan", text, label="an empty or a new folder"))
        write_texts(folder, {DECLARATION: declaration_text(wanted)}, force=True)
        return
    if differing := _differing(before, wanted):
        help = (
            *differing,
            "choose another folder: what was declared before the first training stays",
        )
        raise InputError(Diagnostic("scan", f"`{folder}` holds another scan", help=help))


def _differing(before: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What differs, a sentence each; networks, whose texts are long, by name, and only if nothing else says it."""
    keys = [key for key in {**before, **wanted} if before.get(key) != wanted.get(key)]
    values = [key for key in keys if key != NETWORKS]
    if values or not keys:
        return [*changes(before, wanted, values)]
    then, now = before.get(NETWORKS) or {}, wanted.get(NETWORKS) or {}
    names = [name for name in {**then, **now} if then.get(name) != now.get(name)]
    return [f"networks differ: {', '.join(names[:3])}{', …' if len(names) > 3 else ''}"]
