"""`check`, `format` and `diff` from the shell's side: exit codes, what goes to which stream, JSON."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cortexspec.cli import app

runner = CliRunner()

LEAKY = """neuron leaky {
  param τ = 10 ms
  input I : mV
  state v = 0 mV
  τ*v' = I - v
  output v
}

circuit pair {
  population a, b : leaky
  connect a.v -> b.I
  connect b.v -> a.I
}
"""


def write(folder: Path, text: str, name: str = "model.cortex") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_fine_file(tmp_path: Path) -> None:
    path = write(tmp_path, LEAKY)
    result = runner.invoke(app, ["check", str(path)])
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{path}: fine (1 neuron, 1 circuit)\n"


def test_a_folder_stands_for_its_model(tmp_path: Path) -> None:
    path = write(tmp_path, LEAKY)
    assert str(path) in runner.invoke(app, ["check", str(tmp_path)]).stdout


def test_every_mistake_with_its_place_on_stderr(tmp_path: Path) -> None:
    path = write(tmp_path, LEAKY.replace("I - v", "I - τ*v").replace("connect b.v", "connect c.v"))
    result = runner.invoke(app, ["check", str(path)])
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"  --> {path}:5:" in result.stderr and "error[CS401 unit-mismatch]" in result.stderr
    assert f"  --> {path}:12:11" in result.stderr and "error[CS301 unknown-name]" in result.stderr
    assert result.stderr.endswith("2 errors\n")


def test_a_mistake_of_a_neuron_is_said_once_however_many_circuits_have_it(tmp_path: Path) -> None:
    twice = LEAKY.replace("I - v", "I - τ*v") + LEAKY[LEAKY.index("circuit") :].replace("pair", "other")
    result = runner.invoke(app, ["check", str(write(tmp_path, twice))])
    assert result.stderr.endswith("\n1 error\n")


def test_json_has_the_same_and_stderr_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, LEAKY.replace("I - v", "I - τ*v"))
    result = runner.invoke(app, ["check", str(path), "--json"])
    assert (result.exit_code, result.stderr) == (1, "")
    data = json.loads(result.stdout)
    assert data["ok"] is False
    assert data["files"][0]["items"] == {"neuron": ["leaky"], "circuit": ["pair"]}
    [diagnostic] = data["diagnostics"]
    assert (diagnostic["code"], diagnostic["span"]["line"]) == ("CS401", 5)


@pytest.mark.parametrize("arguments", [["check", "nowhere.cortex"], ["check"], ["check", "--jsn", "."]])
def test_wrong_use(arguments: list[str]) -> None:
    assert runner.invoke(app, arguments).exit_code == 2


def test_what_is_no_spec(tmp_path: Path) -> None:
    for name, content in [("a.txt", b"x"), ("a.cortex", b"\xff\xfe"), ("a.json", b"{"), ("a.yaml", b"[")]:
        (tmp_path / name).write_bytes(content)
        result = runner.invoke(app, ["check", str(tmp_path / name)])
        assert result.exit_code == 1, name
        assert "CS202" in result.stderr, (name, result.stderr)


def test_used_files_are_read_from_the_folder_and_from_nowhere_else(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    write(tmp_path, LEAKY, "secret.cortex")
    for name in ["../secret.cortex", str(tmp_path / "secret.cortex")]:
        path = write(inside, f'use "{name}"\n')
        result = runner.invoke(app, ["check", str(path)])
        assert "CS905" in result.stderr and "outside the folder" in result.stderr
    (inside / "link.cortex").symlink_to(tmp_path / "secret.cortex")
    assert "CS905" in runner.invoke(app, ["check", str(write(inside, 'use "link.cortex"\n'))]).stderr
    result = runner.invoke(app, ["check", str(write(inside, 'use "absent.cortex"\n'))])
    assert "there is no file" in result.stderr and "model.cortex:1:1" in result.stderr


def test_a_circle_of_files_ends(tmp_path: Path) -> None:
    write(tmp_path, 'use "a.cortex"\n', "b.cortex")
    path = write(tmp_path, 'use "b.cortex"\n', "a.cortex")
    result = runner.invoke(app, ["check", str(path)])
    assert result.exit_code == 1 and "uses itself" in result.stderr


def test_format_in_place_and_check(tmp_path: Path) -> None:
    path = write(tmp_path, LEAKY)
    assert runner.invoke(app, ["format", str(path)]).stdout == "nothing to change\n"
    untidy = LEAKY.replace("  param τ = 10 ms", "  param   τ=10 ms   # slow")
    path.write_text(untidy, encoding="utf-8")
    checked = runner.invoke(app, ["format", "--check", str(path)])
    assert (checked.exit_code, path.read_text(encoding="utf-8")) == (1, untidy)
    shown = runner.invoke(app, ["format", "--diff", str(path)])
    assert (shown.exit_code, path.read_text(encoding="utf-8")) == (0, untidy)
    assert "-  param   τ=10 ms   # slow" in shown.stdout
    assert runner.invoke(app, ["format", str(path)]).stdout == f"{path}: formatted\n"
    assert "  param τ = 10 ms  # slow" in path.read_text(encoding="utf-8")
    assert json.loads(runner.invoke(app, ["format", str(path), "--json"]).stdout) == {"ok": True, "changed": []}


def test_format_leaves_a_broken_file_alone(tmp_path: Path) -> None:
    path = write(tmp_path, LEAKY + "circuit {\n")
    result = runner.invoke(app, ["format", str(path)])
    assert result.exit_code == 1 and "error[CS1" in result.stderr
    assert path.read_text(encoding="utf-8") == LEAKY + "circuit {\n"


def test_of_a_file_that_is_no_spec_the_first_mistakes_are_shown_and_json_has_all(tmp_path: Path) -> None:
    program = write(tmp_path, "import os\n\n\ndef rate(x):\n    return x[0] + 1\n\n" * 30, "program.cortex")
    result = runner.invoke(app, ["check", str(program)])
    found = json.loads(runner.invoke(app, ["check", str(program), "--json"]).stdout)["diagnostics"]
    assert result.exit_code == 1 and len(found) > 40
    assert result.stderr.count("error[CS1") == 20
    said = f"{len(found)} errors, {len(found) - 20} of them not shown: `cortexspec check --json` has them"
    assert result.stderr.splitlines()[-1] == said


def test_of_other_mistakes_all_are_shown(tmp_path: Path) -> None:
    wrong = write(tmp_path, LEAKY.replace("10 ms", "10 mV") + "circuit c { " + "let x = y\n" * 30 + "}", "wrong.cortex")
    found = json.loads(runner.invoke(app, ["check", str(wrong), "--json"]).stdout)["diagnostics"]
    result = runner.invoke(app, ["check", str(wrong)])
    assert len(found) > 20 and result.stderr.count("error[CS") == len(found)
    assert result.stderr.splitlines()[-1] == f"{len(found)} errors"


def test_diff(tmp_path: Path) -> None:
    before = write(tmp_path, LEAKY, "before.cortex")
    same = write(tmp_path, "# a comment\n" + LEAKY.replace("10 ms", "0.01 s"), "same.cortex")
    after = write(tmp_path, LEAKY.replace("10 ms", "20 ms"), "after.cortex")
    assert runner.invoke(app, ["diff", str(before), str(same)]).stdout == "no change in meaning\n"
    assert runner.invoke(app, ["diff", str(before), str(after)]).stdout.splitlines() == [
        "circuit pair",
        "  ~ param a.τ value: 10 ms -> 20 ms",
        "  ~ param b.τ value: 10 ms -> 20 ms",
    ]
    data = json.loads(runner.invoke(app, ["diff", str(before), str(after), "--json"]).stdout)
    assert data["same"] is False and data["changes"][0]["what"] == "param a.τ"
    experiment = """
experiment still of pair {
  simulate { duration = 10 ms; dt = 1 ms }
  measure end = mean(a.v[time = end])
}
"""
    one = write(tmp_path, LEAKY + experiment, "one.cortex")
    other = write(tmp_path, LEAKY + experiment.replace("10 ms", "20 ms"), "other.cortex")
    assert runner.invoke(app, ["diff", str(before), str(one)]).stdout.splitlines() == [
        "experiment still",
        "  + the whole experiment",
    ]
    assert runner.invoke(app, ["diff", str(one), str(other)]).stdout.splitlines() == [
        "experiment still",
        "  ~ simulate duration: 10.0 ms -> 20.0 ms",
    ]
    broken = write(tmp_path, "circuit {", "broken.cortex")
    assert runner.invoke(app, ["diff", str(before), str(broken)]).exit_code == 1
