"""`cortexspec show`: a circuit at each stage of its way."""

from enum import StrEnum
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
    Shapes,
    Solver,
    SpecFile,
    Step,
    Variant,
    assignments,
    lengths,
)
from cortexspec.cli.output import reporting, say, say_json


class Stage(StrEnum):
    spec = "spec"
    model = "model"
    ir = "ir"
    optimized = "optimized"
    python = "python"


def show(
    file: SpecFile,
    stage: Annotated[Stage, typer.Option("--stage", help="How far to go.")] = Stage.spec,
    circuit: Circuit = "",
    experiment: OfExperiment = "",
    variant: Variant = "",
    arguments: Arguments = [],  # noqa: B006  (typer copies the default)
    backend: Backend = "interpreter",
    dtype: Dtype = Precision.float32,
    solver: Solver = "",
    dt: Step = "",
    duration: Duration = "",
    shapes: Shapes = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Show a spec at one stage of its way.

    spec: what was written, in the one layout. model: templates expanded, names and units resolved. ir: the typed program.
    optimized: the same after the passes of the backend. python: the program that the backend runs.

    Examples:

      cortexspec show specs/cmc --stage model --circuit cmc

      cortexspec show specs/cmc --stage python --circuit cmc --backend jax --solver rk4
    """
    from cortexspec.runtime.show import show_stage, spec_data

    with reporting(as_json):
        if as_json and stage is Stage.spec:
            say_json(ok=True, stage=stage.value, spec=spec_data(file))
            return
        text = show_stage(
            file,
            stage.value,
            circuit=circuit,
            arguments=assignments(arguments),
            experiment=experiment,
            variant=variant,
            backend=backend,
            dtype=dtype.value,
            solver=solver,
            dt=dt,
            duration=duration,
            shapes=lengths(shapes),
        )
        if as_json:
            say_json(ok=True, stage=stage.value, text=text)
        else:
            say(text.rstrip())
