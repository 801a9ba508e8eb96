"""Two processes end with the numbers of one."""

import os
import pickle
import socket
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from freqops.evaluation import InputError, MacroAUC, sweep


class Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.layer = nn.Linear(3 * 12 * 12, 6)

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.layer(images.flatten(1))
        return scores


def third(outputs: Tensor, labels: Tensor) -> Tensor:
    return (outputs / 3).mean()


class NoMerge:
    def reset(self) -> None: ...

    def update(self, outputs: Tensor, labels: Tensor) -> None: ...

    def compute(self) -> float:
        return 0.0


def dataset() -> TensorDataset:
    torch.manual_seed(0)
    return TensorDataset(torch.rand(23, 3, 12, 12), torch.arange(23) % 6)


def results(folder: Path) -> dict:
    """Everything that is compared, computed in whatever world this process lives in."""
    loader = DataLoader(dataset(), batch_size=4)
    options = {"progress": False, "keep_predictions": True}
    accuracy = sweep(Linear(), loader, [2, 5], **options)
    metrics = sweep(
        Linear(), iter(list(loader)), [2, 5], metric={"third": third, "auc": MacroAUC()}, **options
    )
    part = sweep(Linear(), loader, [2], max_batches=3, **options)
    return {
        "records": [accuracy.records, metrics.records, part.records],
        "predictions": {key: value.tolist() for key, value in accuracy.predictions.items()},
        "size": accuracy.settings["image_size"],
    }


def process(rank: int, world: int, port: int, folder: Path) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=world)
    try:
        outcome = results(folder)
        sampled = DataLoader(dataset(), sampler=DistributedSampler(dataset()))
        shuffled = DataLoader(dataset(), shuffle=True)
        outcome["errors"] = []
        for data, metric in ((sampled, None), (shuffled, None), (DataLoader(dataset()), NoMerge())):
            try:
                sweep(Linear(), data, [2], metric=metric, progress=False)
            except InputError as error:
                outcome["errors"].append(str(error))
        outcome["resumed"] = interrupted_and_resumed(folder / "state")
        (folder / f"rank{rank}.pkl").write_bytes(pickle.dumps(outcome))
    finally:
        dist.destroy_process_group()


def interrupted_and_resumed(state: Path) -> list[dict]:
    batches = list(DataLoader(dataset(), batch_size=4))

    def stopped():
        yield from batches[:4]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(Linear(), stopped(), [2, 5], resume=state, max_batches=6, progress=False)
    rest = iter(batches)
    return sweep(Linear(), rest, [2, 5], resume=state, max_batches=6, progress=False).records


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.skipif(not dist.is_available(), reason="torch without distributed")
def test_two_processes_equal_one(tmp_path) -> None:
    mp.start_processes(
        process, args=(2, free_port(), tmp_path), nprocs=2, start_method="fork", join=True
    )
    alone = results(tmp_path)
    for rank in (0, 1):
        outcome = pickle.loads((tmp_path / f"rank{rank}.pkl").read_bytes())
        for key in ("records", "predictions", "size"):
            assert outcome[key] == alone[key]
        assert outcome["resumed"] == alone["records"][0]
        refused = ["DistributedSampler", "shuffle=False", "neither synchronises itself"]
        assert len(outcome["errors"]) == 3
        for sentence, words in zip(outcome["errors"], refused, strict=True):
            assert words in sentence
