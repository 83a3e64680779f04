"""What docs/tasks.md shows, run with fewer trials."""

import re
from pathlib import Path

from cortexspec_tasks import DATASETS

from cortexspec.experiments.claim import CellKey
from cortexspec.experiments.session import Choice, Session
from cortexspec.runtime.check import check_file

PAGE = (Path(__file__).parents[3] / "docs" / "tasks.md").read_text(encoding="utf-8")
TEXT = re.findall(r"^```cortex\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[0]


def test_the_page_runs(tmp_path: Path) -> None:
    file = tmp_path / "model.cortex"
    file.write_text(TEXT, encoding="utf-8")
    assert check_file(file).diagnostics == ()
    session = Session.open(Choice(file, backend="interpreter"), CellKey("decide", "base", ()), 1)
    assert session.simulation.steps() == session.dataset.length == 36


def test_every_task_and_setting_is_on_the_page() -> None:
    for entry in DATASETS:
        assert f"`{entry.name}()`" in PAGE
        assert all(f"`{name}`" in PAGE or f"`{name} = " in PAGE for name in entry.settings)
