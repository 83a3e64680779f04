"""A whole sweep from a file: its cells run, its claims judged, figures, `claims.md` and the report written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path

from cortexspec.experiments.html_report import html
from cortexspec.experiments.portrait import draw_networks, draw_spikes, draw_table
from cortexspec.experiments.report import markdown
from cortexspec.experiments.reproduce import Table, Watch
from cortexspec.experiments.reproduce import reproduce as run_claims
from cortexspec.experiments.session import AUTO, Choice
from cortexspec.runtime.files import write_whole

FIGURES = "figures"
CLAIMS = "claims.md"


def reproduce(
    file: str | os.PathLike[str],
    experiments: Sequence[str] = (),
    *,
    profile: str = "",
    backend: str = AUTO,
    dtype: str = "float32",
    data: str | os.PathLike[str] | None = None,
    results: str | os.PathLike[str] = "results",
    executor: Executor | str = "local",
    workers: int | None = None,
    report: str | os.PathLike[str] | None = None,
    watch: Watch | None = None,
    only_kept: bool = False,
) -> Table:
    """Runs what the claims of a spec need and judges them; what an earlier call finished is found in `results`.

    `file`: a spec, or a folder with a `model.cortex`. `executor`: any of `concurrent.futures`, or `local` (processes of this machine,
    each replaced when it dies), `dask`, `dask:ADDRESS`, `slurm`, `slurm:NAME=VALUE,..`; `workers`: how many cells run at one time, 0
    for this process. `report`: one HTML file with the verdicts, figures, cells and where all of it comes from. `watch`: who follows,
    such as `experiments.progress.LiveTable`. `only_kept`: judge what is there, run nothing. A cell that fails is in the table's
    `failures`.

    Writes `claims.md` and `figures/` into `results`. Raises: SpecError, as `experiments.reproduce.reproduce` does.
    """
    path, store = Path(file), Path(results)
    choice = Choice(path, backend, dtype, None if data is None else Path(data))
    table = run_claims(
        choice, experiments, profile=profile, store=store, workers=workers, executor=executor, watch=watch,
        only_kept=only_kept,
    )  # fmt: skip
    write_whole(store / CLAIMS, markdown(table).encode())
    folder = store / FIGURES
    if watch is not None:
        watch.drawing()
    figures = [
        *draw_table(table, folder),
        *draw_networks(choice, table, folder, store=store),
        *draw_spikes(choice, table, folder, store=store),
    ]
    if report is not None:
        write_whole(Path(report), html(choice, table, figures).encode())
    return table
