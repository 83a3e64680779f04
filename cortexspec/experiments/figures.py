"""Figures of an experiment, from plain arrays. Each function draws one file and gives its path; matplotlib is imported on first use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from cortexspec.experiments.shown_units import after_number, with_unit

Array = np.ndarray[Any, Any]

# Colour-blind safe (Okabe & Ito 2008), used in this order everywhere.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442", "#7F7F7F", "#8B4513")


def blank(columns: int = 1, rows: int = 1, width: float = 4.2, height: float = 3.2, **options: Any) -> tuple[Any, Any]:
    """A figure of so many panels, each of this size in inches, and its axes [row, column]."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(rows, columns, figsize=(width * columns, height * rows), squeeze=False, **options)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def panelled(count: int, width: float, height: float, columns: int = 4, **options: Any) -> tuple[Any, Any]:
    """Axes for so many panels, at most `columns` in a row; those that are left over are hidden."""
    columns = max(min(count, columns), 1)
    figure, axes = blank(columns, max(-(-count // columns), 1), width, height, **options)
    for panel in axes.flat[count:]:
        panel.set_visible(False)
    return figure, axes


def written(figure: Any, path: Path, above: float = 0.0) -> Path:
    """Writes the file, and gives its path. `above`: inches that are left free above the panels."""
    import matplotlib.pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout(rect=(0, 0, 1, 1 - above / figure.get_figheight()))
    figure.savefig(path, dpi=150)
    plt.close(figure)
    return path


_COURSES = {
    "loss": "training loss",
    "held_out": "held-out accuracy",
    "parents": "mean of the parents",
    "gradient": "norm of the gradient",
}


_NO_UNITS: Mapping[str, str] = MappingProxyType({})
_TOGETHER = 6  # labels that are still told apart in one panel


def learning_curves(
    path: Path, histories: Mapping[str, Sequence[Sequence[Mapping[str, float]]]], units: Mapping[str, str] = _NO_UNITS
) -> Path:
    """Loss and held-out accuracy by epoch, or how an optimised measure goes: `histories[label]` has one history a seed. A few labels
    share a panel a course, the band is the range over seeds; many have a panel each, a line a seed, of the held-out accuracy where
    there is one. `units`: of what has one, by its name in the histories."""
    told = {name for runs in histories.values() for run in runs for entry in run for name in entry}
    shown = [name for name in _COURSES if name in told]
    if shown and len(histories) > _TOGETHER:
        return _learning_apart(path, histories, "held_out" if "held_out" in shown else shown[0], units)
    figure, axes = blank(max(1, len(shown)))
    for (label, runs), colour in zip(histories.items(), cycle(), strict=False):
        for axis, measure in zip(axes[0], shown, strict=False):
            curves = _courses(runs, measure)
            length = int(curves.shape[1])
            if length == 0:
                continue
            epochs = np.arange(1, length + 1)
            axis.plot(epochs, curves.mean(0), color=colour, label=label)
            axis.fill_between(epochs, curves.min(0), curves.max(0), color=colour, alpha=0.2, lw=0)
    for axis, name in zip(axes[0], shown, strict=False):
        scale = _scale([_courses(runs, name) for runs in histories.values()])
        axis.set(xlabel="epoch", ylabel=with_unit(_COURSES[name], units.get(name, "")), yscale=scale)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    if len(histories) > 1:
        axes[0, -1].legend(handles, labels, frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.02, 0.5))
    return written(figure, path)


def _learning_apart(
    path: Path, histories: Mapping[str, Sequence[Sequence[Mapping[str, float]]]], name: str, units: Mapping[str, str]
) -> Path:
    figure, axes = panelled(len(histories), width=2.1, height=1.7, columns=5, sharex=True, sharey=True)
    for panel, (label, runs) in zip(axes.flat, histories.items(), strict=False):
        curves = _courses(runs, name)
        for curve, colour in zip(curves, cycle(), strict=False):
            panel.plot(np.arange(1, len(curve) + 1), curve, color=colour, lw=1.2)
        panel.set_title(label, fontsize=8)
    for panel in axes[:, 0]:
        panel.set_ylabel(with_unit(_COURSES[name], units.get(name, "")), fontsize=8)
    for panel in axes[-1]:
        panel.set_xlabel("epoch", fontsize=8)
    axes[0, 0].set_yscale(_scale([_courses(runs, name) for runs in histories.values()]))
    return written(figure, path)


def _courses(runs: Sequence[Sequence[Mapping[str, float]]], name: str) -> Array:
    """[seed, epoch], as long as the shortest."""
    values = [[entry[name] for entry in run if name in entry] for run in runs]
    length = min((len(one) for one in values), default=0)
    return np.array([one[:length] for one in values], float).reshape(len(values), length)


def _scale(curves: Sequence[Array]) -> str:
    """Logarithmic where numbers above 0 span more than three decades."""
    values = np.concatenate([one.reshape(-1) for one in curves]) if curves else np.zeros(0)
    values = values[np.isfinite(values)]
    return "log" if values.size and values.min() > 0 and values.max() > 1e3 * values.min() else "linear"


def measure_by(path: Path, x_name: str, y_name: str, series: Mapping[str, Mapping[float, Sequence[float]]]) -> Path:
    """A measure against a number (regions, parameters), one line a variant; points are seeds, lines join the means."""
    figure, axes = blank()
    axis = axes[0, 0]
    for (label, values), colour in zip(series.items(), cycle(), strict=False):
        places = sorted(values)
        axis.plot(places, [float(np.mean(values[x])) for x in places], color=colour, label=label)
        for x in places:
            axis.plot([x] * len(values[x]), list(values[x]), ".", color=colour, ms=4)
    axis.set(xlabel=x_name, ylabel=y_name)
    axis.legend(frameon=False, fontsize=8)
    return written(figure, path)


def pareto(
    path: Path, cost: str, measure: str, points: Mapping[str, tuple[float, Sequence[float]]], *, largest: bool
) -> Path:
    """A measure against what it costs, a point a network: the mean over seeds, with a line of one standard deviation. points[label] =
    (cost, values [seed]); the line joins those that nothing as cheap surpasses, by the largest values or the smallest. Of two that cost
    nearly the same the dearer has its label."""
    figure, axes = blank(width=5.2, height=3.6)
    axis = axes[0, 0]
    costs = np.array([one for one, _ in points.values()], float)
    means = np.array([np.mean(values) for _, values in points.values()], float)
    spreads = np.array([np.std(values, ddof=1) if len(values) > 1 else 0.0 for _, values in points.values()])
    front = pareto_front(costs, means if largest else -means)
    axis.errorbar(costs, means, spreads, fmt=".", color=COLOURS[8], lw=0.8)
    axis.plot(costs[front], means[front], "o-", color=COLOURS[0], ms=4)
    labels, near = list(points), 0.03 * np.log(costs.max() / costs.min())
    told = np.inf  # from the best downwards; beside each other only one has its label
    for place in reversed(front):
        if told - np.log(costs[place]) >= near:
            told = np.log(costs[place])
            axis.annotate(
                labels[place], (costs[place], means[place]), fontsize=6, xytext=(3, 4), textcoords="offset points"
            )
    axis.set(xlabel=cost, ylabel=measure, xscale="log")
    return written(figure, path)


def pareto_front(cost: Array, gain: Array) -> Array:
    """The places of the points [n] that no other surpasses at the same cost or less, by rising cost."""
    order = np.lexsort((-gain, cost))
    best, front = -np.inf, list[int]()
    for place in order:
        if gain[place] > best:
            best = gain[place]
            front.append(int(place))
    return np.array(front, int)


def memories(path: Path, time: Array, units: Array, taus: Array, readout: Array) -> Path:
    """What one neuron keeps: its memory units [time, unit] as a picture, the slowest on top, above its output [time]."""
    figure, axes = blank(1, 2, width=6.0, height=1.9, sharex=True)
    upper, lower = axes[0, 0], axes[1, 0]
    order = np.argsort(taus)
    scale = float(np.abs(units).max()) or 1.0
    step = time[1] - time[0] if len(time) > 1 else 1.0
    extent = (time[0] - step / 2, time[-1] + step / 2, -0.5, len(taus) - 0.5)
    shown = (units[:, order] / scale).T
    upper.imshow(
        shown, aspect="auto", origin="lower", extent=extent, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest"
    )
    upper.set_yticks(range(len(taus)), [f"{taus[place]:.3g}" for place in order], fontsize=7)
    upper.set_ylabel("time constant")
    lower.plot(time, readout, color=COLOURS[0], lw=0.8)
    lower.set(xlabel="step", ylabel="activity")
    return written(figure, path)


def phase_portrait(
    path: Path, v: Array, w: Array, labels: Array, units: tuple[str, str], name: str, shown: Sequence[int]
) -> Path:
    """Trajectories (v, v') of one population, a colour a class. v, w [trial, time]; labels [trial]; the dot is the last state."""
    figure, axes = blank()
    axis = axes[0, 0]
    for label, colour in zip(shown, COLOURS, strict=False):
        chosen = np.flatnonzero(labels == label)
        for place, trial in enumerate(chosen):
            axis.plot(v[trial], w[trial], color=colour, lw=0.6, alpha=0.6, label=f"{label}" if place == 0 else None)
            axis.plot(v[trial, -1], w[trial, -1], "o", color=colour, ms=2.5)
    axis.set(xlabel=f"{name} v ({units[0]})", ylabel=f"{name} v' ({units[1]})")
    axis.legend(frameon=False, fontsize=8, title="class")
    return written(figure, path)


def traces(
    path: Path, time: Array, voltages: Mapping[str, Array], labels: Array, unit: str, shown: Sequence[int]
) -> Path:
    """Voltages over time, a panel a population, mean and standard deviation over the trials of a class. voltages[...] [trial, time]."""
    figure, axes = blank(len(voltages), width=3.2)
    for axis, (name, v) in zip(axes[0], voltages.items(), strict=True):
        for label, colour in zip(shown, COLOURS, strict=False):
            chosen = v[labels == label]
            mean, spread = chosen.mean(0), chosen.std(0)
            axis.plot(time, mean, color=colour, label=f"{label}")
            axis.fill_between(time, mean - spread, mean + spread, color=colour, alpha=0.2, lw=0)
        axis.set(xlabel="time (ms)", ylabel=f"{name} ({unit})")
    axes[0, -1].legend(frameon=False, fontsize=8, title="class")
    return written(figure, path)


def landscape(path: Path, alphas: Array, betas: Array, loss: Array, note: str) -> Path:
    """Loss over a plane of two directions, not normalised. loss [alpha, beta]; the cross is the trained point."""
    figure, axes = blank(height=3.6)
    axis = axes[0, 0]
    image = axis.contourf(alphas, betas, loss.T, levels=24, cmap="viridis")
    figure.colorbar(image, label="loss")
    axis.plot(0, 0, "x", color="white")
    axis.set(xlabel="direction 1", ylabel="direction 2")
    axis.set_title(note, fontsize=8)
    return written(figure, path)


def distributions(path: Path, values: Mapping[str, Array], unit: str) -> Path:
    """One column of points a name (parameters by region, measures by variant): every value, and the mean as a bar."""
    figure, axes = blank(width=max(4.2, 0.5 * len(values)))
    axis = axes[0, 0]
    for place, (array, colour) in enumerate(zip(values.values(), cycle(), strict=False)):
        flat = np.asarray(array, float).reshape(-1)
        axis.plot(np.full(flat.size, place), flat, ".", color=colour, ms=5)
        axis.plot([place - 0.25, place + 0.25], [flat.mean()] * 2, color=colour)
    axis.set_xticks(range(len(values)), list(values), rotation=45, ha="right", fontsize=8)
    axis.set_ylabel(unit)
    return written(figure, path)


def by_variant(path: Path, measures: Mapping[str, Mapping[str, Array]]) -> Path:
    """Measures of one number by variant, a panel a measure: a point a seed, the mean as a bar, a line of one standard deviation
    to either side. measures[measure][variant] [seed]; what is no number is left out."""
    variants = list(dict.fromkeys(name for values in measures.values() for name in values))
    figure, axes = panelled(len(measures), 3.0 if len(measures) > 1 else 4.6, 1.1 + 0.26 * len(variants), sharey=True)
    for panel, (measure, values) in zip(axes.flat, measures.items(), strict=False):
        for (place, variant), colour in zip(enumerate(variants), cycle(), strict=False):
            found = np.asarray(values.get(variant, ()), float)
            found = found[np.isfinite(found)]
            if found.size == 0:
                continue
            mean, deviation = found.mean(), found.std(ddof=1) if found.size > 1 else 0.0
            offsets = np.linspace(-0.18, 0.18, found.size) if found.size > 1 else np.zeros(1)
            panel.plot(found, place + offsets, ".", color=colour, ms=4, alpha=0.6)
            panel.plot([mean - deviation, mean + deviation], [place] * 2, color=colour, lw=1.4)
            panel.plot([mean] * 2, [place - 0.3, place + 0.3], color=colour, lw=2)
        panel.set_xlabel(measure)
        panel.set_yticks(range(len(variants)), variants, fontsize=8)
        panel.set_ylim(len(variants) - 0.4, -0.6)
        panel.grid(axis="y", color="0.92", lw=0.6)
        panel.set_axisbelow(True)
    return written(figure, path)


def weight_matrices(path: Path, matrices: Mapping[str, Array], unit: str = "") -> Path:
    """Square matrices [target, source], a panel each, blue below 0 and red above; each has the scale that its title gives, beyond
    which the largest 0.5 % lie. `unit`: of the values."""
    figure, axes = panelled(len(matrices), width=2.6, height=2.7)
    for panel, (title, matrix) in zip(axes.flat, matrices.items(), strict=False):
        scale = float(np.nanquantile(np.abs(matrix), 0.995)) or float(np.nanmax(np.abs(matrix))) or 1.0
        panel.imshow(matrix, cmap="RdBu_r", vmin=-scale, vmax=scale, interpolation="nearest")
        panel.set(xlabel="source", ylabel="target", xticks=[], yticks=[])
        panel.set_title(f"{title} (±{scale:.2g}{after_number(unit)})", fontsize=8)
    return written(figure, path)


def weight_by_distance(
    path: Path, pairs: Mapping[str, tuple[Array, Array]], unit: str = "", weight_unit: str = ""
) -> Path:
    """Size of each weight against distance, a panel a pair (distances, weights) [target, source]: every connection but those of a
    neuron with itself, and the mean in ten bins of as many connections. The title has Spearman's rank correlation."""
    figure, axes = panelled(len(pairs), width=2.8, height=2.5)
    for (panel, (title, (distances, weights))), colour in zip(
        zip(axes.flat, pairs.items(), strict=False), cycle(), strict=False
    ):
        chosen = ~np.eye(len(weights), dtype=bool) & (weights != 0) & np.isfinite(weights)
        d, w = distances[chosen], np.abs(weights[chosen])
        panel.plot(d, w, ",", color=colour, alpha=0.5, rasterized=True)
        if d.size >= 10:
            bins = np.array_split(np.argsort(d, kind="stable"), 10)
            panel.plot(
                [d[one].mean() for one in bins], [w[one].mean() for one in bins], "o-", color="black", ms=3, lw=1
            )
        panel.set(xlabel=with_unit("distance", unit), ylabel=with_unit("|weight|", weight_unit))
        panel.set_title(f"{title} (ρ = {rank_correlation(d, w):.2f})", fontsize=8)
    return written(figure, path)


def rank_correlation(a: Array, b: Array) -> float:
    """Spearman's, ties with their mean rank. a, b [n]; NaN where one of them is constant."""
    import importlib

    stats: Any = importlib.import_module("scipy.stats")  # untyped, and slow to import
    first, second = (np.asarray(stats.rankdata(one), float) for one in (a, b))
    if first.size < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


_ROW = 100  # points of a panel's height that its rows share


def rasters(path: Path, runs: Mapping[str, Mapping[str, Array]], steps: str = "step") -> Path:
    """What is on at each step, a panel a run, a colour a population. runs[title][population] [time, neuron]; on where above 0."""
    figure, axes = panelled(len(runs), width=3.6, height=2.4, columns=3)
    for panel, (title, populations) in zip(axes.flat, runs.items(), strict=False):
        below, everyone = 0, sum(x.shape[1] for x in populations.values())
        for (name, x), colour in zip(populations.items(), cycle(), strict=False):
            time, neuron = np.nonzero(x > 0)
            panel.plot(time, neuron + below, "|", color=colour, ms=_ROW / everyone, mew=0.6)
            panel.plot([], [], "s", color=colour, ms=3, label=name)
            below += x.shape[1]
        panel.set(ylim=(-0.5, below - 0.5), xlabel=steps, ylabel="neuron")
        panel.set_title(title, fontsize=9)
    handles = max((panel.get_legend_handles_labels() for panel in axes.flat), key=lambda found: len(found[0]))
    figure.legend(*handles, frameon=False, fontsize=8, loc="upper right", ncols=len(handles[0]))
    return written(figure, path, above=0.25)


def sketch(path: Path, sizes: Mapping[str, int], links: Mapping[tuple[str, str], tuple[int, float]]) -> Path:
    """Populations on a circle, with their numbers of neurons, and an arrow for each pair (source, target) that is connected:
    its number of connections, red where the mean weight excites, blue where it inhibits."""
    from matplotlib.patches import Circle

    figure, axes = blank(width=4.6, height=4.4)
    axis = axes[0, 0]
    axis.set(aspect="equal", xlim=(-1.9, 1.9), ylim=(-1.9, 1.9))
    axis.axis("off")
    angles = np.pi / 2 + 2 * np.pi * np.arange(len(sizes)) / len(sizes)
    places = {name: np.array([np.cos(a), np.sin(a)]) for name, a in zip(sizes, angles, strict=True)}
    for (source, target), (count, weight) in links.items():
        colour = COLOURS[1] if weight > 0 else COLOURS[0] if weight < 0 else "grey"
        a, b = places[source], places[target]
        style: dict[str, Any] = {"arrowstyle": "-|>", "color": colour, "shrinkA": 22, "shrinkB": 22}
        if source == target:
            axis.add_patch(Circle(tuple(1.35 * a), 0.28, fill=False, color=colour, zorder=0))
            text = 1.73 * a
        else:
            axis.annotate("", b, a, arrowprops={**style, "connectionstyle": "arc3,rad=0.15"})
            across = np.array([b[1] - a[1], a[0] - b[0]])
            text = (a + b) / 2 + 0.13 * across / max(float(np.linalg.norm(across)), 1e-9)
        behind = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        axis.text(*text, f"{count}", color=colour, fontsize=7, ha="center", va="center", bbox=behind)
    for name, place in places.items():
        axis.text(
            *place, f"{name}\n{sizes[name]}", ha="center", va="center", fontsize=9,
            bbox={"boxstyle": "circle,pad=0.45", "facecolor": "white", "edgecolor": "black"},
        )  # fmt: skip
    return written(figure, path)


def spectrum(path: Path, eigenvalues: Mapping[str, Array]) -> Path:
    """Eigenvalues in the complex plane, a colour a reading; left of the dashed line is stable. Values in 1/s."""
    figure, axes = blank()
    axis = axes[0, 0]
    for (label, values), colour in zip(eigenvalues.items(), cycle(), strict=False):
        axis.plot(np.real(values), np.imag(values), "o", color=colour, ms=4, label=label)
    axis.axvline(0, color="grey", ls="--", lw=0.8)
    axis.set(xlabel="real part (1/s)", ylabel="imaginary part (1/s)")
    axis.legend(frameon=False, fontsize=8)
    return written(figure, path)


def cycle() -> tuple[str, ...]:
    """The colours, again and again."""
    return COLOURS * 4
