"""Figures of specs/elm beside those that `cortexspec reproduce` draws: what units do, the Pareto front, theory beside data.

python specs/elm/figures.py            # from the results in results/, of the cells that have been run
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from cortexspec_elm.theory import PRESET, figure, fit, parameters_of_neuron

from cortexspec.experiments import figures
from cortexspec.experiments.claim import BASE, CellKey
from cortexspec.experiments.reproduce import Table, reproduce
from cortexspec.experiments.session import AUTO, Choice, Session

HERE = Path(__file__).parent
RESULTS = Path("results")  # where `cortexspec reproduce` keeps them
FIGURES = RESULTS / "figures"
BUDGETS = {"letters_budget": 8564, "letters_larger_budget": 18564}
LAST = 27 * (64 + 3 * 12 + 4) + 27 * 28  # the last layer and the map
D_TREE, K_C = 8, 64


def units(choice: Choice) -> None:
    """Who is active along a text, and what one neuron keeps, of the smallest training that the spec has."""
    session = Session.open(choice, CellKey("letters_smoke", BASE, ()), 1)
    session.train()
    x = session.dataset.test.take(np.array([0]))
    run = session.simulation.simulate({"x": x["x"]}, record=["hidden.a", "hidden.m"])
    active, memory = np.asarray(run["hidden.a"])[0], np.asarray(run["hidden.m"])[0]
    figures.rasters(FIGURES / "units.png", {"hidden layer": {"active": active}})
    busiest = int(active.mean(axis=0).argmax())
    taus = np.geomspace(0.1, 100, memory.shape[-1])  # as the experiments of text have them
    figures.memories(FIGURES / "memory.png", np.arange(len(active)), memory[:, busiest], taus, active[:, busiest])


def pareto(table: Table, experiments: str, measure: str, *, largest: bool) -> None:
    """Every network that was trained on one task, against its parameters."""
    points: dict[str, tuple[float, list[float]]] = {}
    for cell, results in table.results.items():
        if not cell.experiment.startswith(experiments):
            continue
        found = [float(one.measures[measure]) for one in results.values() if measure in one.measures]
        if found:
            which = cell.experiment.removeprefix(experiments).replace("_", " ")
            label = ", ".join(f"{name} = {value}" for name, value in cell.point) + (
                f" ({which.strip()})" if which else ""
            )
            points[label] = (float(next(iter(results.values())).measures["P"]), found)
    if points:
        figures.pareto(FIGURES / f"pareto_{experiments}.png", "trained parameters", measure, points, largest=largest)


def theory(table: Table) -> None:
    """The inferred model, fitted to both budgets together."""
    points: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
    for name, budget in BUDGETS.items():
        rows: list[tuple[float, float, float]] = []
        for cell, results in table.results.items():
            ended = [one for one in results.values() if not one.diverged]
            if cell.experiment == name and ended:
                k_e = float(parameters_of_neuron(dict(cell.point)["d_m"], D_TREE))
                spent, bpc = (
                    float(np.mean([float(one.measures[measure]) for one in ended])) for measure in ("P", "bpc")
                )
                rows.append(((spent - LAST) / (k_e + K_C), k_e, bpc))
        if rows:
            neurons, parameters, bits = np.array(rows).T
            points[f"{budget:,} parameters"] = (neurons, parameters, bits)
    together = [np.concatenate(one) for one in zip(*points.values(), strict=True)] if points else []
    if not together or len(together[0]) < 4:
        print("theory: fewer than four cells of the budgets have been run")
        return
    found = fit(*together, start=PRESET)
    figure(FIGURES / "theory.png", points, found)
    layer = found.layer
    print(
        f"c = {layer.c:.3g}, alpha = {layer.alpha:.3g}, floor = {layer.floor:.3g}, beta = {layer.beta:.3g}; r = {found.r:.3f}, "
        f"rms = {found.rms:.3f} bits; sensitivity {', '.join(f'{one:.2g}' for one in found.sensitivity)}"
    )


def main() -> None:
    choice = Choice(HERE, AUTO)
    table = reproduce(choice, store=RESULTS, only_kept=True)
    units(choice)
    pareto(table, "letters", "bpc", largest=False)
    pareto(table, "speech", "accuracy", largest=True)
    theory(table)


if __name__ == "__main__":
    main()
