"""What docs/balanced_networks.md shows in Python, run."""

import re
from pathlib import Path

PAGE = (Path(__file__).parents[3] / "docs" / "balanced_networks.md").read_text(encoding="utf-8")


def test_the_python_of_the_page_runs() -> None:
    shown: dict[str, object] = {}
    for text in re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        exec(compile(text, "balanced_networks.md", "exec"), shown)
    found = shown["found"]
    assert abs(found.values["tau_i"] - 0.003) < 3 * found.errors["tau_i"]
