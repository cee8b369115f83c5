"""Rules from Python or YAML text -> a Spec that holds them, for `place`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from composer.errors import Diagnostic, InputError, Source, SpecError
from composer.hosts.journal import Journal
from composer.spec.document import Document, Value
from composer.spec.load import examine_document
from composer.spec.spec import Spec
from composer.spec.yaml import read

# Keys of a mapping that is more than one rule.
_KEYS = ("attention", "blocks", "vars", "sites")
Rules = str | Mapping[str, Any] | Sequence[Mapping[str, Any]]


def spec_of_rules(rules: Rules) -> Spec:
    """A Spec whose rules are these, and whose own nodes say nothing. Raises SpecError.

    rules  a rule or a list of rules, as mappings or as YAML text; or a mapping with `attention`, and `blocks` or `vars`
           that its rules use
    """
    document = _document(rules)
    spec, problems = examine_document(_whole(document))
    SpecError.check(problems)
    assert spec is not None, "what has no problems is a Spec"
    return spec


def sites_of_rules(rules: Rules) -> dict[str, Any]:
    """The `sites` that are written beside rules; none by default."""
    found = _document(rules).root.child("sites")
    sites = None if found is None else found.plain()
    return sites if isinstance(sites, dict) else {}


def spec_of_journal(journal: Journal) -> Spec:
    """A Spec with the rules of a journal."""
    return spec_of_rules(journal.with_rules(journal.rules))


def written(spec: Spec) -> list[dict[str, Any]]:
    """The rules of a Spec as plain mappings."""
    return [origin.document.nearest(origin.path).plain() for _, origin in spec.rules]


def joined(first: Spec, second: Spec) -> Spec:
    """The rules of the first, then those of the second, each with its own places in the text. Raises InputError."""
    both = first.blocks.keys() & second.blocks.keys()
    if unlike := sorted(name for name in both if first.blocks[name] != second.blocks[name]):
        text = f"block `{unlike[0]}` is another one than that of an earlier insertion"
        raise InputError(Diagnostic("name", text, label="another name"))
    return replace(
        first,
        rules=(*first.rules, *second.rules),
        blocks={**first.blocks, **second.blocks},
        block_origins={**first.block_origins, **second.block_origins},
        vars={**first.vars, **second.vars},
    )


def _document(rules: Rules) -> Document:
    if isinstance(rules, str):
        return read(Source("<rules>", rules))
    if isinstance(rules, Mapping):
        return Document.from_mapping(rules, "<rules>")
    if not isinstance(rules, Sequence):
        text = f"the rules are a {type(rules).__name__}"
        raise InputError(Diagnostic("insertion", text, label="a mapping, a list of mappings, or YAML text"))
    return Document.from_mapping({"attention": list(rules)}, "<rules>")


def _whole(document: Document) -> Document:
    """A whole spec around rules, as the language wants one."""
    root = document.root
    if isinstance(root.data, list):
        root = Value({"attention": root})
    elif isinstance(root.data, dict) and not any(key in root.data for key in _KEYS):
        root = Value({"attention": Value([root], root.location)})
    if not isinstance(root.data, dict):
        return replace(document, root=root)
    kept = {key: value for key, value in root.data.items() if key != "sites"}
    plain = Document.from_mapping({"name": "rules", "input": [1], "nodes": {"start": "identity"}}).root.data
    return replace(document, root=replace(root, data={**plain, **kept}))
