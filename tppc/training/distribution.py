"""Several processes that train as one: started by torchrun, joined by gloo (CPU) or nccl (GPUs).

Every rank reads the same global batch, takes every W-th pair of it, and gathers the embeddings of the others. The
gather is differentiable: its backward sums, over all ranks, the gradients they hold for this rank's rows. Each rank
computes its own rows' share of the loss, divided by global counts; after the backward passes the gradients are summed
(`sum_gradients`). Losses and gradients are then those of one process.
"""

from __future__ import annotations

import datetime
import gc
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from tppc.errors import TppcError

T = TypeVar("T")
_BUCKET = 8 * 2**20  # numbers: 32 MiB of float32


@dataclass(frozen=True)
class Ranks:
    """This process's place: `rank` of `world`, computing on `device`."""

    rank: int
    world: int
    device: torch.device

    @property
    def main(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0


@contextmanager
def joined(device: str | None = None) -> Iterator[Ranks]:
    """Join the process group that torchrun's environment describes, if any, and leave it at the end.

    Who is in it already stays in it: a caller that trains several times joins once around them all.
    """
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    cuda = torch.cuda.is_available() and device != "cpu"
    place = torch.device("cuda", local) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(place)
    if world == 1 or dist.is_initialized():
        yield Ranks(rank, world, place)
        return
    # Small host-side sums go over gloo also on GPUs, so that they do not stall the device.
    backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
    dist.init_process_group(backend, timeout=datetime.timedelta(minutes=30))
    try:
        yield Ranks(rank, world, place)
    finally:
        # A DDP module that is still waiting in a reference cycle keeps gloo's threads alive beyond the group, and one
        # that wants the interpreter's lock while it shuts down aborts a process that had done its work.
        gc.collect()
        dist.destroy_process_group()


def on_main(ranks: Ranks, work: Callable[[], T]) -> T:
    """Do `work` on rank 0 and give every rank its result; a `TppcError` there ends the other ranks quietly."""
    if ranks.world == 1:
        return work()
    box: list[Any] = [None, None]
    failure: Exception | None = None
    if ranks.main:
        try:
            box[0] = work()
        except Exception as error:
            failure, box[1] = error, getattr(error, "exit_code", 1)
    dist.broadcast_object_list(box, src=0)
    if failure is not None:
        raise failure
    if box[1] is not None:
        _leave_quietly(box[1])
    result: T = box[0]
    return result


def everywhere(ranks: Ranks, work: Callable[[], T]) -> T:
    """Do `work` on every rank; where it raises a `TppcError` on rank 0, that one is enough and the others end quietly.

    A rank that fails alone says why itself, and no rank waits for one that is gone.
    """
    failure: TppcError | None = None
    try:
        result = work()
    except TppcError as error:
        failure = error
    failed, main_failed = sum_over_ranks(ranks, [float(failure is not None), float(ranks.main and failure is not None)])
    if failure is not None and (ranks.main or not main_failed):
        raise failure
    if failed:
        _leave_quietly(failure.exit_code if failure else 1)
    return result


def raise_once(ranks: Ranks, error: TppcError) -> NoReturn:
    """Raise an error that every rank has come to alike: rank 0 raises it, the others end quietly."""
    if ranks.main:
        raise error
    _leave_quietly(error.exit_code)


def _leave_quietly(code: int) -> NoReturn:
    """End this process without a word, after rank 0 has had time for its sentence: torchrun ends all with the first."""
    time.sleep(1)
    raise SystemExit(code)


def sum_over_ranks(ranks: Ranks, values: list[float]) -> list[float]:
    """Sums of host numbers over all ranks (float64)."""
    if ranks.world == 1:
        return values
    tensor = torch.tensor(values, dtype=torch.float64)
    dist.all_reduce(tensor)
    return [float(v) for v in tensor]


def everyones(ranks: Ranks, mine: T) -> list[T]:
    """What each rank has, in the order of ranks, on every rank: small host-side things (they are pickled)."""
    if ranks.world == 1:
        return [mine]
    box: list[Any] = [None] * ranks.world
    dist.all_gather_object(box, mine)
    return box


class _Total(torch.autograd.Function):
    """The sum of a tensor over ranks; backward sums the gradients that the ranks hold for it."""

    @staticmethod
    def forward(context: Any, local: Tensor) -> Tensor:
        total = local.contiguous().clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return total


def total_over_ranks(ranks: Ranks, local: Tensor) -> Tensor:
    """The sum of `local` over all ranks, with exact gradients for losses that are shares."""
    if ranks.world == 1:
        return local
    total: Tensor = _Total.apply(local)  # type: ignore[no-untyped-call]
    return total


def sum_gradients(ranks: Ranks, parameters: Iterable[nn.Parameter]) -> None:
    """Sum the gradients of all ranks, once a step and in place; a gradient that a rank lacks counts as 0.

    Shares of losses are divided by global counts, so gradients add up where DistributedDataParallel would average. It
    also hooks into one forward and backward pass, where a step here may have several (pieces that are computed twice,
    masked texts, heads that see the whole batch): one exchange after the last of them is the same without `no_sync`
    and without parameters that DDP waits for in vain. Buckets of 32 MiB travel while the next is being copied.
    """
    if ranks.world == 1:
        return
    bucket: list[nn.Parameter] = []
    sent: list[tuple[list[nn.Parameter], Tensor, Any]] = []

    def send() -> None:
        if bucket:
            flat = torch.cat([p.grad.reshape(-1) for p in bucket if p.grad is not None])
            sent.append((list(bucket), flat, dist.all_reduce(flat, async_op=True)))
            bucket.clear()

    size = 0
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        if size + parameter.numel() > _BUCKET:
            send()
            size = 0
        bucket.append(parameter)
        size += parameter.numel()
    send()
    for members, flat, handle in sent:
        handle.wait()
        for parameter, part in zip(members, torch.split(flat, [p.numel() for p in members]), strict=True):
            assert parameter.grad is not None
            parameter.grad.copy_(part.view_as(parameter))


class _AllGather(torch.autograd.Function):
    """[n, ...] of each rank to [W, n, ...] on every rank; backward sums the gradients of all ranks for the own rows."""

    @staticmethod
    def forward(context: Any, local: Tensor, rank: int, world: int) -> Tensor:
        context.rank = rank
        parts = [torch.empty_like(local) for _ in range(world)]
        dist.all_gather(parts, local.contiguous())
        return torch.stack(parts)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return total[context.rank], None, None


def gather_rows(ranks: Ranks, local: Tensor, total: int) -> Tensor:
    """The rows of all ranks in global order, with exact gradients.

    Args:
        local: [n, ...], this rank's rows: global rows rank, rank + W, rank + 2W, ... total: N, rows of the whole batch.

    Returns [N, ...]. Slices may differ by one row: the shorter are padded for the exchange and the padding is cut off.
    Raises `TppcError` where a rank has no row.
    """
    if ranks.world == 1:
        return local
    if total < ranks.world:
        raise TppcError(f"a batch of {total} pairs cannot be spread over {ranks.world} processes; raise --batch-size")
    most = -(-total // ranks.world)
    if len(local) < most:
        local = torch.cat([local, local.new_zeros(most - len(local), *local.shape[1:])])
    gathered: Tensor = _AllGather.apply(local, ranks.rank, ranks.world)  # type: ignore[no-untyped-call]
    # Row j of rank r is global row j * W + r, so padding lands behind the last real row.
    return gathered.transpose(0, 1).reshape(most * ranks.world, *local.shape[1:])[:total]
