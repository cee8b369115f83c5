"""BAM."""

from __future__ import annotations

from tests.mechanisms.case import NORM, ONE_IMAGE, ZERO, C, Case, D, he, reduced, uniform

CASE = Case(
    # github.com/Jongchan/attention-module, model_resnet.
    starts=[
        (
            {"reduction": 2},
            1,
            {
                "channel.fc1.weight": uniform(C),
                "channel.fc2.weight": uniform(D),
                "channel.fc1.bias": ZERO,
                "channel.fc2.bias": ZERO,
                "channel.bn": NORM,
                "spatial.conv1.weight": he(D),
                "spatial.conv2.weight": he(9 * D),
                "spatial.conv3.weight": he(9 * D),
                "spatial.conv4.weight": he(1),
                **{f"spatial.conv{layer}.bias": ZERO for layer in (1, 2, 3, 4)},
                **{f"spatial.bn{layer}": NORM for layer in (1, 2, 3)},
            },
        )
    ],
    values=[({}, "b c h w", (1, 2)), ({"fuse": "add"}, "b c h w", (1, 2))],
    options=[{"fuse": "add", "norm": "none"}, {"fuse": "add", "norm_at": "last", "norm": "layer"}],
    refusals=ONE_IMAGE,
    numbers={"reduction": [4], "dilation": [2]},
    costs=[({"reduction": 4, "dilation": 2, "fuse": "add"}, []), ({"norm_at": "last"}, ["with the norm last"])],
    letters=lambda c, h, w, conv, options: {"d": reduced(c, options)},
)
