"""What a user can do wrong, from the command line and from Python: one clear error at its place, and nothing written half."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from typer.testing import CliRunner

import cortexspec
from cortexspec.cli import app

runner = CliRunner()

PAIR = """neuron leaky {
  param τ = 10 ms  trainable in positive(by = exp)
  input I : mV = 0 mV
  state v = 0 mV
  τ*v' = I - v
  output v
}

neuron oscillator {
  param κ = 100 Hz
  input u : mV/ms^2 = 0 mV/ms^2
  state x = 0 mV
  x'' + 2*κ*x' + κ^2*x = u
  output x
}

circuit pair {
  input drive : mV = 0 mV
  param w = 0.5  trainable
  population a[3] : leaky
  population b[4] : leaky
  population o : oscillator
  connect drive -> a
  connect a.v -> b.I { weight = w }
  output y = mean(b.v)
}
"""
TIME = ["--duration", "2 ms", "--dt", "0.1 ms"]


def place_of(text: str, piece: str) -> tuple[int, int]:
    """Line and column of the first time that a piece stands in a text."""
    at = text.index(piece)
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


@pytest.mark.parametrize(
    ("edit", "code", "at"),
    [
        (("input drive", "input drve"), "CS301", "drive -> a"),
        (("b[4] : leaky", "b[4] : leeky"), "CS301", "leeky"),
        (("κ^2*x", "κ*x"), "CS401", "κ*x = u"),
        (("weight = w", "weight = w*1 ms"), "CS403", "w*1 ms"),
        (("weight = w", "rule = one_to_one"), "CS504", "one_to_one"),
        (("mean(b.v)", "a.v + b.v"), "CS501", "b.v\n}"),
    ],
)
def test_names_units_and_shapes(tmp_path: Path, edit: tuple[str, str], code: str, at: str) -> None:
    text = PAIR.replace(*edit)
    spec, out = tmp_path / "pair.cortex", tmp_path / "run.nc"
    spec.write_text(text, encoding="utf-8")
    row, column = place_of(text, at)
    for command in (["check", str(spec)], ["run", str(spec), *TIME, "-o", str(out)]):
        result = runner.invoke(app, command)
        assert result.exit_code == 1, result.output
        assert f"error[{code} " in result.stderr and f"--> {spec}:{row}:{column}\n" in result.stderr, result.stderr
    with pytest.raises(cortexspec.SpecError) as error:
        cortexspec.compile(spec, dt="0.1 ms", duration="2 ms")
    (found,) = error.value.diagnostics
    assert (found.code, found.span and (found.span.line, found.span.column)) == (code, (row, column))
    assert not out.exists()


@pytest.fixture
def pair(tmp_path: Path) -> str:
    path = tmp_path / "pair.cortex"
    path.write_text(PAIR, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    "command",
    [
        ["run", *TIME],
        ["train", "-e", "x"],
        ["show", "--stage", "python"],
        ["export", *TIME, "-o", "program.py"],
        ["reproduce", "--results", "results"],
    ],
)
def test_a_backend_that_is_not_installed(
    pair: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(pair).write_text(PAIR + "experiment x of pair { train { loss = y/1 mV } }\n", encoding="utf-8")
    result = runner.invoke(app, [command[0], pair, *command[1:], "-b", "trch"])
    assert result.exit_code == 1, result.output
    assert "error[CS802 missing-backend]: no installed distribution provides a backend `trch`" in result.stderr
    assert "did you mean `torch`?" in result.stderr
    with pytest.raises(cortexspec.SpecError, match="CS802"):
        cortexspec.compile(pair, backend="trch")
    assert [path.name for path in tmp_path.iterdir()] == ["pair.cortex"]


def test_an_experiment_that_is_not_there_is_not_an_empty_table(pair: str, tmp_path: Path) -> None:
    Path(pair).write_text(PAIR + "experiment mean of pair { }\n", encoding="utf-8")
    result = runner.invoke(
        app, ["reproduce", pair, "-b", "interpreter", "-e", "maen", "--results", str(tmp_path / "results")]
    )
    assert result.exit_code == 1 and "error[CS301 " in result.stderr and "did you mean `mean`?" in result.stderr
    assert not (tmp_path / "results").exists()


def test_a_number_that_is_none_is_refused_where_it_comes_in(pair: str, tmp_path: Path) -> None:
    path = tmp_path / "drive.npy"
    np.save(path, np.array([[1.0, 2.0], [3.0, np.inf]]))
    out = tmp_path / "run.npz"
    result = runner.invoke(app, ["run", pair, "--dt", "1 ms", "-d", "2 ms", "-i", f"drive={path}", "-o", str(out)])
    assert "error[CS806 not-finite]: the input `drive` is given inf at [1, 1]" in result.stderr, result.stderr
    assert f"--> {pair}:18:9" in result.stderr and not out.exists()
    sim = cortexspec.compile(pair, dt="1 ms", duration="2 ms")
    with pytest.raises(cortexspec.SpecError, match="the parameter `w` is given nan"):
        sim.set_parameters({"w": np.nan})
    assert sim.parameters()["w"] == 0.5


RUNAWAY = """neuron runaway {
  param k = 1
  input I : mV = 0 mV
  state v = 1 mV
  1 ms*v' = k*v*v/(1 mV) + I
  output v
}

