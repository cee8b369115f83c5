"""What each key of the language means, in a line, as editors show it."""

from __future__ import annotations

from collections.abc import Mapping

# Model -> key -> meaning.
MEANINGS: Mapping[str, Mapping[str, str]] = {
    "SpecFile": {
        "name": "The name of the network. By default that of the backbone, or of the file.",
        "description": "What the network is, in a sentence or two; pictures and pages show it.",
        "backbone": "A network of the zoo (`composer list backbones`), a `.yaml` file, or a model of a library "
        "(`timm:NAME`, `{timm: NAME, args: {…}}`), which this one starts from.",
        "input": "The input: `[channels, height, width]`, or a mapping that also says how images are prepared.",
        "inputs": "The inputs of a network that has several, by name.",
        "vars": "Values that expressions read: those of the backbone set anew, or own ones.",
        "blocks": "Scopes of nodes by name, which nodes instantiate with `block`.",
        "nodes": "The nodes by name. Each takes the output of the one before unless `from` says otherwise.",
        "outputs": "The path of a node, whose tensor the network gives; or `name: path`, for a dict of tensors; or "
        "`levels`: its features at every scale.",
        "maps": "Give the outputs as feature maps b c h w, tokens arranged by their positions.",
        "sites": "Of a model of another library, in place of what is recognised: `site: glob`, or several globs.",
        "attention": "Rules, applied in order: which mechanism goes where.",
        "classes": "Names of the classes: a list, `imagenet1k`, or a `.txt` file with a name a line.",
        "weights": "The weights it starts with: a file, `timm:…`, `torchvision:…`, `hf:…`, or `none`; or those of "
        "networks inside it, `node: weights`.",
        "kernels": "`reference`: mechanisms run their plain formulas. `fused`, as without the key: faster kernels, "
        "where there are some, with the same numbers up to rounding. Without the key, networks inside follow their own "
        "files.",
        "freeze": "Places whose parameters stay as they are, and whose batch norms keep their statistics: sites, "
        "globs, `inserted`, `backbone`; or `{all_but: …}`.",
        "train": "How the network is trained: a recipe (`composer list recipes`), a `.yaml` file, or a mapping.",
        "published": "The results that a paper measured with this network.",
        "lock": "Written by `composer build`: the versions and hashes of what the network was made with.",
    },
    "SourceSpec": {
        "timm": "The name of a model of timm, such as `resnet50.a1_in1k`.",
        "torchvision": "The name of a model of torchvision, such as `resnet50`.",
        "transformers": "The configuration of a model of transformers, with its `model_type`.",
        "smp": "An architecture of segmentation_models_pytorch, such as `Unet`.",
        "python": "`package.module:factory` of your own. It runs code, which `--allow-code` permits.",
        "class": "The class of transformers to make; by default what `AutoModel` makes of the configuration.",
        "args": "Arguments of the model's factory. Weights are no arguments: they go to `weights`.",
    },
    "OutputSpec": {
        "from": "The path of the node whose tensor it is.",
        "only": "`training`: in eval the network neither computes nor gives it; its weights are there all the same.",
        "when": "If false, the network has no such output: an expression of the vars.",
    },
    "NodeSpec": {
        "backbone": "The network that this node is, with `vars`, `outputs` and `attention` of its own.",
        "op": "The operation: a layer or mechanism. Further keys of the node are its options.",
        "block": "The block of `blocks` that this node is, with `args`.",
        "from": "What it takes: a node, `node.output`, an input of the scope, a path into a node, `repeat.*` for all "
        "copies of a repeat (or nodes of a block), an expression, or a list of these. What reads `index` is each "
        "copy's own.",
        "when": "If false, the node is left out: it passes its first input on.",
        "site": "Names under which rules find the node, such as `branch`.",
        "repeat": "How many copies stand one behind the other, each on the outputs of the one before. They know "
        "`index`, from 0, and `repeat`.",
        "as": "The names of the copies of a `repeat`, such as `layer${index + 1}`.",
        "inline": "The copies of a `repeat` become nodes of the scope itself.",
        "args": "The arguments of the `block`.",
        "share": "The node whose weights this node uses too.",
    },
    "PartSpec": {
        "site": "Names under which rules find each instance of the block.",
        "backbone": "The network that this block or node is: of the zoo, a `.yaml` file, or by a var (`$encoder`).",
        "vars": "Vars of that network, whose values may be expressions of this one.",
        "outputs": "Its outputs: a path in it, `name: path`, or `levels`: its features at every scale, `c1`, `c2` …",
        "maps": "Give its outputs as feature maps b c h w, tokens arranged by their positions.",
        "attention": "Rules of its own. Their paths begin inside it.",
        "weights": "The weights it starts with: a file, `timm:…`, `torchvision:…`, `hf:…`, or `none`.",
        "description": "What the block is, in a sentence. Pages show it at every instance.",
    },
    "BlockSpec": {
        "site": "Names under which rules find each instance of the block.",
        "numbered": "All operations inside become one sequence, named 0, 1, 2 …",
        "inputs": "Names of the tensors that the block takes; by default `input`.",
        "args": "Arguments and their defaults. One without a default must be given.",
        "vars": "Values that the block's expressions read, computed from its arguments and inputs.",
        "nodes": "The nodes of the block by name. Its output is the last one unless `outputs` names others.",
        "outputs": "Outputs by name: `name: node`.",
        "kind": "The kind of mechanism that the block is where a rule uses it, for lists.",
        "layout": "The layout in which the block works where a rule uses it; by default any.",
        "description": "What the block is, in a sentence. Pages show it at every instance.",
    },
    "Rule": {
        "use": "What is inserted: a mechanism (`composer list mechanisms`), a block of the spec, or a layer.",
        "before": "Put it before these places: a site, a glob over paths, or a list of them.",
        "after": "Put it after these places: a site, a glob over paths, or a list of them.",
        "replace": "Put it in place of these nodes: a site, a glob over paths, or a list of them.",
        "beside": "Add its output to that of these nodes, from the same input: a site, a glob, or a list of them.",
        "remove": "Take these nodes out: a site, a glob over paths, or a list of them.",
        "input": "Which input of its place the mechanism takes: a number from 0, or the name of what comes in.",
        "output": "Which output of a module of another library it edits: a number in a tuple, or a key of a mapping.",
        "from": "Further tensors that the mechanism takes: its argument -> a path, such as `../downsample`.",
        "where": "A condition that a place must meet, such as `stage > 1 and not last`.",
        "every": "Of the places that `where` leaves, only the 2nd, 4th … for `2`.",
        "with": "Options of the mechanism or layer (`composer show` lists them), or arguments of the block.",
        "expect": "The number of places; any other is an error.",
        "name": "The name of the inserted nodes, in place of the mechanism's.",
        "start": "`identity`: y = host + γ·(changed − host), γ starts at 0, so that nothing changes at first.",
        "tokens": "What is a token for a mechanism on tokens at a feature map: its `pixels` or its `channels`.",
        "share": "Use one mechanism at all places of a `stage`, or at `all`; or only its named children.",
        "description": "What the rule is for, in a sentence. Pages show it.",
    },
    "InputSpec": {
        "shape": "Lengths of the axes, without the batch: `[channels, height, width]`.",
        "layout": "Names of the axes, such as `b c h w`.",
        "grid": "Height and width of the map from which tokens `b n c` come; further tokens stand before it.",
        "mean": "Mean of each channel, for values in 0..1; it is subtracted.",
        "std": "Standard deviation of each channel, for values in 0..1; it divides.",
        "interpolation": "How images are resized.",
        "crop": "The share of the resized shorter side that the centre crop keeps.",
    },
    "WeightsSpec": {
        "source": "A file, its path relative to this one's; `timm:…`, `torchvision:…`, `hf:…`; or `none`.",
        "require": "How much the weights must fill: the `backbone` (default), `all`, or `any` part that fits.",
        "match": "By `name`, or in the `order` in which tensors stand in the file.",
        "keys": "A key map (`composer list keys`) or a `.yaml` file: the file's names -> ours.",
        "ema": "Take the averaged weights of a checkpoint that holds both.",
        "entry": "The entry to take, dotted, of a checkpoint that holds several sets of weights.",
        "prefix": "What the names in the file begin with, if several prefixes fit.",
        "sha256": "The hash that the file must have, in hexadecimal.",
    },
    "Published": {
        "table": "The number of the article's table, or what else prints the row.",
        "architecture": "The architecture, as the table names it.",
        "mechanism": "The mechanism, as the table names it.",
        "top1": "Accuracy on ImageNet in percent.",
        "images_per_second": "The authors' throughput, on their hardware.",
        "note": "What else the table says of the row.",
        "parameters": "Parameters as the paper prints them, such as `28.09 M`.",
        "macs": "Multiply-accumulates as the paper prints them, such as `3.9 G`.",
        "counter": "What the paper counts beside convolutions and matrices: norms, or ReLUs and poolings too.",
        "deviates": "This network's own figures, where they differ from the paper's, and the reason.",
    },
    "declaration": {
        "default": "The value without which the var is not set.",
        "kind": "The kind of its values; by default that of the default.",
        "minimum": "The smallest value; of a list, of each item.",
        "maximum": "The largest value; of a list, of each item.",
        "choices": "The allowed values; of a list, of each item.",
        "needs": "Other vars and the values that they must have for this one to be read.",
        "description": "What the var does, in a line: `composer show` has it.",
    },
}
