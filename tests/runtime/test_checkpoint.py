"""Checkpoints: what is written comes back; a cut, foreign or wrong file says so; nothing is written half."""

from pathlib import Path

import numpy as np
import pytest

from cortexspec.diagnostics import SpecError
from cortexspec.runtime.checkpoint import read_checkpoint, write_checkpoint

PARAMETERS = {"V.γ1": np.array([80.0, 81.0]), "W": np.arange(4.0).reshape(2, 2).T}
BUFFERS = {"bn1.mean": np.zeros(3)}
SHAPES = {name: array.shape for name, array in PARAMETERS.items()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "run.safetensors"
    write_checkpoint(path, "abc", "cmc", PARAMETERS, BUFFERS)
    return path


def test_what_is_written_comes_back(path: Path):
    parameters, buffers = read_checkpoint(path, "abc", "cmc", SHAPES)
    assert all(np.array_equal(parameters[name], array) for name, array in PARAMETERS.items())
    assert np.array_equal(buffers["bn1.mean"], BUFFERS["bn1.mean"])


@pytest.mark.parametrize("length", [0, 4, 40, -1])
def test_a_file_that_is_cut_short_is_refused(path: Path, length: int):
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(SpecError, match="cannot be read") as caught:
        read_checkpoint(path, "abc", "cmc", SHAPES)
    assert caught.value.diagnostics[0].code == "CS914"


@pytest.mark.parametrize(
    ("identity", "circuit", "why"),
    [("abd", "cmc", "an edited version of this circuit"), ("abd", "ring", "the circuit `cmc`")],
)
def test_a_checkpoint_of_another_circuit_is_refused(path: Path, identity: str, circuit: str, why: str):
    with pytest.raises(SpecError) as caught:
        read_checkpoint(path, identity, circuit, SHAPES)
    assert why in caught.value.diagnostics[0].message


def test_a_file_that_is_not_there_or_lacks_a_parameter(path: Path):
    with pytest.raises(SpecError) as caught:
        read_checkpoint(path.with_name("none"), "abc", "cmc", SHAPES)
    assert caught.value.diagnostics[0].code == "CS901"
    with pytest.raises(SpecError, match="κ"):
        read_checkpoint(path, "abc", "cmc", {**SHAPES, "κ": ()})


def test_nothing_is_written_half(path: Path, monkeypatch: pytest.MonkeyPatch):
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SpecError, match="No space left"):
        write_checkpoint(path, "abc", "cmc", {}, {})
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]
