"""Concurrent spatial and channel squeeze and excitation."""

from __future__ import annotations

from tests.mechanisms.case import C, Case, D, Short, uniform

CASE = Case(
    starts=[
        (
            {},
            1,
            {
                "channel.fc1.weight": uniform(C),
                "channel.fc1.bias": uniform(C),
                "channel.fc2.weight": uniform(D),
                "channel.fc2.bias": uniform(D),
                "spatial.conv.weight": uniform(C),
                "spatial.conv.bias": Short(uniform(C)),
            },
        )
    ],
    values=[({}, "b c h w", (0, 1)), ({"fuse": "add"}, "b c h w", (0, 2))],
    options=[{"fuse": "add", "reduction": 16}],
    numbers={"reduction": [4]},
    costs=[({"reduction": 16, "fuse": "add"}, [])],
    letters=lambda c, h, w, conv, options: {"d": max(1, c // options.get("reduction", 2))},
)
