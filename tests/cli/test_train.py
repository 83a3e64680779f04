"""`train` and `reproduce` on a circuit that learns ten digits in a few updates."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import cortexspec
from cortexspec.cli import app

runner = CliRunner()

DIGITS = """use vision

neuron leaky {
  param τ = 10 ms  trainable in positive(by = exp)
  input I : mV = 0 mV
  state v = 0 mV
  τ*v' = I - v
  output v
}

circuit reader {
  input image[_, _, _]
  part head : dense(10)
  population cells[10] : leaky
  start cells.v = head(flatten(adaptive_pool(image, [7, 7])))*1 mV
  output logits = cells.v/1 mV
}

experiment digits of reader {
  dataset = images("mnist")
  simulate { duration = 2 ms; dt = 1 ms; solver = euler }
  train { loss = cross_entropy(logits[time = end], label); optimizer = adam(lr = 1e-2); batch = 500; epochs = 1 }
  measure accuracy = mean(argmax(logits[time = end]) == label)
  vary { seed = 1..2 }
  claim "far better than chance" from "ours": accuracy > 0.4
  claim "perfect" from "nobody": accuracy > 0.999
}
"""


@pytest.fixture
def spec(tmp_path: Path) -> str:
    pytest.importorskip("torch.nn")
    path = tmp_path / "digits.cortex"
    path.write_text(DIGITS, encoding="utf-8")
    return str(path)


def test_training_leaves_a_record_and_a_model_that_any_backend_loads(spec: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    result = runner.invoke(app, ["train", spec, "-b", "torch", "--seed", "1", "-o", str(folder)])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("digits (base, seed 1) on torch: 501 parameters, 6000 trials, 12 updates\n")
    [record] = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert record["epoch"] == 1 and record["accuracy"] > 0.4
    assert f"epoch 1: loss {record['loss']:.4g}" in result.stderr
    assert f"accuracy = {record['accuracy']:.6g}" in result.stdout
    loaded = cortexspec.compile(spec, dt="1 ms", duration="2 ms", shapes={"image": (1, 28, 28)})
    before = loaded.parameters()["head.kernel"]
    cortexspec.restore(loaded, folder / "model.safetensors")
    assert not np.array_equal(loaded.parameters()["head.kernel"], before)


def test_claims_are_judged_and_a_second_run_runs_nothing(spec: str, tmp_path: Path) -> None:
    arguments = ["reproduce", spec, "-b", "torch", "--workers", "0", "--results", str(tmp_path / "results")]
    first = runner.invoke(app, arguments)
    assert first.exit_code == 0, first.output
    assert first.stderr == ""  # no terminal, no progress
    logged = runner.invoke(app, [*arguments, "--progress", "lines"])
    assert "[2/2] digits base seed=2: accuracy " in logged.stderr and logged.stderr.count("(kept)") == 2
    again = runner.invoke(app, [*arguments, "--strict", "--json"])
    assert again.stderr == ""
    data = json.loads(again.stdout)
    assert [(row["claim"], row["verdict"]) for row in data["claims"]] == [
        ("far better than chance", "holds"),
        ("perfect", "fails"),
    ]
    assert (again.exit_code, data["ok"]) == (1, False)
    written = (tmp_path / "results" / "claims.md").read_text(encoding="utf-8")
    [left, right] = data["claims"][0]["sides"]
    assert f"| far better than chance | ours |  | {left:.4g} against {right:.4g} (n = 2) | holds |" in written
    assert "| variant | seeds | accuracy |" in written and "\n| base | 2 | " in written
    assert list((tmp_path / "results" / "figures").glob("*.png"))


@pytest.mark.parametrize(
    ("edit", "code"),
    [(('images("mnist")', 'images("absent")'), "CS9"), (("adam(lr", "addam(lr"), "CS804")],
)
def test_what_cannot_be_trained_says_so_and_writes_nothing(
    spec: str, tmp_path: Path, edit: tuple[str, str], code: str
) -> None:
    path = Path(spec)
    path.write_text(DIGITS.replace(*edit), encoding="utf-8")
    result = runner.invoke(app, ["train", spec, "-b", "torch", "-o", str(tmp_path / "run")])
    assert result.exit_code == 1, result.output
    assert f"error[{code}" in result.stderr, result.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("arguments", [["-e", "absent"], ["--data", "/no/such/folder"], ["--seed", "x"]])
def test_wrong_use(spec: str, arguments: list[str]) -> None:
    assert runner.invoke(app, ["train", spec, *arguments]).exit_code == 2
