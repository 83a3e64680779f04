"""`cortexspec export`: a program that needs no CortexSpec."""

from pathlib import Path
from typing import Annotated

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
    Shapes,
    Solver,
    SpecFile,
    Step,
    Variant,
    assignments,
    lengths,
)
from cortexspec.cli.output import reporting, say, say_json


def export(
    file: SpecFile,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Where the program goes, such as model.py.")],
    duration: Duration = "",
    dt: Step = "",
    circuit: Circuit = "",
    experiment: OfExperiment = "",
    variant: Variant = "",
    arguments: Arguments = [],  # noqa: B006  (typer copies the default)
    checkpoint: Annotated[
        Path | None,
        typer.Option("--checkpoint", metavar="FILE", help="Trained parameters, as `cortexspec.save` wrote them."),
    ] = None,
    backend: Backend = "torch",
    dtype: Dtype = Precision.float32,
    solver: Solver = "",
    seed: Seed = 0,
    shapes: Shapes = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Write the program of a circuit as a file that does not import CortexSpec.

    Its parameters and buffers go beside it, as safetensors.

    Example:

      cortexspec export specs/cmc -c cmc -b jax -o cmc.py --duration "73 ms" --dt "3.65 ms"
    """
    import cortexspec
    from cortexspec.runtime.export import export as write_program

    with reporting(as_json):
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
            shapes=lengths(shapes),
        )
        if checkpoint is not None:
            cortexspec.restore(simulation, checkpoint)
        program, arrays = write_program(simulation, out)
    if as_json:
        say_json(ok=True, program=str(program), arrays=str(arrays), circuit=simulation.circuit)
    else:
        say(f"{program}: the program\n{arrays}: its parameters and buffers")