circuit loose {
  population calm : runaway(k = -1)
  population wild[2] : runaway
  output y = mean(wild.v)
}
"""


@pytest.mark.parametrize("backend", ["interpreter", "torch", "jax"])
@pytest.mark.parametrize("solver", ["heun", "dopri5"])
def test_a_run_that_leaves_the_numbers(tmp_path: Path, backend: str, solver: str) -> None:
    if backend != "interpreter":
        pytest.importorskip(f"cortexspec_{backend}")
    spec, out = tmp_path / "loose.cortex", tmp_path / "run.nc"
    spec.write_text(RUNAWAY, encoding="utf-8")
    arguments = ["run", str(spec), "-d", "20 ms", "--dt", "0.1 ms", "--solver", solver, "-b", backend, "-o", str(out)]
    result = runner.invoke(app, arguments)
    assert result.exit_code == 1, result.output
    assert "error[CS915 diverged]: " in result.stderr, result.stderr
    assert f"--> {spec}:5:3\n" in result.stderr and "this equation ran away" in result.stderr
    assert ("`wild.v` of the population `wild`" in result.stderr) == (solver == "heun")
    assert not out.exists()


def test_a_gradient_that_is_no_number(tmp_path: Path) -> None:
    spec = tmp_path / "root.cortex"
    spec.write_text(PAIR.replace("mean(b.v)", "mean(sqrt(b.v/1 mV))"), encoding="utf-8")
    sim = cortexspec.compile(spec, dt="1 ms", duration="5 ms")
    with pytest.raises(cortexspec.SpecError, match="CS915") as error:
        sim.value_and_grad("y[time = end]", {"drive": 0.0})
    assert "the gradient with respect to" in str(error.value) and error.value.diagnostics[0].span is not None


def test_a_file_that_cannot_be_written(pair: str, tmp_path: Path) -> None:
    for out, code in ((f"{pair}/run.nc", "CS919"), (str(tmp_path / "run.mat"), "CS918")):
        result = runner.invoke(app, ["run", pair, *TIME, "-o", out])
        assert result.exit_code == 1 and f"error[{code} " in result.stderr, result.output
    with pytest.raises(cortexspec.SpecError, match="CS919"):
        cortexspec.save(cortexspec.compile(pair, dt="1 ms", duration="2 ms"), Path(pair) / "kept.safetensors")


DIGITS = """use vision

neuron leaky {
  state v = 0 mV
  10 ms*v' = -v
  output v
}

