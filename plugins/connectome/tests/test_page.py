"""What docs/connectomes.md shows, run."""

import re
from pathlib import Path

import pytest
from cortexspec_connectome import STATISTICS

import cortexspec as cs
from cortexspec.runtime.check import check_file

PAGE = (Path(__file__).parents[3] / "docs" / "connectomes.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    ((_, python),) = [block for block in BLOCKS if block[0] == "python"]
    exec(compile(python, "connectomes.md", "exec"), {})
    assert capsys.readouterr().out == "(20, 3) 2.0\n"
    circuit, measures = (text for language, text in BLOCKS if language == "cortex")
    text = f"{circuit}\nexperiment shape of measured {{\n  simulate {{ duration = 1; dt = 1 }}\n{measures}}}\n"
    text = text.replace('"matched"', '"matched", graphs = 10').replace("weight = 0.1*C", "weight ~ normal(0, 1)")
    (tmp_path / "plain.cortex").write_text(circuit, encoding="utf-8")
    (tmp_path / "model.cortex").write_text(text, encoding="utf-8")
    for file in ("plain.cortex", "model.cortex"):
        assert check_file(tmp_path / file).diagnostics == ()
    simulation = cs.compile(tmp_path / "plain.cortex", "measured", dt=1, duration=1, backend="interpreter")
    assert simulation.parameters()["rec.weight"][7, 0] == pytest.approx(0.2)


def test_every_statistic_is_on_the_page() -> None:
    assert all(f"`{entry.name}(" in PAGE for entry in STATISTICS)
