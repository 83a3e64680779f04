"""`cortexspec train`: train one experiment, with a record as it goes."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cortexspec.cli.options import (
    Arguments,
    AsJson,
    Backend,
    Data,
    Dtype,
    Precision,
    Seed,
    SpecFile,
    assignments,
)
from cortexspec.cli.output import BROKEN, reporting, say, say_json

if TYPE_CHECKING:
    from cortexspec.experiments.session import ExperimentRead
    from cortexspec.experiments.shown_units import ShownUnits


def train(
    file: SpecFile,
    experiment: Annotated[
        str,
        typer.Option(
            "--experiment", "-e", metavar="NAME", help="Which experiment.", show_default="the only one that trains"
        ),
    ] = "",
    variant: Annotated[str, typer.Option("--variant", metavar="NAME", help="A variant of the experiment.")] = "base",
    at: Arguments = [],  # noqa: B006  (typer copies the default)
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FOLDER",
            help="Where metrics and checkpoints go.",
            show_default="runs/EXPERIMENT-VARIANT-SEED",
        ),
    ] = None,
    backend: Backend = "torch",
    dtype: Dtype = Precision.float32,
    seed: Seed = 1,
    data: Data = None,
    figures: Annotated[
        bool,
        typer.Option(
            "--figures",
            help="Draw phase portraits, voltages, rate constants and the loss landscape into FOLDER/figures.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train one experiment of a spec.

    The folder gets metrics.jsonl, a line an epoch as it ends; a checkpoint after each epoch; at the end model.safetensors, which
    `cortexspec.restore` loads on any backend. The same command goes on where an interrupted one stopped, to the same result.

    Examples:

      cortexspec train specs/cmc -e mnist --set regions=1

      cortexspec train specs/cmc -e ablation --variant without_dp --seed 2 --backend jax
    """
    import cortexspec
    from cortexspec.experiments.claim import CellKey
    from cortexspec.experiments.portrait import draw_session
    from cortexspec.experiments.session import Choice, Session, read_experiments

    with reporting(as_json):
        choice = Choice(file, backend=backend, dtype=dtype.value, data=data)
        read = read_experiments(choice)
        name = _chosen(experiment, read)
        key, units = CellKey(name, variant, _point(read[name], assignments(at))), read[name].grid.units
        folder = out or Path("runs") / "-".join([name, variant, *[f"{k}={v}" for k, v in key.point], str(seed)])
        session = Session.open(choice, key, seed)
        if session.plan is None and session.search is None:
            raise typer.BadParameter(f"the experiment `{name}` has no `train` section")
        if not as_json:
            say(f"{name} ({variant}, seed {seed}) on {backend}: {session.training()}")
            if session.data.dataset is not None and session.data.dataset.note:
                say(session.data.dataset.note)
        progress = _Progress(folder, units)
        try:
            history = session.train(folder, None if as_json else progress)
        except KeyboardInterrupt:
            print(f"\nstopped; the same command goes on from the last whole epoch in {folder}", file=sys.stderr)
            raise typer.Exit(BROKEN) from None
        if not as_json:
            progress.tell_epochs()
        model = folder / "model.safetensors"
        cortexspec.save(session.simulation, model)
        measures = session.held_out()
        drawn = draw_session(session, folder / "figures") if figures else []
    if as_json:
        say_json(
            ok=True,
            experiment=name,
            variant=variant,
            seed=seed,
            history=history,
            measures=measures,
            model=str(model),
            figures=[str(path) for path in drawn],
        )
        return
    for measure, value in measures.items():
        if measure != "held_out":
            say(f"{measure} = {units.text(measure, value, '{:.6g}'.format)}")
    say(f"trained parameters: {model}")
    if drawn:
        say(f"{len(drawn)} figures: {folder / 'figures'}")


def _chosen(experiment: str, read: "Mapping[str, ExperimentRead]") -> str:
    if experiment in read:
        return experiment
    if experiment:
        raise typer.BadParameter(f"there is no experiment `{experiment}`; there are {', '.join(read)}")
    trained = [name for name, one in read.items() if one.grid.seeded]
    if len(trained) != 1:
        raise typer.BadParameter(f"say which experiment: {', '.join(trained)}" if trained else "no experiment trains")
    return trained[0]


def _point(experiment: "ExperimentRead", given: Mapping[str, str]) -> tuple[tuple[str, Any], ...]:
    """The values of the experiment's `vary` axes: as given, else the first of each."""
    point: list[tuple[str, Any]] = []
    left = dict(given)
    for axis in experiment.grid.axes:
        for name, first in zip(axis.names, axis.rows[0], strict=True):
            value = left.pop(name, None)
            point.append((name, first if value is None else next((r for r in _numbers(value)), value)))
    return (*point, *left.items())


def _numbers(text: str) -> list[int | float]:
    for kind in (int, float):
        try:
            return [kind(text)]
        except ValueError:
            continue
    return []


class _Progress:
    """A bar on a terminal; on both, a line an epoch from the record that training writes."""

    def __init__(self, folder: Path, units: "ShownUnits") -> None:
        self._metrics = folder / "metrics.jsonl"
        self._units = units
        self._told = self._size = 0

    def __call__(self, done: int, total: int, numbers: Mapping[str, float]) -> None:
        self.tell_epochs()
        if sys.stderr.isatty():
            width = 32
            filled = width * done // total
            bar = "#" * filled + "." * (width - filled)
            end = "\n" if done == total else ""
            name, value = next(iter(numbers.items()))
            print(
                f"\r{bar} {done}/{total}  {name} {self._units.text(name, value, '{:.4f}'.format)} ",
                end=end,
                file=sys.stderr,
                flush=True,
            )

    def tell_epochs(self) -> None:
        """The epochs that ended since the last time."""
        try:
            size = self._metrics.stat().st_size
        except FileNotFoundError:
            return
        if size == self._size:
            return
        self._size = size
        lines = self._metrics.read_text(encoding="utf-8").splitlines()
        for line in lines[self._told :]:
            record = json.loads(line)
            epoch = record.pop("epoch")
            numbers = ((name, value) for name, value in record.items() if isinstance(value, (int, float)))
            said = "  ".join(f"{name} {self._units.text(name, value, '{:.4g}'.format)}" for name, value in numbers)
            print(f"\repoch {epoch}: {said}".ljust(72), file=sys.stderr, flush=True)
        self._told = len(lines)