circuit reader {
  input image[_, _, _]
  param gain = 1  trainable
  part head : dense(10)
  population cells[10] : leaky
  start cells.v = gain*head(flatten(adaptive_pool(image, [2, 2])))*1 mV
  output logits = cells.v/1 mV
}

experiment digits of reader {
  dataset = images("mnist")
  simulate { duration = 1 ms; dt = 1 ms }
  train { loss = cross_entropy(logits[time = end], label); optimizer = sgd(lr = 0.1); batch = 2000; epochs = 2 }
}
"""


def train(spec: Path, text: str, folder: Path) -> tuple[int, str]:
    pytest.importorskip("cortexspec_torch")
    spec.write_text(text, encoding="utf-8")
    result = runner.invoke(app, ["train", str(spec), "-b", "torch", "-o", str(folder)])
    return result.exit_code, result.stderr


def test_training_goes_on_to_the_same_result_with_a_single_number_among_its_parameters(tmp_path: Path) -> None:
    spec, folder = tmp_path / "digits.cortex", tmp_path / "run"
    assert train(spec, DIGITS, folder)[0] == 0
    model = load_file(folder / "model.safetensors")
    assert train(spec, DIGITS, folder)[0] == 0
    again = load_file(folder / "model.safetensors")
    assert model.keys() == again.keys() and all(np.array_equal(model[name], again[name]) for name in model)


def test_a_checkpoint_that_is_cut_short_or_of_another_circuit(tmp_path: Path) -> None:
    spec, folder = tmp_path / "digits.cortex", tmp_path / "run"
    assert train(spec, DIGITS, folder)[0] == 0
    checkpoint, model = folder / "checkpoint.safetensors", folder / "model.safetensors"
    kept = {path: path.read_bytes() for path in folder.iterdir()}
    exit_code, said = train(spec, DIGITS.replace("10 ms*v'", "20 ms*v'"), folder)
    assert exit_code == 1 and "error[CS914 wrong-checkpoint]" in said
    assert "is of another circuit, experiment or plan" in said
    assert {path: path.read_bytes() for path in folder.iterdir()} == kept
    checkpoint.write_bytes(kept[checkpoint][:100])
    exit_code, said = train(spec, DIGITS, folder)
    assert exit_code == 1 and "error[CS914 wrong-checkpoint]" in said and str(checkpoint) in said
    assert model.read_bytes() == kept[model]
    sim = cortexspec.compile(spec, dt="1 ms", duration="1 ms", shapes={"image": (1, 28, 28)})
    before = sim.parameters()
    for content in (kept[model][:100], kept[checkpoint]):
        model.write_bytes(content)
        with pytest.raises(cortexspec.SpecError, match="CS914"):
            cortexspec.restore(sim, model)
    assert all(np.array_equal(array, before[name]) for name, array in sim.parameters().items())


def test_a_data_set_that_is_not_there(tmp_path: Path) -> None:
    spec, folder = tmp_path / "digits.cortex", tmp_path / "run"
    exit_code, said = train(spec, DIGITS.replace('"mnist"', '"cifar10"'), folder)
    assert exit_code == 1 and "error[CS901 missing-data]: data file `cifar10" in said
    assert f"--> {spec}:19:13\n" in said and "`--data`" in said
    assert not folder.exists()


def test_training_that_leaves_the_numbers_keeps_nothing_of_them(tmp_path: Path) -> None:
    spec, folder = tmp_path / "digits.cortex", tmp_path / "run"
    for batch in (2000, 6000):  # the loss tells, or the parameters after the only update of an epoch
        text = DIGITS.replace("lr = 0.1", "lr = 1e39").replace("batch = 2000", f"batch = {batch}")
        exit_code, said = train(spec, text, folder)
        assert exit_code == 1 and "error[CS915 diverged]: training diverged: " in said, said
        assert "(epoch 1)" in said and "`head.kernel`" in said
        assert not folder.exists()
