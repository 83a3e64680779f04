"""Sweeps: the same table on every executor and after every kill; what fails is named and stops no other; clear errors about the folder."""

import errno
import io
import json
import os
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import cortexspec as cs
from benchmarks.kill import differences, disturbed, table_of
from cortexspec.cli import app
from cortexspec.diagnostics import SpecError
from cortexspec.experiments import executors
from cortexspec.experiments.cells import CellStore, Result
from cortexspec.experiments.claim import CellKey
from cortexspec.experiments.executors import opened
from cortexspec.experiments.figures import rank_correlation
from cortexspec.experiments.portrait import draw_table, is_distance
from cortexspec.experiments.progress import DRAWING, HEADINGS, Lines, LiveTable, Progress, clock, rows
from cortexspec.experiments.report import markdown
from cortexspec.experiments.reproduce import Table, Task, reproduce, run_task
from cortexspec.experiments.session import Choice

TEXT = '''"""A network of binary units. It is small & quick."""

neuron unit {
  param b = 0 per neuron
  input u = 0
  state x ~ bernoulli(0.5)
  let p = sigmoid(u + b)
  x <- bernoulli(p)
  output x
}

circuit net {
  population a[12] : unit
  connect within: a -> a { weight ~ normal(0, 0.2) }
}

experiment whole of net {
  simulate { duration = 20; dt = 1; warm_up = 5; trials = 3 }
  measure on = mean(a.x)
  measure level = mean(a.x, over = [trial, time])
  vary { seed = 1..2 }
  variant excited { a.b = 1 }
  variant calm { a.b = -1 }
  claim "excited" from "here": on[variant = excited] > on
  claim "calm" from "here": on[variant = calm] < 0.4
}
'''
CLI = CliRunner()


@pytest.fixture
def choice(tmp_path: Path) -> Choice:
    path = tmp_path / "net.cortex"
    path.write_text(TEXT, encoding="utf-8")
    return Choice(path, "interpreter")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return alone(TEXT, tmp_path_factory.mktemp("alone"))


def alone(text: str, folder: Path) -> dict[str, Any]:
    """The table of a sweep in one process that nobody disturbs."""
    (folder / "net.cortex").write_text(text, encoding="utf-8")
    arguments = ["reproduce", str(folder / "net.cortex"), "-b", "interpreter", "--workers", "0", "--json"]
    found = CLI.invoke(app, [*arguments, "--results", str(folder / "results")])
    assert found.exit_code == 0, found.output
    return table_of(found.stdout, folder / "results")


def numbers(table: Table) -> dict[Any, Any]:
    return {
        (cell.variant, seed): result.measures
        for cell, found in table.results.items()
        for seed, result in sorted(found.items())
    }


def verdicts(table: Table) -> list[tuple[str, str, str]]:
    return [(row.claim.text, row.verdict.word, row.verdict.reason) for rows in table.rows.values() for row in rows]


def wrong_when(excited: Callable[[Task], bool]) -> Callable[[Task], Result]:
    def run(task: Task) -> Result:
        if excited(task):
            raise ValueError("too <excited> to run")
        return run_task(task)

    return run


# The same table everywhere


