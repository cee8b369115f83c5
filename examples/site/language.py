"""The reference of the language: keys of a spec from its schema, sites, and the codes of errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from pages import Page, table
from prose import html

from composer.codes import CODES
from composer.index.card import read_schema
from composer.spec.sites import MEANINGS

_OPTIONS = "options-"
_WHOLE = "Spec"
MOST_NAMES = 8


def pages() -> Iterator[Page]:
    """Keys of a spec, sites, codes."""
    yield Page("language/keys.html", "Keys of a spec", _keys(read_schema()), "Language")
    rows = [(f"<code>{name}</code>", escape(meaning)) for name, meaning in MEANINGS.items()]
    yield Page("language/sites.html", "Sites", table(("site", "what such a place is"), rows), "Language")
    rows = [(f'<code id="{code}">{code}</code>', html(meaning)) for code, meaning in CODES.items()]
    yield Page("language/errors.html", "Errors", table(("code", "what is wrong"), rows), "Language")


def _keys(schema: Mapping[str, Any]) -> str:
    """Every object of the schema with its keys; options of operations are on their own pages."""
    objects = {_WHOLE: schema}
    objects.update((name, one) for name, one in schema["definitions"].items() if not name.startswith(_OPTIONS))
    return "".join(_object(name, one) for name, one in objects.items())


def _object(name: str, found: Mapping[str, Any]) -> str:
    """The keys of an object; of what may be written in short too, its forms."""
    forms = [found, *(one for one in found.get("anyOf", ()) if isinstance(one, dict))]
    keys = next((one["properties"] for one in forms if "properties" in one), {})
    needed = {key for one in forms for key in one.get("required", ())}
    rows = [
        (f"<code>{key}</code>{' (needed)' if key in needed else ''}", _type(one), html(one.get("description", "")))
        for key, one in keys.items()
        if isinstance(one, dict)
    ]
    short = f"<p>Written as {_type(found)}.</p>" if found is not forms[-1] or not keys else ""
    written = table(("key", "type", "meaning"), rows, {1: "words", 2: "words"}) if rows else ""
    return f'<h2 id="{name}">{escape(name)}</h2>{html(found.get("description", ""))}{short}{written}'


def _type(found: Any) -> str:
    """What a value may be, in a few words; an object by its name."""
    if not isinstance(found, dict):
        return "anything"
    if "$ref" in found:
        name = found["$ref"].rpartition("/")[2].replace("#", _WHOLE)
        return "options" if name.startswith(_OPTIONS) else f'<a href="#{name}">{escape(name)}</a>'
    for several in ("anyOf", "oneOf", "allOf"):
        if several in found:
            return " or ".join(dict.fromkeys(_type(one) for one in found[several]))
    if "enum" in found:
        more = f" … ({len(found['enum'])} in all)" if len(found["enum"]) > MOST_NAMES else ""
        return ", ".join(f"<code>{escape(str(one))}</code>" for one in found["enum"][:MOST_NAMES]) + more
    if "const" in found:
        return f"<code>{escape(str(found['const']))}</code>"
    kind = found.get("type", "anything")
    if kind == "array" and isinstance(found.get("items"), dict):
        return f"list of {_type(found['items'])}"
    if kind == "object" and isinstance(found.get("additionalProperties"), dict):
        return f"names → {_type(found['additionalProperties'])}"
    return escape(" or ".join(kind) if isinstance(kind, list) else kind)
