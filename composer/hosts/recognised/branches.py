"""Inside blocks: where branches end, what mixes positions and channels, and which convolutions see neighbours."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import nn

from composer.dag.host import HostScope
from composer.dag.operation import Operation
from composer.dag.scope import Node, Scope
from composer.dag.tensor import TensorSpec
from composer.hosts.recognised.residual import Residuals, back, is_function, name_of, passes
from composer.hosts.recording.entries import HostEntry
from composer.spec.sites import BRANCH, MIXER, MLP, SHORTCUT, SPATIAL_CONV

_MLP = re.compile(
    r"(^|_)(mlp|ffn|feed_forward|swiglu|channel_mixer)(_channels)?\d*$|(Mlp|MLP|FFN|FeedForward|SwiGLU\w*)$"
)
_MIXER = re.compile(
    r"^((self_|cross_)?(attn|attention)|mixer|token_mixer|mlp_tokens|rnn_tokens|modulation|spatial_mixing)\d*$"
    r"|(?<!Partition)(Attention|Attn)(2d|Cl|ConvRelPosEnc)?$",
)
_GATE = re.compile(
    r"SqueezeExc|SEModule|SELayer|EcaModule|EseModule|EffectiveSE|Cbam|GatherExcite|GlobalContext|CoordAttn"
)
# Operations that stand for a k x k convolution, with attention over their kernels or branches.
_SPATIAL = re.compile(r"(SplitAttn|SelectiveKernel)$")
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass
class Inside:
    """Collects the sites inside blocks: site -> paths."""

    residuals: Residuals
    found: dict[str, list[str]] = field(default_factory=dict)

    def note(self, site: str, node: Node) -> None:
        """A node has a site."""
        paths = self.found.setdefault(site, [])
        if node.path not in paths:
            paths.append(node.path)

    def of(self, blocks: Sequence[Node]) -> dict[str, list[str]]:
        """The sites inside all blocks."""
        scopes = [block.content for block in blocks if isinstance(block.content, HostScope)]
        inner = [node.content for block in scopes for node in block.walk() if isinstance(node.content, HostScope)]
        moved = {scope.module for scope in (*scopes, *inner) if self.ends_in_a_function(scope)}
        for scope in scopes:
            self.branches(scope, moved)
            beside = self.beside(scope)
            self.halves(scope, beside)
            self.spatial(scope, beside)
        return self.found

    def beside(self, scope: HostScope) -> set[str]:
        """The nodes that are shortcuts of their own, such as projections."""
        return {one.shortcut for one in self.residuals.of(scope) if one.beside}

    def ends_in_a_function(self, scope: HostScope) -> bool:
        """Whether a function, such as a permute, stands between the last module of a branch and its drop path."""
        ends = [_before(scope, one.branch) for one in self.residuals.of(scope)]
        return any(name in scope.nodes and is_function(scope.nodes[name]) for name, _ in ends)

    def branches(self, scope: HostScope, moved: set[type[nn.Module]]) -> None:
        """Where branches end, and their shortcuts.

        A branch ends before its drop path, whose rate decides whether there is one. Where a function stands there, it
        ends behind the first module after it, and all branches of this class of blocks alike: names of functions are
        only counted. A block without an add ends as its branch does.
        """
        found = self.residuals.of(scope)
        for one in found:
            last, passing = _before(scope, one.branch)
            name = passing if passing and scope.module in moved else last
            self.note(BRANCH, scope.nodes[name])
            if one.beside and (name := back(scope, one.shortcut)) in scope.nodes:
                self.note(SHORTCUT, scope.nodes[name])
        parts = [node.content for node in scope.nodes.values() if isinstance(node.content, HostScope)]
        # A part that is given the block's input, and adds what it makes of the rest to it.
        adding = [part for part in parts if any(not one.start for one in self.residuals.of(part))]
        wrapping = adding if found else [part for part in parts if self.residuals.of(part)]
        for part in wrapping:
            self.branches(part, moved)
        if not found and not wrapping:
            last, _ = _before(scope, next(iter(scope.outputs.values())))
            if last in scope.nodes:
                self.note(BRANCH, scope.nodes[last])

    def halves(self, scope: HostScope, beside: set[str]) -> None:
        """What mixes positions, and what mixes channels: by the names that the field gives them."""
        for node in scope.nodes.values():
            named = _MIXER.search(node.name) is not None
            # A mixer of tokens may be a pooling.
            if node.name in beside or passes(node) or not (named or self.residuals.weighs(node)):
                continue
            word = _class_of(node)
            if _GATE.search(word) or _SPATIAL.search(word):
                continue
            if _MLP.search(node.name) or (_MLP.search(word) and not named):
                self.note(MLP, node)
            elif named or _MIXER.search(word):
                # One that also makes other channels is a step between scales, and no place for another one.
                if _keeps_size(scope.tensor(node.inputs[0]), node.result):
                    self.note(MIXER, node)
            elif isinstance(node.content, HostScope):
                self.halves(node.content, beside)

    def spatial(self, scope: HostScope, beside: set[str]) -> None:
        """The convolutions with kernels larger than 1x1, but for those of shortcuts and of attentions."""
        for node in scope.nodes.values():
            if isinstance(node.content, HostScope):
                if node.name not in beside and node.path not in self.found.get(MIXER, ()):
                    self.spatial(node.content, self.beside(node.content))
            elif node.name not in beside and (_SPATIAL.search(_class_of(node)) or is_spatial_conv(node)):
                self.note(SPATIAL_CONV, node)


def is_spatial_conv(node: Node) -> bool:
    """Whether a node is a convolution over images with a kernel larger than 1x1; a transposed one, which makes maps
    larger, is none."""
    if node.kind != "conv" or not isinstance(node.content, Operation):
        return False
    entry = node.entry
    if isinstance(entry, HostEntry):
        size = 1 if isinstance(entry.made, _TRANSPOSED) else entry.made.kernel_size
    else:
        size = 1 if node.op == "conv_transpose2d" else node.content.arguments.get("kernel_size", 1)
    return max(size if isinstance(size, tuple | list) else (size,)) > 1


def _keeps_size(given: TensorSpec, result: TensorSpec | None) -> bool:
    """Whether a node gives as many numbers, or as many channels, as it gets."""
    if result is None or math.prod(given.shape) == math.prod(result.shape):
        return True
    return given.channels is not None and given.channels == result.channels


def _class_of(node: Node) -> str:
    if isinstance(node.content, HostScope):
        return node.content.module.__name__
    return node.entry.name if isinstance(node.entry, HostEntry) else ""


def _before(scope: Scope, reference: str) -> tuple[str, str]:
    """The last node that computes on the way to a tensor, and the first that passes its result on, if one does."""
    name, passing = name_of(reference), ""
    while name in scope.nodes and passes(scope.nodes[name]) and scope.nodes[name].inputs:
        passing, name = name, name_of(scope.nodes[name].inputs[0])
    return (name, passing) if name in scope.nodes else (passing, passing)
