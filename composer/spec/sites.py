"""The sites that composer itself uses: names with which a backbone tags its places.

Backbones use other tags too (`stem`, `shortcut`, `gate`, `mlp`, or names of their own), which only rules use.
"""

from __future__ import annotations

STAGE = "stage"
BLOCK = "block"
# The end of a block's residual branch.
BRANCH = "branch"
# The k x k convolution of a block.
SPATIAL_CONV = "spatial_conv"
# The half of a token block that mixes positions.
MIXER = "mixer"
HEAD = "head"
# FEATURES: the end of the features that a classifier pools. LEVEL: the end of a scale in a network without stages.
FEATURES = "features"
LEVEL = "level"
