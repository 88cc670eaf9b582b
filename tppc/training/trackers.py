"""Where a run's numbers go beside `metrics.jsonl`: TensorBoard, Weights & Biases, trackio.

Each is a place with two functions. Weights & Biases works without a network where WANDB_MODE=offline is set
(`wandb sync` sends the run later), trackio keeps everything on this machine unless told of a Space. Both name the run
after its folder and an identifier that `tracking.json` keeps, so that a resumed run goes on where it was.
"""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tppc.corpora.files import canonical_json, write_bytes
from tppc.errors import TppcError, UsageError

TrackerName = Literal["tensorboard", "wandb", "trackio"]
IDENTITY = "tracking.json"
_PROJECT = "tppc"


@dataclass(frozen=True)
class Place:
    """A place for numbers: `log(step, numbers)` with flat names, and `close()`."""

    log: Callable[[int, Mapping[str, float]], None]
    close: Callable[[], None]


def check_trackers(names: Sequence[TrackerName]) -> None:
    """Raise `UsageError` for a tracker whose library is not installed."""
    for name in names:
        if name != "tensorboard" and importlib.util.find_spec(name) is None:
            raise UsageError(f"the tracker {name!r} needs a library that is not installed: pip install 'tppc[{name}]'")


def open_places(names: Sequence[TrackerName], out: Path, done: int, config: Mapping[str, Any]) -> list[Place]:
    """Open the places named, in order.

    Args:
        out: the run's folder. done: steps that are finished; what was logged after them is void. config: all settings.

    Raises `UsageError` for a library that is not installed, `TppcError` where a tracker cannot start.
    """
    check_trackers(names)
    places = []
    for name in dict.fromkeys(names):
        if name == "tensorboard":
            places.append(_tensorboard(out, done))
        else:
            opener = _wandb if name == "wandb" else _trackio
            places.append(opener(out, _identity(out), config))
    return places


def _tensorboard(out: Path, done: int) -> Place:
    from torch.utils.tensorboard import SummaryWriter

    board = SummaryWriter(str(out / "tensorboard"), purge_step=done + 1 if done else None)

    def log(step: int, numbers: Mapping[str, float]) -> None:
        for name, number in numbers.items():
            board.add_scalar(name, number, step)

    return Place(log, board.close)


def _identity(out: Path) -> str:
    """The run's name at trackers: drawn once, then kept in the run's folder."""
    file = out / IDENTITY
    if file.is_file():
        try:
            return str(json.loads(file.read_bytes())["id"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TppcError(
                f"{file}: cannot be read ({error}); delete it, and trackers show the rest as a new run"
            ) from error
    name = f"{out.resolve().name}-{secrets.token_hex(4)}"
    write_bytes(file, canonical_json({"id": name}))
    return name


def _wandb(out: Path, name: str, config: Mapping[str, Any]) -> Place:
    import wandb

    try:
        run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", _PROJECT),
            id=name,
            name=out.resolve().name,
            dir=str(out),
            config=dict(config),
            resume="allow",
            settings=wandb.Settings(silent=True, console="off"),
        )
    except (wandb.Error, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise TppcError(
            f"Weights & Biases cannot start ({reason}); log in with `wandb login`, set WANDB_MODE=offline, or leave it "
            "out of `track`"
        ) from error
    # Steps that are done again after a resume have numbers below the last one that wandb knows, which it would refuse
    # as its own steps: so the step is a number among others, and the axis of all.
    run.define_metric("step")
    run.define_metric("*", step_metric="step")
    return Place(lambda step, numbers: run.log({"step": step, **numbers}), run.finish)


def _trackio(out: Path, name: str, config: Mapping[str, Any]) -> Place:
    import trackio

    try:
        with redirect_stdout(sys.stderr):  # it greets on standard output, which is for results
            trackio.init(
                project=os.environ.get("TRACKIO_PROJECT", _PROJECT), name=name, config=dict(config), resume="allow"
            )
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise TppcError(f"trackio cannot start ({reason}); leave it out of `track`") from error

    def close() -> None:
        with redirect_stdout(sys.stderr):
            trackio.finish()  # type: ignore[no-untyped-call]

    return Place(lambda step, numbers: trackio.log(dict(numbers), step=step), close)
