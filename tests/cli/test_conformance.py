"""`plugins` and `conformance`: what is installed, and whether a backend holds the parity contract."""

import json

import pytest
from typer.testing import CliRunner

from cortexspec.cli import app
from cortexspec.testing import parity

runner = CliRunner()


def test_the_installed_backends_are_listed_and_work() -> None:
    data = json.loads(runner.invoke(app, ["plugins", "--load", "--json"]).stdout)
    found = {entry["name"]: entry for entry in data["installed"] if entry["kind"] == "backend"}
    assert {"interpreter", "torch", "jax"} <= set(found)
    assert data["ok"] is True and all(entry["works"] for entry in found.values())
    assert "backend  interpreter  cortexspec " in runner.invoke(app, ["plugins"]).stdout


def test_a_case_holds() -> None:
    result = runner.invoke(app, ["conformance", "-b", "interpreter", "-k", "cmc euler", "--fast"])
    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert lines[0].split() == ["verdict", "case", "setting", "values", "gradients", "differences", "remarks"]
    assert [line.split()[:4] for line in lines if line.startswith("holds")] == [
        ["holds", "cmc", "euler", "default"],
        ["holds", "cmc", "euler", "no"],
        ["holds", "cmc", "euler", "single"],
        ["holds", "cmc", "euler", "populations"],
    ]
    assert lines[-2].startswith("interpreter: 9 rows hold; ")
    told = [part.partition(" (")[0].rsplit(" ", 3) for part in lines[-1].split("; ")]
    assert [kind for kind, *_ in told] == ["values", "gradients", "differences", "float32 values", "float32 gradients"]
    assert [bound for *_, bound in told[:3]] == ["1e-12", "1e-10", "1e-06"]


def test_a_missed_bound_is_told_and_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(*_: object) -> parity.Row:
        return parity.Row("cmc euler", "default", "values", 1e-3, 1e-12, worst="ss.v", step=7)

    monkeypatch.setattr(parity, "MEASURES", dict.fromkeys(parity.MEASURES, off))
    result = runner.invoke(app, ["conformance", "-b", "interpreter", "-k", "cmc euler", "--fast"])
    assert result.exit_code == 1
    assert "missed" in result.stdout and "ss.v from step 7" in result.stdout
    data = json.loads(
        runner.invoke(app, ["conformance", "-b", "interpreter", "-k", "cmc euler", "--fast", "--json"]).stdout
    )
    assert data["ok"] is False and data["rows"][0]["worst"] == "ss.v"


def test_wrong_use() -> None:
    assert runner.invoke(app, ["conformance"]).exit_code == 2
    assert runner.invoke(app, ["conformance", "-b", "interpreter", "-k", "no such case"]).exit_code == 2
    assert runner.invoke(app, ["conformance", "-b", "tensorflow"]).exit_code == 1
