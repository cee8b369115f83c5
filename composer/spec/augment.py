"""How training images are altered: a part of a recipe."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, model_validator

from composer.options import STRICT, Probability

# The shares and ratios of a random crop; a smaller part of a photograph holds no object any more.
Share = Annotated[float, Field(gt=0, le=1)]
Ratio = Annotated[float, Field(ge=0.05, le=20)]
# A factor is drawn from 1 - strength to 1 + strength.
Strength = Annotated[float, Field(ge=0, le=1)]
# Of a Beta distribution; 0 leaves the mixing out.
Mixing = Annotated[float, Field(ge=0, le=100)]


class ColorJitter(BaseModel):
    """Factors of brightness, contrast and saturation, and a turn of the hue, drawn anew for each image.

    brightness  the factor is drawn from [1 - brightness, 1 + brightness]
    contrast    likewise
    saturation  likewise
    hue         at most this share of a full turn, to either side
    """

    model_config = STRICT

    brightness: Strength = 0.0
    contrast: Strength = 0.0
    saturation: Strength = 0.0
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0


class RandAugment(BaseModel):
    """Operations drawn for each image from a list of fourteen. Cubuk et al., CVPRW 2020. arXiv:1909.13719

    ops        how many follow one another
    magnitude  how strong they are, from 0 to 30
    """

    model_config = STRICT

    ops: Annotated[int, Field(ge=1, le=14)] = 2
    magnitude: Annotated[int, Field(ge=0, le=30)] = 9


class Augment(BaseModel):
    """How training images are altered. Nothing is, unless it is written.

    crop            the least and the largest share of the image's area that a random crop keeps, such as [0.08, 1]; the
                    crop is scaled to the input's size. Without it, images are prepared as for evaluation
    ratio           the least and the largest width : height of that crop
    pad             pixels of black around the prepared image, of which a random part of the input's size is kept
    flip            mirror left and right, in half of the cases
    vertical_flip   mirror up and down, in half of the cases
    color           jitter of colours; a number is the strength of brightness, contrast and saturation
    randaugment     RandAugment
    trivialaugment  one operation of random strength. Müller and Hutter, ICCV 2021. arXiv:2103.10158
    erase           the probability that a rectangle is erased. Zhong et al., AAAI 2020. arXiv:1708.04896
    mixup           alpha of mixup, 0: none. Zhang et al., ICLR 2018. arXiv:1710.09412
    cutmix          alpha of CutMix, 0: none. Yun et al., ICCV 2019. arXiv:1905.04899; with both, a batch takes one of
                    the two, each as often
    """

    model_config = STRICT

    crop: tuple[Share, Share] | None = None
    ratio: tuple[Ratio, Ratio] = (3 / 4, 4 / 3)
    pad: Annotated[int, Field(ge=0, le=1024)] = 0
    flip: bool = False
    vertical_flip: bool = False
    color: ColorJitter | None = None
    randaugment: RandAugment | None = None
    trivialaugment: bool = False
    erase: Probability = 0.0
    mixup: Mixing = 0.0
    cutmix: Mixing = 0.0

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        value = dict(value)
        # YAML gives lists, and strict tuples take none.
        for name in ("crop", "ratio"):
            if isinstance(value.get(name), list):
                value[name] = tuple(value[name])
        color = value.get("color")
        if isinstance(color, int | float) and not isinstance(color, bool):
            value["color"] = {"brightness": color, "contrast": color, "saturation": color}
        if isinstance(value.get("randaugment"), bool):
            value["randaugment"] = {} if value["randaugment"] else None
        return value

    @model_validator(mode="after")
    def _together(self) -> Augment:
        for name in ("crop", "ratio"):
            least, largest = getattr(self, name) or (0, 0)
            if least > largest:
                raise ValueError(f"`{name}` with the smaller number first, not [{least:g}, {largest:g}]")
        if self.crop and self.pad:
            raise ValueError("`crop` or `pad`: each says how a random part is taken")
        if self.randaugment and self.trivialaugment:
            raise ValueError("`randaugment` or `trivialaugment`: each chooses operations")
        return self

    @property
    def mixes(self) -> bool:
        """Whether images of a batch are mixed."""
        return self.mixup > 0 or self.cutmix > 0
