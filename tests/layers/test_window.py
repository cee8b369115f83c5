"""Window attention against its equation pixel by pixel, and the merging of patches by hand."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

import composer
from composer.layers.token import map_to_tokens, prepend_token, resize_positions, take_token, tokens_to_map
from composer.layers.window import WindowAttention, merge_patches


def slow(layer: WindowAttention, x: torch.Tensor, window: int, shift: int) -> torch.Tensor:
    """Each position looks at those of its window in the rolled map that are as far off in the map itself."""
    height, width, channels = x.shape
    rows, columns = min(window, height), min(window, width)
    down, right = (shift if length > window else 0 for length in (height, width))
    heads = layer.num_heads
    # A map that does not divide is padded behind the roll: those positions have a query, key and value as well.
    tall, wide = -(-height // rows) * rows, -(-width // columns) * columns
    padded = torch.zeros(tall, wide, channels, dtype=x.dtype)
    for y in range(height):
        for z in range(width):
            padded[y, z] = x[(y + down) % height, (z + right) % width]
    q, k, v = layer.qkv(padded).view(tall, wide, 3, heads, -1).unbind(2)
    result = torch.zeros_like(x)

    def region(position: int, length: int, side: int, moved: int) -> int:
        return 0 if not moved or position < length - side else 1 if position < length - moved else 2

    for y in range(height):
        for z in range(width):
            seen = [
                (a, b)
                for a in range(y // rows * rows, y // rows * rows + rows)
                for b in range(z // columns * columns, z // columns * columns + columns)
                if region(a, tall, rows, down) == region(y, tall, rows, down)
                and region(b, wide, columns, right) == region(z, wide, columns, right)
            ]
            mixed = []
            for head in range(heads):
                logits = torch.stack(
                    [
                        q[y, z, head] @ k[a, b, head] / (channels // heads) ** 0.5
                        + layer.relative_position_bias_table[
                            (y - a + rows - 1) * (2 * columns - 1) + z - b + columns - 1, head
                        ]
                        for a, b in seen
                    ]
                )
                values = torch.stack([v[a, b, head] for a, b in seen])
                mixed.append(logits.softmax(0) @ values)
            result[(y + down) % height, (z + right) % width] = layer.proj(torch.cat(mixed))
    return result


@pytest.mark.parametrize(
    ("height", "width", "window", "shift"),
    [(6, 6, 3, 0), (6, 6, 3, 1), (8, 4, 4, 2), (5, 7, 3, 1), (2, 9, 4, 2), (3, 3, 7, 3)],
)
def test_each_position_mixes_its_window(height, width, window, shift):
    generator = torch.Generator().manual_seed(0)
    layer = WindowAttention(6, height, width, num_heads=2, window=window, shift=shift).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, generator=generator)
    x = torch.randn(2, height, width, 6, dtype=torch.float64, generator=generator)
    found = layer(x)
    assert torch.allclose(found, torch.stack([slow(layer, one, window, shift) for one in x]), atol=1e-12)


def test_of_a_shifted_map_the_edges_do_not_see_one_another():
    layer = WindowAttention(2, 4, 4, num_heads=1, window=2, shift=1)
    x = torch.randn(1, 4, 4, 2, requires_grad=True)
    layer(x)[0, 0, 0].sum().backward()
    assert (x.grad[0].abs().sum(-1) > 0).nonzero().tolist() == [[0, 0]]
    x.grad = None
    layer(x)[0, 1, 1].sum().backward()
    assert (x.grad[0].abs().sum(-1) > 0).nonzero().tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]


def test_what_window_attention_refuses():
    with pytest.raises(ValueError, match="10 channels do not divide into 3 heads"):
        WindowAttention(10, 4, 4, num_heads=3)
    with pytest.raises(ValueError, match="set shift to 3"):
        WindowAttention(6, 4, 4, num_heads=3, shift=7)
    with pytest.raises(ValueError, match="built for maps of 4×4, found 4×8"):
        WindowAttention(6, 4, 4, num_heads=3)(torch.zeros(1, 4, 8, 6))
    spec = {"input": [6, 4, 4], "nodes": {"tested": {"op": "window_attention", "num_heads": 2}}}
    with pytest.raises(composer.GraphError, match="works on `b h w c`, found `b c h w`"):
        composer.graph(spec)


def test_a_patch_goes_into_the_channels():
    x = torch.arange(6.0).view(1, 2, 3, 1)
    assert merge_patches(x).tolist() == [[[[0, 3, 1, 4], [2, 5, 0, 0]]]]


# Several windows, shifted and padded; one window.
SIZES = [(14, 14, 0), (14, 14, 3), (9, 12, 3), (7, 7, 3)]


def built(height, width, shift):
    torch.manual_seed(0)
    return WindowAttention(8, height, width, num_heads=2, shift=shift)


@pytest.mark.parametrize(("height", "width", "shift"), SIZES)
def test_it_is_traced(height, width, shift):
    for training in (False, True):
        layer = torch.nn.Sequential(built(height, width, shift)).train(training)
        traced = torch.fx.symbolic_trace(layer)
        x = torch.randn(2, height, width, 8)
        for one in (traced, copy.deepcopy(traced), pickle.loads(pickle.dumps(traced))):
            assert torch.equal(one(x), layer(x))
    with pytest.raises(ValueError, match="build it for that size"):
        traced(torch.randn(2, height + 1, width, 8))


class Tokens(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.token = torch.nn.Parameter(torch.randn(1, 1, 3))
        self.positions = torch.nn.Parameter(torch.randn(1, 5, 3))

    def forward(self, x):
        sequence = prepend_token(self.token, map_to_tokens(x))
        sequence = sequence + resize_positions(self.positions, source=(2, 2), target=(4, 6), skip=1)
        return tokens_to_map(sequence[:, 1:], x), take_token(sequence), merge_patches(x)


def test_functions_of_tokens_are_traced():
    module, x = Tokens(), torch.randn(2, 3, 4, 6)
    traced = pickle.loads(pickle.dumps(torch.fx.symbolic_trace(module)))
    for found, expected in zip(traced(x), module(x), strict=True):
        assert torch.equal(found, expected)


def garbage(module):
    """What memory that nobody wrote may hold."""
    for tensor in (*module.parameters(), *module.buffers()):
        tensor.data.fill_(float("nan") if tensor.is_floating_point() else 1)


@pytest.mark.parametrize("assign", [False, True])
def test_derived_buffers_come_back_with_the_weights(assign):
    layer, x = built(14, 14, 3), torch.randn(2, 14, 14, 8)
    with torch.device("meta"):
        other = WindowAttention(8, 14, 14, num_heads=2, shift=3)
    if not assign:
        other.to_empty(device="cpu")
        garbage(other)
    other.load_state_dict(layer.state_dict(), assign=assign)
    assert torch.equal(other(x), layer(x))


def test_derived_buffers_come_back_by_timms_name():
    spec = {
        "input": {"shape": [14, 14, 8], "layout": "b h w c"},
        "nodes": {"one": {"op": "window_attention", "num_heads": 2, "shift": 3}},
    }
    model, x = composer.build(spec).double(), torch.randn(2, 14, 14, 8, dtype=torch.float64)
    expected = model(x)
    weights = {name: value.clone() for name, value in model.named_parameters()}
    garbage(model)
    with torch.no_grad():
        for name, value in model.named_parameters():
            value.copy_(weights[name])
    for module in model.modules():
        if isinstance(module, WindowAttention):
            module.init_non_persistent_buffers()
    assert torch.equal(model(x), expected)


def to_onnx(module, x, other):
    """The largest difference of what onnxruntime computes with another batch."""
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    dynamic = ({0: torch.export.Dim("batch")},)
    program = torch.onnx.export(module, (x,), dynamo=True, dynamic_shapes=dynamic, verbose=False)
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    (found,) = session.run(None, {session.get_inputs()[0].name: other.numpy()})
    return (torch.from_numpy(found) - module(other)).abs().max().item()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("height", "width", "shift"), [SIZES[3], pytest.param(*SIZES[1], marks=pytest.mark.slow)])
@torch.no_grad()
def test_onnx(height, width, shift):
    layer = built(height, width, shift).eval()
    assert to_onnx(layer, torch.randn(2, height, width, 8), torch.randn(3, height, width, 8)) < 1e-5


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@torch.no_grad()
def test_onnx_of_swin():
    """Its last stage is one window, where a result may be looked at in a way that it lies in no longer."""
    model = composer.build("swin_tiny_patch4_window7_224", vars={"num_classes": 10}).eval()
    assert to_onnx(model, torch.randn(2, 3, 224, 224), torch.randn(3, 3, 224, 224)) < 1e-4
