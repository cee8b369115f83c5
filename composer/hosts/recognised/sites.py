"""Recognises the sites of a recorded network, as composer's own networks tag theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from composer.dag.host import HostScope
from composer.dag.levels import end_of_features, tagged_end
from composer.dag.rules.globs import glob
from composer.dag.scope import Node
from composer.errors import Diagnostic, InputError, did_you_mean
from composer.hosts.recognised.blocks import blocks_of, groups_of, single_layers_of
from composer.hosts.recognised.branches import Inside, is_spatial_conv
from composer.hosts.recognised.findings import Finding, Findings, Level, kinds_of
from composer.hosts.recognised.flat import ends_of, members
from composer.hosts.recognised.frame import features_of, heads_of, stages_of, stem_of
from composer.hosts.recognised.residual import Residuals
from composer.hosts.recognised.shipped import shipped_for
from composer.spec.origin import Origin
from composer.spec.sites import BLOCK, BRANCH, FEATURES, HEAD, MEANINGS, MIXER, MLP, SHORTCUT, SPATIAL_CONV, STAGE, STEM

Given = Mapping[str, str | Sequence[str]]
_WHY = {
    STEM: "the first layer, or the patch embedding that it is part of",
    BRANCH: "the end of what a block adds to its input, or of what it computes if it adds nothing",
    SHORTCUT: "the other operand of the add",
    SPATIAL_CONV: "convolutions of blocks with kernels larger than 1×1",
    MIXER: "named or classed as attention or as a mixer of tokens",
    MLP: "named or classed as a perceptron or feed-forward network",
    HEAD: "the last layer before the output",
    FEATURES: "the last output with positions before the head",
}


def recognised(
    scope: HostScope, given: Given | None = None, origin: Origin | None = None
) -> tuple[HostScope, Findings]:
    """The recording with the sites of its nodes, and what was recognised and why.

    given   site -> globs over paths. What a spec says of a site replaces what is recognised, and an empty list says
            that the network has none; branches follow from the blocks that are given, and so do the others
    origin  where the spec writes `given`
    Raises InputError for a glob that matches nothing.
    """
    search = _Search(scope)
    search.take(shipped_for(scope), "as composer ships it for this family")
    wanted = {site: [one] if isinstance(one, str) else list(one) for site, one in (given or {}).items()}
    missing = search.take(wanted, "as given")
    InputError.check(_matches_nothing(*one, scope, origin) for one in missing)
    search.run()
    return search.tagged(), search.findings()


@dataclass
class _Search:
    """Finds the sites of one recording, from the blocks outward and inward."""

    root: HostScope
    nodes: Mapping[str, Node] = field(init=False)
    fixed: dict[str, list[Node]] = field(default_factory=dict)
    found: dict[str, list[Node]] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.nodes = {node.path: node for node in self.root.walk()}
        self.residuals = Residuals()
        self.groups = groups_of(self.root)

    def take(self, given: Mapping[str, Sequence[str]], why: str) -> list[tuple[str, int, str]]:
        """Fix sites that somebody names; site, number and text of each glob that matches nothing."""
        missing = []
        for site, patterns in given.items():
            chosen: set[str] = set()
            for number, pattern in enumerate(patterns):
                some = {path for path in self.nodes if glob(pattern).matches(path)}
                missing += [] if some else [(site, number, pattern)]
                chosen |= some
            if chosen or not patterns:
                self.fixed[site] = [node for path, node in self.nodes.items() if path in chosen]
                self.why[site] = why
        return missing

    def run(self) -> None:
        """Find every site."""
        found = blocks_of(self.groups, self.residuals)
        blocks, stages, why = found.nodes, list[Node](), ""
        if not blocks and BLOCK not in self.fixed:
            blocks, stages = ends_of(self.root)
            found = replace(found, why="a convolution that sees neighbours, with its norm and activation")
            why = "to the next pooling"
        if not blocks and BLOCK not in self.fixed:
            found = single_layers_of(self.groups, self.residuals)
            blocks = found.nodes
        blocks = self.note(BLOCK, blocks, found.why)
        if not stages:
            stages, why = stages_of(self.root, blocks)
        stages = self.note(STAGE, stages, why)
        stems = {node.path for node in self.note(STEM, stem_of(self.root, self.residuals, blocks))}
        inside = Inside(self.residuals).of(blocks)
        ends = [block for block in blocks if not isinstance(block.content, HostScope)]
        if ends:
            convs = [node for node in members(self.root, ends) if is_spatial_conv(node) and node.path not in stems]
            inside |= {BRANCH: [node.path for node in ends], SPATIAL_CONV: [node.path for node in convs]}
        for site in (SPATIAL_CONV, BRANCH, SHORTCUT, MIXER, MLP):
            self.note(site, [self.nodes[path] for path in inside.get(site, ())])
        heads = self.note(HEAD, heads_of(self.root, self.residuals, [*blocks, *stages]))
        features = features_of(self.root, heads, blocks)
        staged = end_of_features(self.tagged())
        self.note(FEATURES, [] if staged is not None and features and staged.path == features[0].path else features)

    def note(self, site: str, nodes: Sequence[Node], why: str = "") -> list[Node]:
        """The nodes of a site: those that somebody names, or those that were recognised."""
        self.found[site] = chosen = self.fixed.get(site, list(nodes))
        self.why.setdefault(site, why or _WHY.get(site, ""))
        return chosen

    def tagged(self) -> HostScope:
        """The recording with the sites found so far, and those that only the caller knows."""
        sites: dict[str, list[str]] = {}
        for site, nodes in {**self.found, **self.fixed}.items():
            for node in nodes:
                sites.setdefault(node.path, []).append(site)
        root = _with_sites(self.root, {path: tuple(names) for path, names in sites.items()})
        return replace(root, end=tagged_end(root))

    def findings(self) -> Findings:
        """What was found, in the order in which composer tells of sites."""
        every: dict[str, list[Node]] = {site: [] for site in MEANINGS} | self.found | self.fixed
        found = [
            Finding(site, tuple(node.path for node in nodes), kinds_of([node.op for node in nodes]), self.why[site])
            for site, nodes in every.items()
            if nodes
        ]
        levels = [Level(one.glob, one.kind.__name__, len(one.nodes)) for one in self.groups if "*" in one.glob]
        return Findings(tuple(found), tuple(levels))


def _with_sites(scope: HostScope, sites: Mapping[str, tuple[str, ...]]) -> HostScope:
    nodes = {}
    for name, node in scope.nodes.items():
        own = node.path
        if isinstance(node.content, HostScope):
            node = replace(node, content=_with_sites(node.content, sites))
        nodes[name] = replace(node, sites=sites[own]) if own in sites else node
    return replace(scope, nodes=nodes)


def _matches_nothing(site: str, number: int, pattern: str, root: HostScope, origin: Origin | None) -> Diagnostic:
    text = f"`{pattern}` of site `{site}` matches no node of the network"
    help = did_you_mean(pattern, [node.path for node in root.walk()])
    if origin is None:
        return Diagnostic("no-match", text, label="a glob over paths", help=help)
    return (origin / site / number).written.problem("no-match", text, "a glob over paths", help)
