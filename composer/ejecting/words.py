"""Words of a spec in comments and docstrings of a file: they can end neither."""

from __future__ import annotations

from composer.spec.model import Rule


def told(text: str) -> str:
    """The text in one line, without what would end a docstring or a comment."""
    plain = text.replace("\\", "/").replace('"', "'")
    return "".join(letter if letter.isprintable() else " " for letter in plain)


def rule_in_words(rule: Rule) -> str:
    """A rule as its spec writes it: `use cbam after branch where stage >= 2`."""
    written = rule.model_dump(exclude_unset=True, by_alias=True)
    words = []
    for key in ("use", "remove", "before", "after", "replace", "beside", "where", "every", "start"):
        value = written.get(key)
        if value is not None and not isinstance(value, dict):
            value = " and ".join(map(str, value)) if isinstance(value, list | tuple) else value
            words.append(f"{key} {value}")
    return " ".join(words)
