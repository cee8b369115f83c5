"""iAFF."""

from __future__ import annotations

from tests.mechanisms.case import BATCH_OF_TWO, Case, reduced
from tests.mechanisms.cases.aff import context

EACH = ("local_att", "global_att.context", "local_att2")

CASE = Case(
    starts=[
        ({"reduction": 2}, 1, context(*EACH, "global_att2.context")),
        ({"reduction": 2, "share_global": True}, 1, context(*EACH)),
    ],
    values=[({}, "b c h w", (0, 1))],
    options=[{"norm": "layer"}, {"norm": "none"}, {"share_global": True}],
    refusals={(words, "trains on one image"): BATCH_OF_TWO for words in ("", "share_global=True")},
    numbers={"reduction": [8]},
    costs=[
        ({"reduction": 8, "norm": "layer"}, []),
        ({"norm": "none"}, ["at norm none"]),
        ({"share_global": True}, ["with share_global"]),
    ],
    letters=lambda c, h, w, conv, options: {"d": reduced(c, options, 4)},
)
