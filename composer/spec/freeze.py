"""What a spec freezes: places as rules have them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from composer.spec.recipe import Places


class FreezeSpec(BaseModel):
    """Places whose parameters stay as they are, and whose batch norms keep their statistics.

    at       the places: sites, globs over paths, `inserted` (what rules put in), `backbone` (the rest)
    all_but  they are all others; one of the two
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    at: Places | None = None
    all_but: Places | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"at": value} if isinstance(value, str | list) else value

    @model_validator(mode="after")
    def _one_of_both(self) -> FreezeSpec:
        if (self.at is None) == (self.all_but is None):
            raise ValueError("`freeze` takes `at` or `all_but`")
        return self
