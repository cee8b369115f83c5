"""CoT."""

from __future__ import annotations

from tests.mechanisms.case import NORM, ONE_IMAGE, Case, he, uniform


def letters(c, h, w, conv, options):
    o = conv[0]
    return {"e": o // 2, "d": max(o // 2, 32)}


CASE = Case(
    starts=[
        (
            {},
            1,
            {
                "key_embed.0.weight": he(9 * 512),
                "key_embed.1": NORM,
                "embed.0.weight": he(256),
                "embed.1": NORM,
                "embed.3.weight": he(9 * 64),
                "embed.3.bias": uniform(256),
                "embed.4": NORM,
                "conv1x1.0.weight": he(512),
                "conv1x1.1": NORM,
                "bn": NORM,
                "se.0.weight": he(256),
                "se.0.bias": uniform(512),
                "se.1": NORM,
                "se.3.weight": he(1024),
                "se.3.bias": uniform(256),
            },
        )
    ],
    values=[({}, "b 2 c 1 1", 1)],
    options=[{"norm": "layer"}],
    refusals=ONE_IMAGE,
    letters=letters,
)
