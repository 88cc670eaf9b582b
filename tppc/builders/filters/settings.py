"""The part `[filters]` of a recipe: a table of settings for each filter, tppc's own and those of plug-ins."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, create_model

from tppc.builders.filters import FILTERS
from tppc.builders.filters.agreement import Expected
from tppc.builders.filters.base import Filter, Settings


class _Filters(BaseModel):
    """Settings of every filter, by name."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def by_name(self, learned: float | None = None) -> dict[str, Settings]:
        """Settings of every filter, in the order in which the filters are asked.

        Filters that compare lengths take `target_per_source` of `length_ratio` where they have none of their own.

        Args:
            learned: what stands for `target_per_source = "learned"`.
        """
        found: dict[str, Settings] = {name: getattr(self, name) for name in type(self).model_fields}
        common = found["length_ratio"]
        assert isinstance(common, Expected), "length_ratio compares lengths"
        for name, settings in found.items():
            if isinstance(settings, Expected):
                value = settings.target_per_source or common.target_per_source
                value = learned if value == "learned" and learned is not None else value
                found[name] = settings.model_copy(update={"target_per_source": value})
        return found

    @property
    def learns(self) -> bool:
        """Whether an enabled filter wants to learn from the data."""
        return any(
            isinstance(s, Expected) and s.enabled and s.target_per_source == "learned" for s in self.by_name().values()
        )


@lru_cache
def settings_model(filters: tuple[Filter, ...]) -> type[_Filters]:
    """The model of the settings of these filters: one field a filter, so that a new filter needs no change here."""
    fields: dict[str, Any] = {f.name: (f.settings, f.settings()) for f in filters}
    model: type[_Filters] = create_model("FilterSettings", __base__=_Filters, **fields)
    return model


def settings_of(values: dict[str, object], filters: Sequence[Filter]) -> _Filters:
    """The settings of these filters, out of what a recipe holds; it has been validated before."""
    return settings_model(tuple(filters)).model_validate(values)


if TYPE_CHECKING:
    FilterSettings = _Filters
else:
    FilterSettings = settings_model(FILTERS)
