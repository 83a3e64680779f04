"""`show`, `run` and `export` on a small circuit: what they print, what they write, how they fail."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import cortexspec
from cortexspec.cli import app
from cortexspec.runtime.read import read_file

runner = CliRunner()

PAIR = """neuron leaky {
  param τ = 10 ms  trainable in positive(by = exp)
  input I : mV = 0 mV
  state v = 0 mV
  τ*v' = I - v
  output v
}

circuit pair(gain: real = 0.5) {
  input drive : mV = 0 mV
  param w = gain  trainable
  population a, b : leaky
  connect drive -> a
  connect a.v -> b.I { weight = w }
  output y = b.v
}
"""
TIME = ["--duration", "20 ms", "--dt", "0.1 ms"]


@pytest.fixture
def spec(tmp_path: Path) -> str:
    path = tmp_path / "pair.cortex"
    path.write_text(PAIR, encoding="utf-8")
    return str(path)


def test_each_stage_is_shown(spec: str) -> None:
    shown = {
        stage: runner.invoke(app, ["show", spec, "--stage", stage]) for stage in ("spec", "model", "ir", "optimized")
    }
    assert [result.exit_code for result in shown.values()] == [0, 0, 0, 0]
    assert shown["spec"].stdout == PAIR
    assert "  a.τ*a.v' = a.I - a.v\n" in shown["model"].stdout
    assert "function derivative(" in shown["ir"].stdout and "scan(" not in shown["ir"].stdout
    assert "scan(" in shown["optimized"].stdout


def test_an_argument_reaches_the_model(spec: str) -> None:
    shown = runner.invoke(app, ["show", spec, "--stage", "model", "--set", "gain=2"]).stdout
    assert "  constant gain : 1 = 2\n" in shown


def test_the_spec_as_json_loads_as_the_same_spec(spec: str, tmp_path: Path) -> None:
    data = json.loads(runner.invoke(app, ["show", spec, "--json"]).stdout)
    again = tmp_path / "again.json"
    again.write_text(json.dumps(data["spec"]), encoding="utf-8")
    assert read_file(again).require() == read_file(spec).require()


def test_a_run_prints_a_line_a_recording(spec: str) -> None:
    result = runner.invoke(app, ["run", spec, *TIME, "-i", "drive=10 mV", "-r", "a.v", "-r", "y", "--dtype", "float64"])
    assert (result.exit_code, result.stderr) == (0, "")
    last = 10 * (1 - 0.99**200)  # forward Euler with dt/τ = 0.01
    assert result.stdout.splitlines()[0] == (
        f"a.v [trial 1, time 200, a 1] mV: mean {10 - 0.99 * (1 - 0.99**200) / 0.01 / 20:.6g}, from 0.1 to {last:.6g}"
    )


def test_what_is_written_is_what_was_recorded(spec: str, tmp_path: Path) -> None:
    for ending in ("nc", "npz", "csv"):
        out = tmp_path / f"run.{ending}"
        assert runner.invoke(app, ["run", spec, *TIME, "-i", "drive=10 mV", "-r", "a.v", "-o", str(out)]).exit_code == 0
        assert out.is_file() and not list(tmp_path.glob(".*"))
    with np.load(tmp_path / "run.npz") as arrays:
        assert arrays["a.v"].shape == (1, 200, 1)
        recorded = arrays["a.v"].ravel()
    import xarray

    with xarray.open_dataset(tmp_path / "run.nc", engine="scipy") as data:
        assert data["a.v"].attrs["units"] == "mV" and data.attrs["circuit"] == "pair"
        np.testing.assert_array_equal(data["a.v"].values.ravel(), recorded)


def test_an_input_from_a_file(spec: str, tmp_path: Path) -> None:
    path = tmp_path / "drive.npy"
    np.save(path, np.linspace(0, 10, 3))
    result = runner.invoke(app, ["run", spec, *TIME, "-i", f"drive={path}", "-r", "y", "--json"])
    data = json.loads(result.stdout)
    assert data["ok"] is True and data["recordings"][0]["axes"]["trial"] == 3
    assert data["provenance"]["solver"] == "euler"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["-r", "c.v"], "CS301"),
        (["-i", "drve=1"], "CS301"),
        (["-i", "drive=10 pA"], "CS401"),
        (["-i", "drive=absent.npy"], "CS901"),
        (["-c", "pear"], "CS301"),
        (["-b", "tensorflow"], "CS802"),
        (["--solver", "eular"], "CS711"),
        (["--dt", "0.3 ms"], "CS916"),
    ],
)
def test_what_is_wrong_has_its_code(spec: str, arguments: list[str], code: str) -> None:
    result = runner.invoke(app, ["run", spec, *TIME, *arguments])
    assert result.exit_code == 1, result.output
    assert f"error[{code} " in result.stderr
    assert result.stdout == ""


def test_pickles_and_other_files_are_refused(spec: str, tmp_path: Path) -> None:
    path = tmp_path / "evil.npy"
    np.save(path, np.array([{"a": 1}], object), allow_pickle=True)
    assert "CS911" in runner.invoke(app, ["run", spec, *TIME, "-i", f"drive={path}"]).stderr
    path.write_bytes(b"\x93NUMPY\x01")
    assert "CS911" in runner.invoke(app, ["run", spec, *TIME, "-i", f"drive={path}"]).stderr


EXPERIMENT = """
experiment step of pair {
  simulate { duration = 20 ms; dt = 0.1 ms; solver = rk4 }
  variant slow { a.τ = 40 ms }
}
"""


def test_an_experiment_brings_its_time_and_solver(spec: str) -> None:
    Path(spec).write_text(PAIR + EXPERIMENT, encoding="utf-8")
    arguments = ["run", spec, "-e", "step", "-i", "drive=10 mV", "-r", "a.v", "--json", "--dtype", "float64"]
    base = json.loads(runner.invoke(app, arguments).stdout)
    slow = json.loads(runner.invoke(app, [*arguments, "--variant", "slow"]).stdout)
    assert base["provenance"]["solver"] == "rk4" and base["recordings"][0]["axes"]["time"] == 200
    for run, tau in [(base, 10), (slow, 40)]:
        np.testing.assert_allclose(run["recordings"][0]["max"], 10 * (1 - np.exp(-20 / tau)), rtol=1e-7)
    shown = runner.invoke(app, ["show", spec, "-e", "step", "--variant", "slow", "--stage", "model"]).stdout
    assert "param a.τ : ms = 40 ms" in shown


def test_without_a_duration_the_error_says_how_to_give_it(spec: str) -> None:
    result = runner.invoke(app, ["run", spec, "--dt", "0.1 ms", "-i", "drive=10 mV"])
    assert result.exit_code == 1 and "error[CS916 " in result.stderr


@pytest.mark.parametrize("arguments", [[*TIME, "--set", "gain"], [*TIME, "--dtype", "float16"]])
def test_wrong_use(spec: str, arguments: list[str]) -> None:
    assert runner.invoke(app, ["run", spec, *arguments]).exit_code == 2


CALL = {
    "torch": "import torch, program\nfrom safetensors.torch import load_file\nas_array = torch.tensor",
    "jax": "import jax.numpy as jnp, program\nfrom safetensors.flax import load_file\nas_array = jnp.asarray",
}


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_an_exported_program_runs_without_cortexspec(spec: str, tmp_path: Path, backend: str) -> None:
    pytest.importorskip({"torch": "torch.nn", "jax": "jax.numpy"}[backend])
    out = tmp_path / "program.py"
    result = runner.invoke(app, ["export", spec, *TIME, "-b", backend, "-o", str(out)])
    assert result.exit_code == 0, result.output
    script = f"""
import sys
sys.modules["cortexspec"] = None
{CALL[backend]}
arrays = load_file("program.safetensors")
run, inputs, outputs = program.FUNCTIONS["rollout"]
values = {{**arrays, "drive": as_array([10.0])}}
print(outputs, *[float(y.ravel()[0]) for y in run(*[values[name] for name in inputs])])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    wanted = cortexspec.compile(spec, backend="interpreter", dt="0.1 ms", duration="20 ms").simulate({"drive": 10.0})
    names, _, value = done.stdout.strip().rpartition(" ")
    assert names == "['y[time = end]']"
    np.testing.assert_allclose(float(value), float(wanted["y"].values.ravel()[-1]), rtol=1e-5)
