"""The sites that composer itself asks for: names by which a backbone tags its places.

Backbones tag others as well (`stem`, `shortcut`, `gate`, `mlp`, or names of their own), which only rules ask for.
"""

from __future__ import annotations

STAGE = "stage"
BLOCK = "block"
# The end of a block's residual branch.
BRANCH = "branch"
# The k x k convolution of a block.
SPATIAL_CONV = "spatial_conv"
# The half of a block of tokens that mixes positions.
MIXER = "mixer"
HEAD = "head"
# Where the features end that a classifier pools, and where those of one scale do in a network without stages.
FEATURES = "features"
LEVEL = "level"
