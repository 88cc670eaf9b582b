"""Read the encoders of one comparison alike.

A folder that tppc saved declares how it pools, its prefix and where it cuts; the plain encoder beside it declares
nothing and would be read at [CLS], without prefix, up to its own limit. A difference between the two would then measure
the reading as much as the training. So what one encoder leaves open is filled in from those that declare it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tppc.encoders import load
from tppc.errors import UsageError

if TYPE_CHECKING:
    from tppc.encoders.load import Encoder

RoleName = TypeVar("RoleName", bound=str)
_FIRST = ("trained", "control", "baseline")  # whose word counts first for a role that declares nothing


def load_alike(
    given: Mapping[RoleName, str | Encoder],
    *,
    pooling: str | None = None,
    prefix: str | None = None,
    device: str | None = None,
    layer: int | None = None,
) -> dict[RoleName, Encoder]:
    """Load encoders by role and read them alike, see `read_alike`. Encoders that are loaded already are taken as such.

    With `layer`, all of them are read at that layer's output (`tppc.encoders.load.at_layer`).

    Raises `UsageError` for a pooling that one of them does not have, `TppcError` for one that cannot be loaded.
    """
    loaded = {
        role: load.load_encoder(one, pooling=pooling, prefix=prefix, device=device) if isinstance(one, str) else one
        for role, one in given.items()
    }
    alike = read_alike(given, loaded, pooling=pooling, prefix=prefix)
    return alike if layer is None else {role: load.at_layer(one, layer) for role, one in alike.items()}


def read_alike(
    given: Mapping[RoleName, str | Encoder],
    loaded: Mapping[RoleName, Encoder],
    *,
    pooling: str | None = None,
    prefix: str | None = None,
) -> dict[RoleName, Encoder]:
    """The loaded encoders, with one pooling, prefix and maximum length as far as they leave it open.

    Args:
        given: what each was loaded from; an encoder in place of a name declares its own pooling and prefix.
        pooling, prefix: for all of them, whatever they declare.

    Pooling and prefix of a role that declares none are those of the first of trained, control and baseline that does.
    Roles that declare different ones keep them: `describe` says so. The maximum length is the least of all.

    Raises `UsageError` for a pooling that one of them does not have.
    """
    declared = {role: _declared(one) for role, one in given.items()}
    order = sorted(given, key=lambda role: _FIRST.index(role) if role in _FIRST else len(_FIRST))

    def resolved(role: RoleName, key: str, override: str | None) -> Any:
        if override is not None:
            return override
        if key in declared[role]:
            return getattr(loaded[role], key)
        says = next((r for r in order if key in declared[r]), order[0])
        return getattr(loaded[says], key)

    shortest = min(one.max_length for one in loaded.values())
    return {
        role: _read_as(one, resolved(role, "pooling", pooling), resolved(role, "prefix", prefix), shortest)
        for role, one in loaded.items()
    }


def describe(encoders: Mapping[RoleName, Encoder]) -> str:
    """How encoders are read, as it stands in a result's protocol: the same words for every role of a comparison."""
    parts = [_setting("pooling", {role: one.pooling for role, one in encoders.items()})]
    if any(one.prefix for one in encoders.values()):
        parts.append(_setting("prefix", {role: repr(one.prefix) for role, one in encoders.items()}))
    if any(one.layer is not None for one in encoders.values()):
        parts.append(_setting("layer", {role: str(one.layer) for role, one in encoders.items()}))
    parts.append(_setting("max_length", {role: str(one.max_length) for role, one in encoders.items()}))
    return "; ".join(parts)


def differently_read(encoders: Mapping[RoleName, Encoder]) -> bool:
    """Whether two of the encoders declare different ways to be read and so keep them."""
    return len({(one.pooling, one.prefix) for one in encoders.values()}) > 1


def _declared(given: str | Encoder) -> frozenset[str]:
    """Which settings an encoder says itself. A hub name says none: only folders are looked into."""
    if not isinstance(given, str) or (Path(given) / load.SETTINGS).is_file():
        return frozenset(("pooling", "prefix"))
    if (Path(given) / "1_Pooling" / "config.json").is_file():
        return frozenset(("pooling",))
    return frozenset()


def _read_as(encoder: Encoder, pooling: Any, prefix: str, max_length: int) -> Encoder:
    if pooling == "pooler" and getattr(encoder.model, "pooler", None) is None:
        raise UsageError(
            f"{encoder.name}: this model has no pooler layer, which the other encoder is read with; "
            "use --pooling cls or --pooling mean"
        )
    return replace(encoder, pooling=pooling, prefix=prefix, max_length=max_length)


def _setting(name: str, values: Mapping[RoleName, str]) -> str:
    """`pooling=mean` where all roles agree, else `pooling differs: cls (baseline), mean (trained)`."""
    different = list(dict.fromkeys(values.values()))
    if len(different) == 1:
        return f"{name}={different[0]}"
    return f"{name} differs: " + ", ".join(f"{value} ({role})" for role, value in values.items())
