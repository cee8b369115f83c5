"""Names of the classes of a file: those of its blocks, and its network's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from composer.dag.composition import Composition
from composer.dag.scope import Node, Scope
from composer.ejecting.fit import identifier
from composer.ejecting.tree import Call, Code
from composer.ejecting.words import rule_in_words, told
from composer.registry import entries
from composer.spec.sites import STAGE

# How networks are written whose names are more than a capital letter.
_SPELLED = {
    "resnet": "ResNet",
    "resnext": "ResNeXt",
    "resnest": "ResNeSt",
    "densenet": "DenseNet",
    "mobilenet": "MobileNet",
    "mobilenetv1": "MobileNetV1",
    "mobilenetv2": "MobileNetV2",
    "mobilenetv3": "MobileNetV3",
    "mobilenext": "MobileNeXt",
    "mobilevit": "MobileViT",
    "convnext": "ConvNeXt",
    "efficientnet": "EfficientNet",
    "efficientnetv2": "EfficientNetV2",
    "googlenet": "GoogLeNet",
    "shufflenet": "ShuffleNet",
    "regnetx": "RegNetX",
    "regnety": "RegNetY",
    "vgg": "VGG",
    "vit": "ViT",
    "deit": "DeiT",
    "maxvit": "MaxViT",
    "mnasnet": "MnasNet",
    "semnasnet": "SEMnasNet",
    "hrnet": "HRNet",
    "nfnet": "NFNet",
    "sknet": "SKNet",
    "lsknet": "LSKNet",
    "botnet": "BoTNet",
    "halonet": "HaloNet",
    "focalnet": "FocalNet",
    "rednet": "RedNet",
    "nlnet": "NLNet",
    "biformer": "BiFormer",
    "coatnet": "CoAtNet",
    "xcit": "XCiT",
    "pvt": "PVT",
    "van": "VAN",
    "eva02": "EVA02",
    "cait": "CaiT",
    "unet": "UNet",
    "fpn": "FPN",
    "mlp": "MLP",
    "cbam": "CBAM",
    "bam": "BAM",
    "eca": "ECA",
    "se": "SE",
    "ese": "ESE",
    "ge": "GE",
    "fca": "FCA",
}


@dataclass
class Names:
    """Gives each class a name that nothing else in the file has."""

    network: Composition
    taken: set[str] = field(default_factory=set)
    num_classes: Any = None

    def of_root(self) -> str:
        """The class of the network."""
        return self._free(class_name(self.network.spec.name))

    def of_form(self, scopes: Sequence[Scope], number: int, count: int) -> str:
        """The class of blocks of one form, the `number`-th of the block's forms."""
        scope = scopes[0]
        parts = scope.path.split(".")
        word = parts[-1] if scope.block == "repeat" else scope.block
        name = class_name(word)
        if number == 0 and name not in self.taken:
            return self._free(name)
        inserted = [node for node in scope.nodes.values() if node.rule is not None and node.role == "used"]
        qualified = [f"{name}With{''.join(class_name(node.op) for node in inserted)}"] if inserted else []
        if not inserted and number:
            qualified.append(f"Plain{name}" if any(node.rule is not None for node in self.network.root.walk()) else "")
        stem = class_name(next((one for one in parts if not one.isdigit()), parts[0]))
        qualified.append(f"{stem}{name}" if stem != name else "")
        return self._free(*[one for one in qualified if one], name)

    def remarks(self, scopes: Sequence[Scope]) -> dict[str, str]:
        """What comments say of the layers of a form: the rule that put them there; of stages, their maps."""
        rules = [rule for rule, _ in self.network.spec.every_rule]
        found: dict[str, str] = {}
        for scope in scopes:
            for name, node in scope.nodes.items():
                if node.rule is not None and node.role == "used":
                    found[name] = told(f"rule {node.rule + 1}: {rule_in_words(rules[node.rule])}")
                elif scope is self.network.root and STAGE in node.sites and node.result is not None:
                    found[name] = self._size(node)
        return {name: text for name, text in found.items() if text}

    def _size(self, node: Node) -> str:
        """The shape of a map beside the image's: `b 256 h/4 w/4`."""
        image, tensor = next(iter(self.network.root.inputs.values())), node.result
        if tensor is None or tensor.layout not in ("b c h w", "b h w c") or image.layout != "b c h w":
            return ""
        parts = {"b": "b", "c": str(tensor.channels)}
        for side in "hw":
            whole, length = image.axis(side), tensor.axis(side)
            if not whole or not length or whole % length:
                return ""
            parts[side] = f"{side}/{whole // length}"
        return " ".join(parts[axis] for axis in tensor.layout.split())

    def of_head(self, node: Node, call: Call) -> Call:
        """The call of a classifier, whose number of outputs is an argument of the network."""
        if "." in node.path or self.num_classes is None:
            return call
        for name in ("out_features", "out_channels"):
            if call.arguments.get(name) == self.num_classes:
                return replace(call, arguments={**call.arguments, name: Code("num_classes")})
        return call

    def _free(self, *wanted: str) -> str:
        name = next((one for one in wanted if one not in self.taken), None)
        number = 2
        while name is None:
            word = f"{wanted[-1]}{number}"
            name = word if word not in self.taken else None
            number += 1
        self.taken.add(name)
        return name


def class_name(text: str) -> str:
    """A name of a block or network as a class is called: `cbam_resnet50` is CBAMResNet50."""
    mechanisms = {entry.name: entry.factory.__name__ for entry in entries("mechanism")}
    words = []
    for word in filter(None, re.split(r"[^0-9A-Za-z]+", text)):
        stem, digits = re.match(r"(.*?[A-Za-z]?)(\d*[a-z]?)$", word).groups() if word else ("", "")  # type: ignore[union-attr]
        if word in _SPELLED:
            words.append(_SPELLED[word])
        elif stem in _SPELLED:
            words.append(_SPELLED[stem] + digits)
        elif mechanisms.get(word, "").lower() == word:
            words.append(mechanisms[word])
        else:
            words.append(word[:1].upper() + word[1:])
    name = "".join(
        f"_{word}" if index and word[:1].isdigit() and words[index - 1][-1:].isdigit() else word
        for index, word in enumerate(words)
    )
    return identifier(name or "Network")
