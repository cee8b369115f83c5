"""vit_gated, one file, plain PyTorch. Ejected by composer 0.1.0 from `examples/ejected/vit_gated.yaml`.

    5,775,160 parameters, 1,253,738,496 MACs at 3 × 224 × 224
    rule 1: use se after mixer, 12 places, +57,744 parameters

Backbone   Vision transformer (Dosovitskiy et al. 2021, arXiv:2010.11929); DeiT (Touvron et al. 2021,
           arXiv:2012.12877) and DeiT III (Touvron et al. 2022, arXiv:2204.07118), which are the same network
           trained otherwise; DINOv2 (Oquab et al. 2023, arXiv:2304.07193), also with registers (Darcet et al. 2023,
           arXiv:2309.16588).
Attention  Vaswani et al., Attention Is All You Need, NeurIPS 2017, sec. 3.2. arXiv:1706.03762
           Hu et al., Squeeze-and-Excitation Networks, CVPR 2018, eq. 2-4. arXiv:1709.01507

Keys of the state_dict are those of the composed network: those of `vit_tiny_patch16_224`, and `*.attn_se.*`. Needs
torch alone.

    model = ViTGated(num_classes=10)
    model.load_state_dict(torch.load("vit_gated.pth", weights_only=True))
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# The images that the network was made for.
SHAPE = (3, 224, 224)
INPUT = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "interpolation": "bicubic", "crop": 0.9}


def map_to_tokens(x: Tensor) -> Tensor:
    """A feature map as a sequence: a token per position, or a token per channel."""
    tokens = x.flatten(2)
    return tokens.transpose(1, 2)


def prepend_token(token: Tensor, x: Tensor) -> Tensor:
    """Put the same learnable tokens in front of every sequence: a class token, or `tokens` registers."""
    return torch.cat([token.expand(x.shape[0], -1, -1), x], 1)


class SqueezeExcitation(nn.Module):
    """Rescale each channel by a gate computed from the globally pooled input.

    Shape:   b c h w -> b c h w;  the same for b c l and b c t h w
    Math:    y = x * sigmoid(W2 relu(W1 mean_hw(x)))        W1: c -> d,  W2: d -> c,  d = max(1, c // r)
    """

    def __init__(self, channels: int, reduction: int = 16):
        super().__init__()
        hidden = max(1, channels // reduction)
        down, up = nn.Conv2d(channels, hidden, 1), nn.Conv2d(hidden, channels, 1)
        self.fc1 = down
        self.act = nn.ReLU()
        self.fc2 = up
        self.gate = nn.Sigmoid()
        for layer in down, up:
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def excite(self, z: Tensor) -> Tensor:
        """The gate of a pooled input, both b c 1 1."""
        down, up = self.fc1, self.fc2
        return self.gate(up(self.act(down(z))))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.excite(x.mean((2, 3), keepdim=True))


class MultiHeadSelfAttention(nn.Module):
    """Replace each token by a mixture of all tokens, weighted by how well its query matches their keys.

    Shape:   b n c -> b n c
    Math:    y = W_o [A_1 V_1; ...; A_H V_H]        A_i = softmax_keys(Q_i K_iᵀ / sqrt(p)),  Q_i, K_i, V_i: c -> p
    """

    def __init__(self, channels: int, num_heads: int = 8, std: float = 0.02):
        super().__init__()
        head_dim = channels // num_heads
        self.num_heads, self.num_kv_heads, self.head_dim = num_heads, num_heads, head_dim
        self.qkv = nn.Linear(channels, (num_heads + 2 * num_heads) * head_dim)
        self.proj = nn.Linear(num_heads * head_dim, channels)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=std)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries b H n p, and keys and values b H m p."""
        lengths = [heads * self.head_dim for heads in (self.num_heads, self.num_kv_heads, self.num_kv_heads)]
        q, k, v = self.qkv(x).split(lengths, 2)
        q, k, v = (one.unflatten(2, (-1, self.head_dim)).transpose(1, 2) for one in (q, k, v))
        if self.num_kv_heads < self.num_heads:
            k, v = (one.repeat_interleave(self.num_heads // self.num_kv_heads, 1) for one in (k, v))
        return q, k, v

    def _joined(self, y: Tensor, x: Tensor) -> Tensor:
        """The output, from what each head mixed for x, b H n p."""
        y = y.transpose(1, 2).flatten(2)
        return self.proj(y)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self._heads(x)
        return self._joined(F.scaled_dot_product_attention(q, k, v, attn_mask=None), x)


class PatchEmbed(nn.Module):
    """b c h w -> b n c"""

    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, 192, 16, 16)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).permute(0, 2, 3, 1).flatten(1, 2)


class MLP(nn.Module):
    """b n c -> b n c"""

    def __init__(self, channels: int):
        super().__init__()
        self.fc1 = nn.Linear(channels, 4 * channels)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(x)))


class Transformer(nn.Module):
    """b n c -> b n c"""

    def __init__(self, channels: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps=1e-06)
        self.attn = MultiHeadSelfAttention(channels, 3)
        self.attn_se = SqueezeExcitation(channels)  # rule 1: use se after mixer
        self.norm2 = nn.LayerNorm(channels, eps=1e-06)
        self.mlp = MLP(channels)

    def forward(self, x: Tensor) -> Tensor:
        attn = self.attn(self.norm1(x))
        y = attn[:, :1]
        attn = map_to_tokens(self.attn_se(attn[:, 1:].transpose(1, 2).unflatten(2, (14, 14))))
        x = x + torch.cat([y, attn], 1)
        return x + self.mlp(self.norm2(x))


def init_weights(module: nn.Module) -> None:
    """N(0, 0.02²) for nn.Linear. What attention adds draws its own."""
    for layer in module.children():
        if isinstance(layer, MultiHeadSelfAttention | SqueezeExcitation):
            continue
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        else:
            init_weights(layer)


class ViTGated(nn.Module):
    """b c h w -> b c"""

    def __init__(self, num_classes: int = 1000):
        super().__init__()
        self.patch_embed = PatchEmbed()
        self.cls_token = nn.Parameter(nn.init.normal_(torch.empty(1, 1, 192), std=1e-06))
        self.pos_embed = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, 197, 192), std=0.02))
        self.blocks = nn.Sequential(*(Transformer(192) for _ in range(12)))
        self.norm = nn.LayerNorm(192, eps=1e-06)
        self.head = nn.Linear(192, num_classes)
        init_weights(self)

    def forward_features(self, x: Tensor) -> Tensor:
        x = self.blocks(prepend_token(self.cls_token, self.patch_embed(x)) + self.pos_embed)
        return self.norm(x)

    def forward(self, x: Tensor) -> Tensor:
        x = self.forward_features(x)
        return self.head(x[:, 0])


if __name__ == "__main__":
    model = ViTGated().eval()
    output = model(torch.zeros(1, *SHAPE))
    print(tuple(output.shape), f"{sum(p.numel() for p in model.parameters()):,} parameters")
