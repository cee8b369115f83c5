"""The sites that composer itself uses: names with which a backbone tags its places.

Backbones use other tags too (`gate`, or names of their own), which only rules use.
"""

from __future__ import annotations

STEM = "stem"
STAGE = "stage"
BLOCK = "block"
# The end of a residual branch: the operand of the add that is not the input, behind its scale and drop path.
BRANCH = "branch"
SHORTCUT = "shortcut"
# The k x k convolution of a block.
SPATIAL_CONV = "spatial_conv"
# The half of a token block that mixes positions.
MIXER = "mixer"
MLP = "mlp"
HEAD = "head"
# FEATURES: the end of the features that a classifier pools. LEVEL: the end of a scale in a network without stages.
FEATURES = "features"
LEVEL = "level"

# What the sites of composer's own networks mean, in a few words.
MEANINGS = {
    STEM: "what the image meets first",
    STAGE: "the blocks of one scale",
    BLOCK: "the unit that a network repeats",
    BRANCH: "the end of what a block computes, before its residual add if it has one: in a transformer's, both",
    SHORTCUT: "the add's other operand, also where it is the block's input as it is",
    SPATIAL_CONV: "the convolution of a block that sees neighbours",
    "gate": "attention that the network has of its own",
    MIXER: "what mixes positions in a block of tokens",
    MLP: "what mixes channels in a block",
    FEATURES: "the end of what the classifier pools",
    LEVEL: "the end of a scale, in a network without stages",
    HEAD: "the classifier",
}
