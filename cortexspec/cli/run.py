"""`cortexspec run`: simulate a circuit."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cortexspec.cli.options import (
    Arguments,
    AsJson,
    Backend,
    Circuit,
    Dtype,
    Duration,
    OfExperiment,
    Precision,
    Seed,
    Solver,
    SpecFile,
    Step,
    Variant,
    assignments,
)
from cortexspec.cli.output import reporting, say, say_json

if TYPE_CHECKING:
    import xarray


def run(
    file: SpecFile,
    duration: Duration = "",
    dt: Step = "",
    circuit: Circuit = "",
    experiment: OfExperiment = "",
    variant: Variant = "",
    arguments: Arguments = [],  # noqa: B006  (typer copies the default)
    inputs: Annotated[
        list[str],
        typer.Option(
            "--input",
            "-i",
            metavar="NAME=VALUE",
            show_default=False,
            help='An input: a quantity ("10 Hz") or an .npy file, [own axes], [trial, own] or [trial, time, own].',
        ),
    ] = [],  # noqa: B006
    record: Annotated[
        list[str],
        typer.Option(
            "--record",
            "-r",
            metavar="NAME",
            show_default="the outputs after the last step",
            help="What to record: V.sp.v, a let, NAME.arriving; with [time = end] only the last value.",
        ),
    ] = [],  # noqa: B006
    trials: Annotated[int | None, typer.Option("--trials", metavar="N", min=1, help="How many trials.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Where the recordings go: .nc, .npz or .csv.")
    ] = None,
    backend: Backend = "interpreter",
    dtype: Dtype = Precision.float32,
    solver: Solver = "",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Simulate a circuit and record from it.

    Prints a line a recording; --out keeps all of it, with units and provenance.

    Examples:

      cortexspec run model.cortex --duration "100 ms" --dt "0.1 ms" -i "drive=10 mV" -r a.v

      cortexspec run specs/cmc -c cmc -i drive=rates.npy --duration "1 s" --dt "1 ms" -r sp.v -o run.nc
    """
    import cortexspec
    from cortexspec.runtime.arrays import check_format, read_value, write_result

    with reporting(as_json):
        if out is not None:
            check_format(out)
        simulation = cortexspec.compile(
            file,
            circuit or None,
            assignments(arguments),
            experiment=experiment or None,
            variant=variant or None,
            backend=backend,
            dtype=dtype.value,
            solver=solver or None,
            dt=dt or None,
            duration=duration or None,
            seed=seed,
        )
        given = {name: read_value(value) for name, value in assignments(inputs).items()}
        result = simulation.simulate(given, record=record or None, trials=trials)
        if out is not None:
            write_result(result, out)
    rows = [_summary(str(name), variable) for name, variable in result.data_vars.items()]
    if as_json:
        say_json(ok=True, recordings=rows, provenance=dict(result.attrs), file=str(out) if out else None)
        return
    for row in rows:
        axes = ", ".join(f"{axis} {size}" for axis, size in row["axes"].items())
        say(f"{row['name']} [{axes}] {row['unit']}: mean {row['mean']:.6g}, from {row['min']:.6g} to {row['max']:.6g}")
    if out is not None:
        say(f"written to {out}")


def _summary(name: str, variable: "xarray.DataArray") -> dict[str, Any]:
    return {
        "name": name,
        "axes": {str(axis): size for axis, size in variable.sizes.items()},
        "unit": variable.attrs.get("units", "1"),
        "mean": float(variable.mean()),
        "min": float(variable.min()),
        "max": float(variable.max()),
    }
