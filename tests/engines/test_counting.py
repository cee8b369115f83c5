"""Counters of operations and parameters find in a composed network what they find in timm's, to the last one.

thop and ptflops hang a rule on every object of exactly a class that they know. Of what timm derives from torch's they
see nothing, nor of a global pooling that is composer's or timm's own; so they are told what those classes are, by the
argument that each has for it. Without being told, they see all of a composed network but its global pooling.
"""

from __future__ import annotations

import math
from collections import Counter

import ptflops
import ptflops.pytorch_ops
import pytest
import timm.layers
import torchinfo
from calflops import calculate_flops
from engines.networks import images, ours, their_name, theirs
from timm.layers.adaptive_avgmax_pool import FastAdaptiveAvgPool

import composer
from composer.kernels import set_kernels
from composer.layers.pool import GlobalAvgPool2d
from composer.layers.window import WindowAttention


def _counts_pooling(module, inputs, output):
    # An addition for each element and a division for each mean, as thop has it for torch's own.
    module.total_ops += inputs[0].numel() + output.numel()


THOP = {
    GlobalAvgPool2d: _counts_pooling,
    FastAdaptiveAvgPool: _counts_pooling,
    timm.layers.Linear: "count_linear",
    timm.layers.LayerNorm: "count_normalization",
    timm.layers.BatchNormAct2d: "count_normalization",
}


def _thop(model, x, told=True):
    # Only now: it warns where it is imported.
    import thop

    rules = {kind: getattr(thop.vision.basic_hooks, str(rule), rule) for kind, rule in THOP.items()}
    return tuple(thop.profile(model, (x,), custom_ops=rules if told else {}, verbose=False))


def _once(module, inputs, output):
    module.__flops__ += inputs[0].numel()


def _twice(module, inputs, output):
    module.__flops__ += 2 * inputs[0].numel()


def _norm_and_activation(module, inputs, output):
    rule = ptflops.pytorch_ops.MODULES_MAPPING.get(type(module.act), ptflops.pytorch_ops.empty_flops_counter_hook)
    ptflops.pytorch_ops.bn_flops_counter_hook(module, inputs, output)
    module.act.__flops__ = 0
    rule(module.act, (output,), output)
    module.__flops__ += module.act.__flops__


def _projections(module, inputs, output):
    # ptflops has a rule for timm's attention, which counts its products, and for which it leaves its projections out.
    rows = inputs[0].shape[:-1].numel()
    module.__flops__ += rows * sum(one.numel() for one in (*module.qkv.parameters(), *module.proj.parameters()))


PTFLOPS = {
    # It counts torch's own pooling as a module and once more as the call inside of it. Composer's calls it too.
    GlobalAvgPool2d: _once,
    FastAdaptiveAvgPool: _twice,
    timm.layers.Linear: ptflops.pytorch_ops.linear_flops_counter_hook,
    timm.layers.LayerNorm: ptflops.pytorch_ops.bn_flops_counter_hook,
    timm.layers.BatchNormAct2d: _norm_and_activation,
    timm.layers.Attention: _projections,
}


def _ptflops(model, x, told=True):
    return ptflops.get_model_complexity_info(
        model,
        tuple(x.shape[1:]),
        as_strings=False,
        print_per_layer_stat=False,
        backend="pytorch",
        custom_modules_hooks=PTFLOPS if told else {},
    )


COUNTERS = {"thop": (_thop, THOP), "ptflops": (_ptflops, PTFLOPS)}


@pytest.mark.parametrize("counter", COUNTERS)
def test_counts_are_timms(network, counter):
    (count, rules), x = COUNTERS[counter], images(network, 1)
    # By its formulas: ptflops counts the products of our kernel for windows, but not timm's, which are written `@`.
    plain = ours(network)
    set_kernels(plain, "reference")
    assert count(plain, x) == count(theirs(network), x)
    for make in ours, theirs:
        own = [one for one in make(network).modules() if type(one) in rules]
        # What it misses untold is in those classes alone; of composer's that is the pooling.
        assert (count(make(network), x) != count(make(network), x, told=False)) == bool(own)
        assert make is theirs or len(own) <= 1


def _by_operator(model, x):
    # Only now: it warns where it is imported.
    from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(model, x).set_op_handle("aten::scaled_dot_product_attention", _attention_products)
    return dict(analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).by_operator())


def _attention_products(inputs, outputs):
    """Of queries with keys and of what they give with values; fvcore has no rule of its own for the fused kernel."""
    query, key = (one.type().sizes() for one in inputs[:2])
    return 2 * math.prod(query) * key[-2]


def test_fvcores_counts_are_timms(network):
    x = images(network, 1)
    found, wanted = _by_operator(ours(network), x), _by_operator(theirs(network), x)
    if _takes_a_mean(theirs(network)):
        assert found.pop("adaptive_avg_pool2d") == _pooled(network, x)
    assert found == wanted


def test_calflops_counts_are_timms(network):
    x = images(network, 1)
    found, wanted = (
        calculate_flops(make(network), tuple(x.shape), print_results=False, output_as_string=False)
        for make in (ours, theirs)
    )
    flops, macs, parameters = found
    assert (flops - _pooled(network, x) * _takes_a_mean(theirs(network)), macs, parameters) == wanted


def _takes_a_mean(model):
    """Whether timm's global pooling is a mean, which counters of calls pass over, where composer's is a pooling."""
    return any(isinstance(one, FastAdaptiveAvgPool) for one in model.modules())


def _pooled(network, x):
    """How many elements go into the global pooling."""
    seen, model = [], ours(network)
    for one in model.modules():
        if isinstance(one, GlobalAvgPool2d):
            one.register_forward_hook(lambda _, inputs, output: seen.append(inputs[0].numel()))
    model(x)
    return sum(seen)


def _by_layer(model, x):
    """torchinfo's multiplications of each layer, and how many parameters it sees."""
    names = {id(one): name for name, one in model.named_modules()}
    summary, found = torchinfo.summary(model, input_data=x, verbose=0), Counter()
    for one in summary.summary_list:
        # It counts the innermost layers only.
        found[names[id(one.module)]] += one.macs * one.is_leaf_layer
    return +found, summary.total_params


def test_torchinfos_counts_are_timms(network):
    x = images(network, 1)
    model, control = ours(network), theirs(network)
    (found, parameters), (wanted, wanted_parameters) = _by_layer(model, x), _by_layer(control, x)
    assert parameters == wanted_parameters
    accounted = Counter()
    for name, count in found.items():
        block = model.get_submodule(name.rpartition(".")[0])
        if isinstance(control.get_submodule(their_name(name)), timm.layers.BatchNormAct2d):
            continue  # It has an activation inside, and so it is not innermost.
        if isinstance(block, WindowAttention):
            # A linear map counts once for each of its first axis: images here, windows there.
            count *= math.prod(math.ceil(length / side) for length, side in zip(block.size, block.window, strict=True))
        accounted[their_name(name)] = count
    assert accounted == wanted


def test_fvcores_counts_are_composers(network):
    """Of convolutions and matrices it finds as many as composer's summary says."""
    found = _by_operator(ours(network), images(network, 1))
    spec = {"backbone": network.spec} if isinstance(network.spec, str) else network.spec
    wanted = composer.graph({**spec, "input": [3, network.size, network.size]}).num_macs
    assert sum(found.get(name, 0) for name in ("conv", "linear", "scaled_dot_product_attention")) == wanted
