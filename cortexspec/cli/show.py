"""`cortexspec show`: a circuit at each stage of its way."""

from enum import StrEnum
from typing import Annotated

import typer

from cortexspec.cli.options import Arguments, AsJson, Backend, Circuit, Dtype, Solver, SpecFile, Step, assignments
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
    arguments: Arguments = [],  # noqa: B006  (typer copies the default)
    backend: Backend = "interpreter",
    dtype: Dtype = "float32",
    solver: Solver = "euler",
    step: Step = "",
    as_json: AsJson = False,
) -> None:
    """Show a spec at one stage of its way.

    spec: what was written, in the one layout. model: templates expanded, names and units resolved. ir: the typed program.
    optimized: the same after the passes of the backend. python: the program that the backend runs.

    Examples:

      cortexspec show specs/cmc --stage model --circuit cmc

      cortexspec show specs/cmc --stage python --circuit visual_hierarchy --set regions=1 --backend jax
    """
    from cortexspec.runtime.show import show_stage

    with reporting(as_json):
        shown = show_stage(
            file,
            stage.value,
            circuit=circuit,
            arguments=assignments(arguments),
            backend=backend,
            dtype=dtype,
            solver=solver,
            dt=step,
        )
    if as_json:
        say_json(ok=True, stage=stage.value, **shown.data())
    else:
        say(shown.text.rstrip())