@pytest.mark.timeout(900)  # a second or two of work a process, however busy the machine is
def test_a_killed_sweep_ends_with_the_table_of_an_undisturbed_one(
    choice: Choice, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    long = TEXT.replace("duration = 20;", "duration = 1000;")  # seconds of cells, of which kills wait for 0.4 at most
    undisturbed = alone(long, tmp_path_factory.mktemp("alone"))
    choice.file.write_text(long, encoding="utf-8")
    killed: list[Any] = []
    arguments = [str(choice.file), "-b", "interpreter", "--workers", "1"]
    table = disturbed(
        arguments, tmp_path / "results", ["worker", "sweep"], random.Random(), pause=0.2, report=killed.append
    )
    assert [one.what for one in killed] == ["worker", "sweep"], killed
    assert list(differences(undisturbed, table)) == []


def same_on(executor: Any, choice: Choice, tmp_path: Path, undisturbed: dict[str, Any]) -> None:
    table = reproduce(choice, store=tmp_path / "results", workers=2, executor=executor)
    assert not table.broken and len(table.results) == 3
    found = table_of("{}", tmp_path / "results")["cells"]
    assert list(differences(undisturbed["cells"], found)) == []
    assert [row[2] for row in verdicts(table)] == [row["reason"] for row in undisturbed["claims"]["claims"]]


@pytest.mark.timeout(900)
def test_dask_on_two_workers_gives_the_same_table(
    choice: Choice, tmp_path: Path, undisturbed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.chdir(tmp_path)  # a relative path means the same there
    same_on("dask", Choice(Path("net.cortex"), "interpreter"), Path(), undisturbed)


def test_threads_give_the_same_table(choice: Choice, tmp_path: Path, undisturbed: dict[str, Any]) -> None:
    with ThreadPoolExecutor(2) as pool:
        same_on(pool, choice, tmp_path, undisturbed)
        assert pool.submit(int).result() == 0  # what is given stays open


@pytest.mark.timeout(900)
def test_jobs_of_submitit_give_the_same_numbers(choice: Choice, tmp_path: Path, undisturbed: dict[str, Any]) -> None:
    """On submitit's executor for one machine: there is no cluster here."""
    pytest.importorskip("submitit")
    edited = (
        TEXT.replace("1..2", "1..1")
        .replace("  variant calm { a.b = -1 }\n", "")
        .replace('  claim "calm" from "here": on[variant = calm] < 0.4\n', "")
    )
    choice.file.write_text(edited, encoding="utf-8")
    found = reproduce(choice, store=tmp_path / "results", workers=2, executor="slurm:cluster=local,timeout_min=5")
    assert not found.broken
    own = table_of("{}", tmp_path / "results")["cells"]
    assert len(own) == 2 and not list(differences({key: undisturbed["cells"][key] for key in own}, own))
    assert list((tmp_path / "results" / "jobs").glob("*_log.out"))


def test_a_job_that_is_lost_is_submitted_again(tmp_path: Path) -> None:
    submitit = pytest.importorskip("submitit")

    class Handle:
        def __init__(self, answers: list[Any]):
            self.answers = answers

        def done(self) -> bool:
            return True

        def result(self) -> Any:
            answer = self.answers.pop(0)
            if answer is None:
                raise submitit.core.utils.UncompletedJobError("Job 7 has not produced any output")
            return answer

    class Cluster:
        def __init__(self) -> None:
            self.arrays: list[int] = []

        def batch(self) -> Any:
            self.arrays.append(0)
            return opened(ThreadPoolExecutor(1), None, tmp_path)

        def submit(self, function: Any, answers: list[Any]) -> Handle:
            self.arrays[-1] += 1
            return Handle(answers)

    cluster = Cluster()
    executor = executors.SubmititExecutor(cluster)
    futures = [executor.submit(id, answers) for answers in ([1], [None, 2], [None, None, None])]
    executor.shutdown()
    assert [one.result() for one in futures[:2]] == [1, 2]
    with pytest.raises(RuntimeError, match="ended 3 times without an answer: Job 7"):
        futures[2].result()
    assert cluster.arrays == [3, 2, 1]


# Executors by name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dusk", "there is no executor `dusk`(.|\n)*did you mean `dask`"),
        ("slurm:partition", "`partition` is no setting of the executor `slurm`"),
        ("slurm:cluster=nowhere", "the executor `slurm` cannot be set up"),
    ],
)
def test_an_executor_that_is_not_there(choice: Choice, tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(SpecError, match=f"CS942(.|\n)*{message}"):
        reproduce(choice, store=tmp_path / "results", executor=name)


@pytest.mark.parametrize(("name", "module"), [("dask", "distributed"), ("slurm", "submitit")])
def test_an_executor_that_is_not_installed_names_its_extra(
    choice: Choice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, module: str
) -> None:
    monkeypatch.setitem(__import__("sys").modules, module, None)
    arguments = [
        "reproduce",
        str(choice.file),
        "-b",
        "interpreter",
        "--executor",
        name,
        "--results",
        str(tmp_path / "r"),
    ]
    result = CLI.invoke(app, arguments)
    assert result.exit_code == 1
    assert f"error[CS942 unfit-executor]: the executor `{name}` needs the package `{module}`" in result.stderr
    assert f'pip install "cortexspec[{name}]"' in result.stderr


# What goes wrong


def test_a_cell_that_fails_is_named_and_stops_no_other(choice: Choice, tmp_path: Path) -> None:
    broken = wrong_when(lambda task: task.cell.variant == "excited" and task.seed == 2)
    table = reproduce(choice, store=tmp_path / "results", workers=0, run=broken)
    assert len(numbers(table)) == 5 and table.broken
    [(cell, by_seed)] = table.failures.items()
    assert (cell.variant, list(by_seed)) == ("excited", [2])
    assert "Traceback" in by_seed[2].details
    assert verdicts(table) == [
        ("excited", "not run", "failed: seed 2 of `excited`: ValueError: too <excited> to run"),
        ("calm", "holds", verdicts(table)[1][2]),
    ]
    known = table.measure(cell, "on")
    assert np.isfinite(known[0]) and np.isnan(known[1])
    ran: list[Task] = []
    mended = reproduce(
        choice, store=tmp_path / "results", workers=0, run=lambda task: ran.append(task) or run_task(task)
    )
    assert [(task.cell.variant, task.seed) for task in ran] == [("excited", 2)]
    assert not mended.broken and verdicts(mended)[0][1] == "holds"


def test_the_command_shows_what_failed_and_exits_with_1(
    choice: Choice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Any, *_: Any, **__: Any) -> Result:
        raise ValueError(f"no such {self.key.variant}")

    monkeypatch.setattr("cortexspec.experiments.reproduce.Session.result", broken)
    arguments = ["reproduce", str(choice.file), "-b", "interpreter", "--workers", "0", "--results", str(tmp_path / "r")]
    report = tmp_path / "report.html"
    result = CLI.invoke(app, [*arguments, "--report", str(report)])
    assert result.exit_code == 1
    assert "failed: whole calm seed = 2: ValueError: no such calm" in result.stdout
    assert result.stderr.count("Traceback") == 3  # one a mistake, not one a cell
    assert "6 of 6 cells are missing" in report.read_text(encoding="utf-8")
    data = json.loads(CLI.invoke(app, [*arguments, "--json"]).stdout)
    assert not data["ok"] and len(data["failed"]) == 6 and data["failed"][0]["reason"] == "ValueError: no such base"


def test_a_full_disk_stops_the_sweep_and_what_was_finished_stays(
    choice: Choice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "results"

    def full(handle: int) -> None:
        if len(list(store.glob("??/*.json"))) >= 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("cortexspec.runtime.files.os.fsync", full)
    with pytest.raises(SpecError, match=r"CS919(.|\n)*cannot be written: No space left on device"):
        reproduce(choice, store=store, workers=0)
    monkeypatch.undo()
    assert not list(store.rglob(".*.json*"))
    ran: list[Task] = []
    table = reproduce(choice, store=store, workers=0, run=lambda task: ran.append(task) or run_task(task))
    assert len(ran) == 4 and len(numbers(table)) == 6


def test_a_folder_that_cannot_be_written_to_says_so_before_anything_runs(choice: Choice, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpecError, match=r"CS919(.|\n)*`.*file/results` cannot be written to"):
        reproduce(choice, store=tmp_path / "file" / "results", workers=0, run=wrong_when(lambda _: True))


def test_two_sweeps_in_one_folder(choice: Choice, tmp_path: Path) -> None:
    store = tmp_path / "results"
    arguments = ["reproduce", str(choice.file), "-b", "interpreter", "--workers", "0", "--results", str(store)]
    with CellStore(store).held():
        result = CLI.invoke(app, arguments)
    assert result.exit_code == 1
    assert (
        f"error[CS941 folder-in-use]: another sweep uses the folder `{store}`: process {os.getpid()} on"
        in result.stderr
    )
    with CellStore(store).held():
        pass


# Progress, tables, reports


def test_counts_times_and_lines_of_a_sweep(choice: Choice, tmp_path: Path) -> None:
    written: list[str] = []
    broken = wrong_when(lambda task: task.cell.variant == "excited")
    reproduce(choice, store=tmp_path / "results", workers=0, run=broken, watch=Lines(written.append))
    assert written[0].startswith("[1/6] whole base seed=1: on 0.") and written[0].endswith(" s)")
    assert "[2/6] whole excited seed=1: failed: ValueError: too <excited> to run" in written
    progress = Progress()
    reproduce(choice, store=tmp_path / "results", workers=0, run=broken, watch=progress)
    counts = progress.experiments["whole"]
    assert (counts.total, counts.kept, counts.ran, counts.failed, counts.left) == (6, 4, 0, 2, 0)
    assert dict(zip(HEADINGS, rows(progress)[0], strict=True))["done"] == "4/6 (4 kept)"
    with CellStore(tmp_path / "other").running("key"):
        assert CellStore(tmp_path / "other").run_now() == ["key"]
    assert (clock(62.4), clock(3723), clock(float("nan"))) == ("1:02", "1:02:03", "?")


def test_the_time_left_follows_from_the_cells_that_ended_and_those_that_run(tmp_path: Path) -> None:
    tasks = [Task(Choice(Path("x")), CellKey("e", "base", ()), seed, f"k{seed}", tmp_path) for seed in range(10)]
    progress = Progress()
    progress.begin(tasks)
    for task in tasks[:4]:
        progress.ended(task, Result({}, seconds=6.0), "ran")
    with CellStore(tmp_path).running("k4"), CellStore(tmp_path).running("k5"), CellStore(tmp_path).running("k0"):
        progress.look()
    assert (progress.experiments["e"].running, progress.experiments["e"].left) == (2, 4)
    assert progress.time_left() == pytest.approx((4 + 1) * 6 / 2)


def test_the_live_table_is_drawn_at_a_terminal(choice: Choice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    with LiveTable(terminal, "net") as table:
        reproduce(choice, store=tmp_path / "results", workers=0, watch=table)
        assert DRAWING not in terminal.getvalue()
        table.drawing()
    last = terminal.getvalue()
    assert "experiment" in last and "6/6" in last and "time left" in last and DRAWING in last


def test_figures_are_told_of_before_they_are_drawn(choice: Choice, tmp_path: Path) -> None:
    written: list[str] = []
    cs.reproduce(
        choice.file, backend="interpreter", results=tmp_path / "results", workers=0, watch=Lines(written.append)
    )
    assert len(written) == 7 and written[-1] == DRAWING


def test_an_experiment_that_claims_nothing_runs_whole_where_it_is_named(choice: Choice, tmp_path: Path) -> None:
    silent = "\n".join(line for line in TEXT.splitlines() if "claim" not in line)
    choice.file.write_text(silent.replace("vary {", "vary { a.b = [0, 2];"), encoding="utf-8")
    arguments = ["reproduce", str(choice.file), "-b", "interpreter", "--workers", "0", "--results", str(tmp_path / "r")]
    unnamed = CLI.invoke(app, arguments)
    assert unnamed.exit_code == 0 and not list((tmp_path / "r").glob("cells/*"))
    assert unnamed.stdout.startswith("nothing ran of what claims nothing: whole; -e NAME runs all of one")
    report = tmp_path / "report.html"
    named = CLI.invoke(app, [*arguments, "-e", "whole", "--report", str(report)])
    table = cs.reproduce(choice.file, ["whole"], backend="interpreter", results=tmp_path / "r", only_kept=True)
    cells = {(cell.variant, dict(cell.point)["a.b"]): cell for cell in table.results}
    assert cells.keys() == {(variant, b) for variant in ("base", "excited", "calm") for b in (0, 2)}
    low, high = (table.measure(cells["base", b], "on") for b in (0, 2))
    assert low.shape == (2,) and (low < high).all()
    page = Page()
    page.feed(report.read_text(encoding="utf-8"))
    assert {"whole", "cells"} <= page.ids
    for text in (named.stdout, page.text, markdown(table)):
        assert f"{high.mean():.4g} ± " in text and "verdict" not in text


def test_only_what_is_finished_is_judged_when_nothing_may_run(choice: Choice, tmp_path: Path) -> None:
    stop = wrong_when(lambda task: task.cell.variant == "calm")
    reproduce(choice, store=tmp_path / "results", workers=0, run=stop)
    table = cs.reproduce(choice.file, backend="interpreter", results=tmp_path / "results", only_kept=True)
    assert [row[1] for row in verdicts(table)] == ["holds", "not run"]
    assert verdicts(table)[1][2] == "not finished: seeds 1, 2 of `calm`"
    with pytest.raises(SpecError, match="CS301"):
        cs.reproduce(choice.file, ["absent"], backend="interpreter", results=tmp_path / "none", only_kept=True)
    assert not (tmp_path / "none").exists()


class Page(HTMLParser):
    """Checks that tags close in the order they open; notes text and links to anything outside the file."""

    ALONE = ("meta", "img", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.outside: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.ids = set[str]()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag not in self.ALONE:
            self.open.append(tag)
        if tag == "img":
            self.images.append(found)
        self.ids |= {found["id"] or ""} if "id" in found else set()
        self.links += [found["href"] or ""] if tag == "a" else []
        places = [found[name] or "" for name in ("src", "href") if name in found]
        self.outside += [place for place in places if not place.startswith(("#", "data:"))] + (
            [tag] if tag in ("script", "link") else []
        )

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data if self.open and self.open[-1] != "style" else ""


def test_the_report_is_one_whole_page(choice: Choice, tmp_path: Path) -> None:
    report = tmp_path / "pages" / "report.html"
    broken = wrong_when(lambda task: task.cell.variant == "calm" and task.seed == 2)
    reproduce(choice, store=tmp_path / "results", workers=0, run=broken)
    table = cs.reproduce(
        choice.file, backend="interpreter", results=tmp_path / "results", report=report, only_kept=True
    )
    text = report.read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert page.open == [] and page.outside == []
    assert all(link[1:] in page.ids for link in page.links)
    assert "<h1>A network of binary units</h1>\n<p>It is small &amp; quick.</p>" in text
    assert page.text.count("5/6") == 1 and "1 of 6 cells are missing" in page.text
    assert "not finished: seed 2 of `calm`" in page.text
    assert {image["alt"] for image in page.images} >= {
        "Measures by variant: a point a seed, the mean, one standard deviation to either side.",
        "level of base: every element, a column a seed.",
    }
    assert all((image["src"] or "").startswith("data:image/png;base64,iVBOR") for image in page.images)
    mean = table.measure(CellKey("whole", "excited", ()), "on").mean()
    assert f"{mean:.4g} ± " in page.text
    assert "interpreter" in page.text and f"numpy {np.__version__}" in page.text and "1, 2" in page.text
    first = table.results[CellKey("whole", "base", ())][1].measures["on"]
    assert f'<td class="number">{first:.4g}</td>' in text
    for (_, _), key in table.addresses.items():
        assert key[:12] in page.text


def test_square_matrices_that_are_measured_are_drawn_with_their_distances(choice: Choice, tmp_path: Path) -> None:
    places = np.random.default_rng(1).random((40, 2))
    distances = np.linalg.norm(places[:, None] - places[None], axis=-1)
    weights = np.exp(-3 * distances) * np.random.default_rng(2).normal(size=(40, 40))

    def run(task: Task) -> Result:
        sign = -1 if task.cell.variant == "calm" else 1
        return Result(
            {"on": 0.5, "level": sign * weights.astype(np.float32), "far": distances}, history=({"loss": 1.0},)
        )

    choice.file.write_text(TEXT.replace("  vary {", "  measure far = mean(a.x)\n  vary {"), encoding="utf-8")
    table = reproduce(choice, store=tmp_path / "results", workers=0, run=run)
    assert is_distance(distances) and not is_distance(weights) and not is_distance(np.abs(weights))
    drawn = draw_table(table, tmp_path / "figures")
    assert [one.path.name for one in drawn] == [
        "whole_learning.png", "whole_measures.png", "whole_level.png", "whole_level_by_far.png",
    ]  # fmt: skip
    assert all(one.path.stat().st_size > 1000 and one.experiment == "whole" for one in drawn)
    assert rank_correlation(np.arange(5.0), np.arange(5.0) ** 3) == pytest.approx(1)
    assert np.isnan(rank_correlation(np.zeros(4), np.arange(4.0)))


def test_large_arrays_are_kept_beside_the_record_bit_for_bit(tmp_path: Path) -> None:
    array = np.random.default_rng(1).normal(size=(40, 40)).astype(np.float32)
    store = CellStore(tmp_path)
    store.keep("abcd", {}, Result({"w": array, "small": np.arange(3.0), "on": 1.5}))
    found = store.find("abcd")
    assert found is not None and found.measures["on"] == 1.5 and found.measures["small"] == [0.0, 1.0, 2.0]
    assert found.measures["w"].dtype == np.float32 and np.array_equal(found.measures["w"], array)
    store.path("abcd", ".safetensors").write_bytes(b"cut")
    with pytest.raises(SpecError, match="CS922"):
        store.find("abcd")
