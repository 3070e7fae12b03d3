"""The environments' pages in the documentation agree with the environments."""

import importlib.util
import re
from pathlib import Path

import gymnasium
import pytest

import envs  # noqa: F401 (registers the ids)

FOLDER = Path(__file__).parents[2] / "docs" / "environments"
SPEC = importlib.util.spec_from_file_location("environment_pages", FOLDER / "make.py")
assert SPEC is not None
assert SPEC.loader is not None
make = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(make)


def test_every_registered_environment_has_a_page() -> None:
    names = [name for name in gymnasium.registry if name.startswith("RLExpire/")]
    assert sorted(names) == sorted(make.IDS.values())


@pytest.mark.parametrize("name", make.OPTIONS)
def test_pages_list_all_options_and_info_keys(name: str) -> None:
    page = (FOLDER / f"{name}.md").read_text()
    assert make.with_table(page, make.OPTIONS[name]) == page, "run docs/environments/make.py"
    _, info = gymnasium.make(make.IDS[name]).reset(seed=0)
    section = page.partition("## Info\n")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"^\| `([\w.]+)` \|", section, re.MULTILINE)) == sorted(info)
