"""Sites that a user names, in place of those that were recognised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from composer.dag.host import HostScope
from composer.dag.rules.globs import Glob
from composer.dag.scope import Node, Scope

# Site -> a glob over paths, or several.
Sites = Mapping[str, str | Sequence[str]]


def with_sites(root: HostScope, sites: Sites) -> HostScope:
    """The tree in which exactly the nodes that match the globs have these sites."""
    globs = {site: [Glob(one) for one in ([some] if isinstance(some, str) else some)] for site, some in sites.items()}
    found = _tagged(root, globs) if globs else root
    assert isinstance(found, HostScope)
    return found


def _tagged(scope: Scope, globs: Mapping[str, Sequence[Glob]]) -> Scope:
    def tagged(node: Node) -> Node:
        content = _tagged(node.content, globs) if isinstance(node.content, Scope) else node.content
        own = [site for site in node.sites if site not in globs]
        own += [site for site, some in globs.items() if any(glob.matches(node.path) for glob in some)]
        return replace(node, content=content, sites=tuple(own))

    return replace(scope, nodes={name: tagged(node) for name, node in scope.nodes.items()})
