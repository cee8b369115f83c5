"""How a network is trained, as a spec or a file of its own says it: frozen models, in which no value is coerced."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from composer.options import PositiveFloat, PositiveInt, Probability
from composer.spec.augment import Augment

_FROZEN = ConfigDict(extra="forbid", strict=True, frozen=True)


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


# Places as rules have them: a site, a glob over paths, `inserted`, `backbone`; or a list of them.
Places = Annotated[list[str], Field(min_length=1), BeforeValidator(_as_list, json_schema_input_type=str | list[str])]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class OptimizerSpec(BaseModel):
    """An optimizer of `torch.optim`, or of timm, by its name in small letters; further keys are its own arguments.

    name          such as `sgd`, `adamw`, or timm's `lamb`, `lion`
    lr            the learning rate after the warm-up; one for the whole batch, whatever its size
    weight_decay  of all parameters but biases, norms, and tables of positions
    """

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    name: Annotated[str, Field(min_length=1)] = "adamw"
    lr: PositiveFloat = 1e-3
    weight_decay: NonNegative = 0.05

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @property
    def options(self) -> dict[str, Any]:
        """The keys that are the optimizer's own."""
        return dict(self.model_extra or {})


class ScheduleSpec(BaseModel):
    """The learning rate over the training, step by step, as a share of the optimizer's.

    name    `cosine` or `linear`, from 1 down to `floor`; `step`, times `factor` at each epoch of `at`; `constant`
    warmup  epochs in which it grows linearly from 0
    floor   the share at the end of `cosine` and `linear`
    at      epochs, for `step`; may be fractions of one
    factor  what `step` multiplies it with
    """

    model_config = _FROZEN

    name: Literal["cosine", "linear", "step", "constant"] = "cosine"
    warmup: NonNegative = 0.0
    floor: Probability = 0.0
    at: list[PositiveFloat] = []
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


class GroupSpec(BaseModel):
    """Parameters at some places, which are trained in another way; a later group overrides an earlier one.

    at            sites, globs over paths, `inserted` (what rules put in), `backbone` (the rest), `head`
    lr            their learning rate, as a multiple of the optimizer's
    weight_decay  in place of the optimizer's
    warmup        epochs in which their learning rate grows from 0, in place of the schedule's
    freeze        they stay as they are, and their norms keep their statistics; false takes back what the spec or an
                  earlier group freezes
    """

    model_config = _FROZEN

    at: Places
    lr: PositiveFloat = 1.0
    weight_decay: NonNegative | None = None
    warmup: NonNegative | None = None
    freeze: bool = False

    @property
    def changes(self) -> dict[str, Any]:
        """What is different there, as `composer.groups` takes it."""
        found = {"lr": self.lr, "weight_decay": self.weight_decay, "warmup": self.warmup}
        return {name: value for name, value in found.items() if value is not None}


class Recipe(BaseModel):
    """How a network is trained.

    recipe           a recipe of the zoo, or a file, to begin with: the keys here replace its own
    epochs, steps    the length of the training, in passes through the data or in steps of the optimizer; not both (10
                     epochs)
    batch            images in a step of the optimizer, over all devices
    accumulate       passes that a step is made of; `batch` is divided by it
    optimizer        an optimizer, by name, with its arguments
    schedule         of the learning rate
    loss             `cross_entropy`, `bce` (each class against the rest), `mse`, `l1`; by default what the task takes
    label_smoothing  of classes
    augment          what is done to training images
    ema              decay of averaged weights, which are then the ones that are validated and kept
    amp              operations in this type where autocast says so
    dtype            of weights and images; `float64` to compare runs
    clip             the largest norm of the gradients of all parameters
    workers          processes that read images; 0 for none
    seed             of the first weights, the order of images, and all that is drawn
    patience         stop after so many epochs without a better validation
    compile          run code that torch.compile makes
    channels_last    keep maps with their channels innermost
    checkpoint       keep only the inputs of blocks, and run blocks again for their gradients
    groups           places that are trained in another way
    layer_decay      each block's learning rate is this times that of the next, as timm has it
    freeze_norms     batch norms keep their statistics
    save_every       steps after which a checkpoint is written, besides the end of each epoch
    loggers          besides history.csv: `tensorboard`, `wandb`, `mlflow`, as Lightning has them
    look             images on which attention is looked at before and after, as paths from the working folder; or true,
                     for the first validation image of each of the first four classes; or false, for none
    """

    model_config = _FROZEN

    recipe: str | None = None
    epochs: PositiveInt | None = None
    steps: PositiveInt | None = None
    batch: PositiveInt = 64
    accumulate: PositiveInt = 1
    optimizer: OptimizerSpec = OptimizerSpec()
    schedule: ScheduleSpec = ScheduleSpec()
    loss: Literal["cross_entropy", "bce", "mse", "l1"] | None = None
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    augment: Augment = Augment()
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    amp: Literal["bfloat16", "float16"] | None = None
    dtype: Literal["float32", "float64"] = "float32"
    clip: PositiveFloat | None = None
    workers: Annotated[int, Field(ge=0, le=256)] = 0
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    patience: PositiveInt | None = None
    compile: bool = False
    channels_last: bool = False
    checkpoint: bool = False
    groups: list[GroupSpec] = []
    layer_decay: Annotated[float, Field(gt=0, le=1)] | None = None
    freeze_norms: bool = False
    save_every: PositiveInt | None = None
    loggers: list[Literal["tensorboard", "wandb", "mlflow"]] = []
    look: bool | list[str] = True

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"recipe": value} if isinstance(value, str) else value

    def over(self, base: Recipe) -> Recipe:
        """The base, with what is written here in place of its own; of an optimizer or schedule of the same name, and
        of the augmentation, key by key.
        """
        written = {name: getattr(self, name) for name in self.model_fields_set - {"recipe"}}
        if {"epochs", "steps"} & written.keys():
            written = {"epochs": None, "steps": None, **written}
        for name in {"optimizer", "schedule", "augment"} & written.keys():
            mine, theirs = written[name], getattr(base, name)
            if "name" not in mine.model_fields_set or mine.name == theirs.name:
                written[name] = theirs.model_copy(update=_set(mine))
        return base.model_copy(update=written)

    def to_mapping(self) -> dict[str, Any]:
        """The recipe as a file writes it, without what is as usual."""
        found: dict[str, Any] = self.model_dump(exclude_defaults=True)
        return found


def _set(model: BaseModel) -> dict[str, Any]:
    """The fields that were written, those that the model itself does not know too."""
    return {name: getattr(model, name) for name in model.model_fields_set}
