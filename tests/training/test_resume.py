"""A run that was killed and resumed ends with the weights of one that was not, to the bit."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from commands import command

from tppc.errors import UsageError
from tppc.training.checkpoints import LOCK, checkpoints, locked
from tppc.training.config import load_config
from tppc.training.tracking import read_metrics
from tppc.training.trainer import StoppedError, train

# 2,000 pairs in batches of 48: step 42 runs into the second epoch. Dropout is on.
SETTINGS = {"encoder": "scratch:tiny", "steps": 60, "batch_size": 48, "save_every": 10, "log_every": 5, "keep": 99}
OPTIONS = ["--encoder", "scratch:tiny", "--steps", 60, "--batch-size", 48, "--save-every", 10, "--log-every", 5]


@pytest.fixture(scope="module")
def unbroken(cipher: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("unbroken") / "run"
    train(load_config(None, SETTINGS | {"corpora": [str(cipher)]}), out)
    return out


def weights(out: Path) -> dict[str, bytes]:
    last = checkpoints(out)[-1]
    return {
        "encoder": (out / "encoder" / "model.safetensors").read_bytes(),
        "heads": (last / "heads.safetensors").read_bytes(),
        "optimizer": (last / "optimizer.safetensors").read_bytes(),
    }


def losses(out: Path) -> list[tuple[int, float]]:
    return [(line["step"], line["loss"]) for line in read_metrics(out)]


def test_a_killed_run_resumed_ends_the_same(cipher: Path, unbroken: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = ["train", "--corpus", cipher, *OPTIONS, "--out", out]
    process = subprocess.Popen(command(*arguments), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(checkpoints(out)) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert checkpoints(out)
    assert (out / LOCK).exists()  # and locks nothing any more
    (out / "checkpoints" / ".step-000099.part").mkdir()  # what a kill in the middle of a save leaves
    # The command that SIGTERM's message names: the settings are the run's own.
    again = command("train", "--resume", "--out", out)
    result = subprocess.run(again, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 0, result.stderr
    assert "resumed after step" in result.stderr
    assert weights(out) == weights(unbroken)
    assert losses(out) == losses(unbroken)
    assert not list((out / "checkpoints").glob(".*"))


def test_resuming_twice_also_in_the_second_epoch_ends_the_same(cipher: Path, unbroken: Path, tmp_path: Path) -> None:
    config = load_config(None, SETTINGS | {"corpora": [str(cipher)]})
    for number, keep in enumerate([(10, 20), (50,)]):
        out = tmp_path / str(number)
        shutil.copytree(unbroken, out)
        for stop in keep:  # go back to an earlier checkpoint and on from there
            for folder in checkpoints(out):
                if int(folder.name.removeprefix("step-")) > stop:
                    shutil.rmtree(folder)
            shutil.rmtree(out / "encoder")
            assert train(config, out, resume=True).resumed_from == stop
        assert weights(out) == weights(unbroken)
        assert losses(out) == losses(unbroken)


def test_sigterm_saves_and_says_how_to_go_on(cipher: Path, unbroken: Path, tmp_path: Path) -> None:
    config = load_config(None, SETTINGS | {"corpora": [str(cipher)]})
    out = tmp_path / "run"

    def terminate() -> None:
        while not read_metrics(out):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    import threading

    thread = threading.Thread(target=terminate)
    thread.start()
    with pytest.raises(
        StoppedError, match=r"SIGTERM after step .*`tppc train --resume --out .*run` goes on"
    ) as stopped:
        train(config, out)
    thread.join()
    assert stopped.value.exit_code == 143
    assert 0 < train(config, out, resume=True).resumed_from < 60
    assert weights(out) == weights(unbroken)


def test_a_run_killed_before_its_first_checkpoint_starts_again(cipher: Path, unbroken: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    shutil.copy(unbroken / "config.toml", out)
    config = load_config(None, SETTINGS | {"corpora": [str(cipher)]})
    assert train(config, out, resume=True).resumed_from == 0
    assert weights(out) == weights(unbroken)


def test_old_checkpoints_go_and_a_damaged_one_is_named(cipher: Path, tmp_path: Path) -> None:
    config = load_config(None, SETTINGS | {"corpora": [str(cipher)], "steps": 20, "save_every": 4, "keep": 2})
    out = tmp_path / "run"
    train(config, out)
    assert [c.name for c in checkpoints(out)] == ["step-000016", "step-000020"]
    (checkpoints(out)[-1] / "optimizer.safetensors").write_bytes(b"no")
    from tppc.errors import TppcError

    with pytest.raises(TppcError, match=r"step-000020: damaged checkpoint.*delete it"):
        train(config, out, resume=True)


def test_two_trainers_do_not_write_to_one_run(cipher: Path, unbroken: Path, tmp_path: Path) -> None:
    config = load_config(None, SETTINGS | {"corpora": [str(cipher)]})
    out = tmp_path / "run"
    shutil.copytree(unbroken, out)
    with locked(out), pytest.raises(UsageError, match=r"run: another `tppc train` is writing there"):
        train(config, out, resume=True)
    assert not (out / LOCK).exists()
    assert train(config, out, resume=True).resumed_from == 60
    with locked(tmp_path / "new"):
        pass
    assert not (tmp_path / "new").exists()


def test_resuming_what_is_no_run_says_so(tmp_path: Path, tppc) -> None:  # type: ignore[no-untyped-def]
    result = tppc("train", "--resume", "--out", tmp_path, check=False)
    assert (result.returncode, "nothing to resume there" in result.stderr) == (2, True)


def test_a_folder_that_an_error_before_the_first_step_left_says_what_to_do(cipher: Path, tmp_path: Path) -> None:
    wrong = load_config(None, SETTINGS | {"corpora": [str(cipher)], "freeze_layers": 9})
    with pytest.raises(UsageError, match="the encoder has 2 layers"):
        train(wrong, tmp_path / "run")
    right = wrong.model_copy(update={"freeze_layers": 0, "steps": 1})
    with pytest.raises(UsageError, match="no checkpoint was saved there: delete it"):
        train(right, tmp_path / "run")
