"""The inferred model of information: its closed form against its sum and its limits, the published curve, and what a fit can tell."""

from pathlib import Path

import numpy as np
import pytest
from cortexspec_elm.theory import PRESET, Fit, Layer, figure, fit, optimum, parameters_of_neuron

N = np.array([2398, 1500, 1024, 742, 561, 440, 353, 290, 243, 206, 153, 118, 85, 64])
D_M = np.array([5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 60, 70, 85, 100])
BPC = np.array(
    [1.6793, 1.6577, 1.6555, 1.6507, 1.6506, 1.6502, 1.6510, 1.6558, 1.6643, 1.6790, 1.6906, 1.6939, 1.7114, 1.7503]
)
K_E = parameters_of_neuron(D_M, 50)


@pytest.mark.parametrize(("beta", "rel"), [(0.0, 1e-12), (0.3, 1e-3), (0.8, 3e-3), (1.0, 3e-3), (1.5, 0.02)])
def test_the_closed_form_is_the_sum(beta: float, rel: float) -> None:
    """The steeper the eigenvalues fall, the more an integral over the first of them is off."""
    layer = Layer(beta=beta)
    for n, k_e in ((64, 200), (1000, 2461), (3000, 50)):
        assert float(layer.information(n, k_e)) == pytest.approx(layer.information_summed(n, k_e), rel=rel)


def test_limits() -> None:
    """Independent neurons; much noise, where information is the signal over it; little, where it is a logarithm."""
    assert float(Layer(beta=0).information(10, 100)) == pytest.approx(5 * np.log2(1 + 1 / 0.178))
    noisy = Layer(c=1e5, alpha=0.5, beta=0.8)
    power = (np.arange(1, 101) ** -0.8).sum()
    assert float(noisy.information(100, 100)) == pytest.approx(power / (2 * np.log(2) * 1e4), rel=0.02)
    clear = Layer(c=1e-9, alpha=0.0, floor=1e-9, beta=0.8)
    assert float(clear.information(500, 1)) == pytest.approx(250 * (np.log2(1e9) - 0.8 * np.log2(500 / np.e)), rel=5e-3)


def test_parameters_of_the_reference() -> None:
    assert float(parameters_of_neuron(15, 50)) == 2461


def test_the_preset_follows_the_published_curve() -> None:
    information = PRESET.information(N, K_E)
    assert np.corrcoef(information, -BPC)[0, 1] == pytest.approx(0.971, abs=0.002)
    assert D_M[np.argmax(information)] == 25


@pytest.mark.parametrize(("budget", "d_m", "n"), [(1e6, 15, 240), (3.5e6, 23, 625), (1e7, 33, 1144), (3e7, 48, 1990)])
def test_the_best_neuron_grows_with_the_budget(budget: float, d_m: int, n: int) -> None:
    """About where the square root of the number of neurons is. The budget is that of the network, with its last layer and map;
    the optimum is flat, and a step of d_m is up to 8 % of the neurons."""
    last = 204 * (750 + 3 * 54 + 4) + 204 * 205
    found = optimum(PRESET, budget - last, 50, 750)
    assert abs(found.d_m - d_m) <= 1 and found.neurons == pytest.approx(n, rel=0.08)
    assert 0.7 < found.d_m / np.sqrt(found.neurons) < 1.3


def test_a_fit_finds_what_made_the_data_and_says_what_it_cannot_tell() -> None:
    true = Layer(c=2.5, alpha=0.6, floor=0.004, beta=0.7)
    budgets = [(p / (K_E + 750), K_E) for p in (4e5, 2e6, 1e7)]
    n, k_e = (np.concatenate(one) for one in zip(*budgets, strict=True))
    kept = n > 4
    bits = 2.0 - 1e-3 * true.information(n[kept], k_e[kept])
    found = fit(n[kept], k_e[kept], bits)
    assert found.rms < 1e-3 and found.r > 0.999
    assert found.sensitivity[0] == 1 and found.sensitivity[-1] < 0.2
    published = fit(N, K_E, BPC)
    assert published.r > 0.97 and published.sensitivity[-1] < 0.05  # one curve leaves a direction open
    with pytest.raises(ValueError, match="four points"):
        fit(N[:3], K_E[:3], BPC[:3])


def test_theory_beside_data_is_drawn(tmp_path: Path) -> None:
    plain = Fit(PRESET, 2.0, 1e-3, 0.97, 0.01, (1.0,))
    path = figure(tmp_path / "theory.png", {"3.5 million": (N, K_E, BPC)}, plain)
    assert path.stat().st_size > 10_000
