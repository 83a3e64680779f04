"""NeuronIO's files: what is read of them, and what is refused."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cortexspec_sequences.neuronio import NEURONIO

from cortexspec.contracts.dataset import Places
from cortexspec.diagnostics import SpecError


def simulation(number: int) -> dict[str, Any]:
    soma = np.full(1500, -70.0, np.float16)
    soma[600] = 20.0
    return {
        "exInputSpikeTimes": {0: np.array([500, 700]), 638: [number]},
        "inhInputSpikeTimes": {2: [999]},
        "outputSpikeTimes": np.array([600.5]),
        "somaVoltageLowRes": soma,
    }


def write(folder: Path, content: Any) -> Places:
    (folder / "io").mkdir()
    with open(folder / "io" / "sim.p", "wb") as file:
        pickle.dump(content, file, protocol=2)
    return Places(None, folder)


def whole(simulations: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Params": {"totalSimDurationInSec": 1.5}, "Results": {"listOfSingleSimulationDicts": simulations}}


def test_windows_of_simulations(tmp_path: Path) -> None:
    places = write(tmp_path, whole([simulation(i) for i in range(3)]))
    data = NEURONIO.load(("io",), NEURONIO.settings, places)
    assert (len(data.train), len(data.test), data.length) == (4, 2, 500)
    one = data.train.take(np.array([0]))
    assert one["x"].shape == (1, 500, 1278)
    assert np.argwhere(one["x"][0]).tolist() == [[0, 0], [200, 0], [499, 639 + 2]]
    assert np.flatnonzero(one["spike"][0]).tolist() == [100]
    assert one["soma"][0, 100] == pytest.approx(1.27) and one["soma"][0, 0] == pytest.approx(-0.23, abs=0.01)


class Harmful:
    def __reduce__(self) -> Any:
        return os.getcwd, ()


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        ({"Params": {}}, "CS906", "has no `Results`"),
        (whole([{"exInputSpikeTimes": {}}]), "CS906", "has no `inhInputSpikeTimes`"),
        (whole([{**simulation(0), "somaVoltageLowRes": np.zeros(700)}] * 2), "CS908", "no window of 500 ms"),
        (Harmful(), "CS911", "getcwd"),
    ],
)
def test_what_is_refused(tmp_path: Path, content: Any, code: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        NEURONIO.load(("io",), NEURONIO.settings, write(tmp_path, content))
    assert caught.value.diagnostics[0].code == code and said in caught.value.diagnostics[0].message


def test_a_folder_without_files(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        NEURONIO.load(("io",), NEURONIO.settings, Places(None, tmp_path))
    assert caught.value.diagnostics[0].code == "CS901"
