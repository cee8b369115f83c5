"""Deformable attention beside the authors' code of June 2022 in plain steps."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import composer
from composer.errors import ComposerError
from composer.mechanisms.token.dat import DeformableAttention
from tests.mechanisms.oracle import SIZES, agree


class Plain(nn.Module):
    """An image, a group, a head and a point at a time; bilinear reading is by torch."""

    def __init__(self, channels, size, heads, groups, stride=1, kernel=5, reach=2.0, use_pe=True):
        super().__init__()
        per = channels // groups
        self.heads, self.groups, self.reach, self.size = heads, groups, reach, size
        self.conv = nn.Conv2d(per, per, kernel, stride, kernel // 2, groups=per)
        self.norm, self.proj = nn.LayerNorm(per), nn.Conv2d(per, 2, 1, bias=False)
        self.q, self.k, self.v, self.out = (nn.Conv2d(channels, channels, 1) for _ in range(4))
        self.table = nn.Parameter(torch.empty(heads, 2 * size[0] - 1, 2 * size[1] - 1)) if use_pe else None

    def forward(self, x):
        return torch.cat([self.image(one[None]) for one in x])

    def image(self, x):
        q, seen, points = self.q(x), [], []
        for of_x, of_q in zip(x.chunk(self.groups, 1), q.chunk(self.groups, 1), strict=True):
            hidden = self.norm(self.conv(of_q).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            offset = self.proj(F.gelu(hidden)).tanh()[0]
            rows, columns = offset.shape[1:]
            at = [
                torch.stack(
                    (
                        (i + 0.5) / rows * 2 - 1 + self.reach / rows * offset[0, i, j],
                        (j + 0.5) / columns * 2 - 1 + self.reach / columns * offset[1, i, j],
                    )
                )
                for i in range(rows)
                for j in range(columns)
            ]
            points.append(torch.stack(at))
            grid = points[-1].flip(1)[None, None]
            seen.append(F.grid_sample(of_x, grid, align_corners=True)[:, :, 0])
        seen = torch.cat(seen, 1)[:, :, None]
        k, v = self.k(seen)[0, :, 0], self.v(seen)[0, :, 0]
        heads = []
        for index, (of_q, of_k, of_v) in enumerate(
            zip(q[0].flatten(1).chunk(self.heads), k.chunk(self.heads), v.chunk(self.heads), strict=True)
        ):
            logits = of_q.T @ of_k / len(of_q) ** 0.5
            if self.table is not None:
                logits = logits + self.bias(index, points[index // (self.heads // self.groups)])
            heads.append(of_v @ logits.softmax(1).T)
        return self.out(torch.cat(heads).unflatten(1, x.shape[2:])[None])

    def bias(self, head, points):
        height, width = self.size
        stand = [((i + 0.5) / height * 2 - 1, (j + 0.5) / width * 2 - 1) for i in range(height) for j in range(width)]
        apart = (torch.tensor(stand, dtype=points.dtype)[:, None] - points) / 2
        return F.grid_sample(self.table[head][None, None], apart.flip(2)[None], align_corners=True)[0, 0]


NAMES = {
    "conv_offset.conv": "conv",
    "conv_offset.norm": "norm",
    "conv_offset.proj": "proj",
    "proj_q": "q",
    "proj_k": "k",
    "proj_v": "v",
    "proj_out": "out",
    "rpe_table": "table",
}


def carry(state):
    found = {}
    for name, tensor in state.items():
        own = next(one for one in NAMES if name.startswith(one))
        found[NAMES[own] + name[len(own) :]] = tensor
    return found


@pytest.mark.parametrize(("height", "width"), [*SIZES[:4], (1, 1), (1, 6)])
def test_equals_the_authors(height, width):
    ours = DeformableAttention(16, height, width, num_heads=4, num_groups=2, kernel_size=3)
    agree(ours, Plain(16, (height, width), 4, 2, kernel=3), torch.randn(2, 16, height, width), carry=carry)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"num_groups": 1, "stride": 2}, {"groups": 1, "stride": 2}),
        ({"num_groups": 4, "stride": 3, "offset_range": 5.0}, {"groups": 4, "stride": 3, "reach": 5.0}),
        ({"num_groups": 2, "use_pe": False}, {"groups": 2, "use_pe": False}),
    ],
)
def test_equals_the_authors_with_options(ours, theirs):
    module = DeformableAttention(16, 8, 5, num_heads=4, **ours)
    agree(module, Plain(16, (8, 5), 4, **theirs), torch.randn(2, 16, 8, 5), carry=carry)


def test_the_middle_of_the_table_is_for_the_position_itself():
    module = DeformableAttention(8, 3, 5, num_heads=1, num_groups=1).double()
    with torch.no_grad():
        module.conv_offset.proj.weight.zero_()
        module.proj_q.weight.zero_()
        module.proj_q.bias.zero_()
        module.rpe_table.zero_()
        module.rpe_table[0, 2, 4] = 50
    x = torch.randn(2, 8, 3, 5, dtype=torch.float64)
    torch.testing.assert_close(module.attention(x), torch.eye(15).double().expand(2, 1, -1, -1), rtol=0, atol=1e-5)
    rows, columns = (torch.arange(3) + 0.5) * 2 / 3 - 1, (torch.arange(5) + 0.5) * 2 / 5 - 1
    wanted = torch.cartesian_prod(rows, columns).flip(1).double()
    torch.testing.assert_close(module.points(x), wanted.expand(2, 1, -1, -1))


def test_parameters_and_defaults():
    """DAT-T's third stage has 12 heads in 3 groups, its last 24 in 6."""
    assert sum(p.numel() for p in DeformableAttention(64, 14, 14).parameters()) == 20_018
    for channels, heads, groups in ((384, 12, 3), (768, 24, 6), (64, 2, 1)):
        module = DeformableAttention(channels, 7, 7)
        assert (module.num_heads, module.num_groups) == (heads, groups)


def test_refusals():
    with pytest.raises(ValueError, match="dat: 64 channels do not divide into 5 heads; set num_heads to 4 or 8"):
        DeformableAttention(64, 7, 7, num_heads=5)
    with pytest.raises(ValueError, match="dat: 4 heads do not divide into 3 groups; set num_groups to 2 or 4"):
        DeformableAttention(64, 7, 7, num_heads=4, num_groups=3)
    with pytest.raises(ValueError, match="dat: built for maps of 7×7, found 7×8; build it for that size"):
        DeformableAttention(64, 7, 7)(torch.zeros(1, 64, 7, 8))


def test_in_networks_of_maps_and_of_tokens():
    for backbone, rule in (
        ("resnet18", {"after": "block", "where": "stage == 4"}),
        ("vit_tiny_patch16_224", {"after": "block", "where": "block <= 2"}),
        ("swin_tiny_patch4_window7_224", {"replace": "mixer", "where": "stage == 3"}),
    ):
        spec = {"backbone": backbone, "input": [3, 64, 64], "attention": [{"use": "dat", **rule}]}
        model = composer.build(spec)
        assert any(isinstance(one, DeformableAttention) for one in model.modules())
        assert model(torch.randn(2, 3, 64, 64)).isfinite().all()
    rule = {"use": "dat", "after": "block", "with": {"num_heads": 3}}
    with pytest.raises(ComposerError, match="64 channels do not divide into 3 heads"):
        composer.graph({"backbone": "resnet18", "attention": [rule]})
