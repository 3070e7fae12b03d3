"""The commit that results are marked with."""

import subprocess
from pathlib import Path

import pytest

from rl_expire.runs import provenance


def test_changed_code_is_marked_and_changed_documentation_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*words: str) -> str:
        person = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        done = subprocess.run(["git", *person, *words], cwd=tmp_path, capture_output=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode().strip()

    files = [tmp_path / name for name in ("README.md", "docs/figure.json", "lib/code.py")]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_text("1")
    monkeypatch.setattr(provenance, "__file__", str(files[-1]))
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")
    revision = git("rev-parse", "--short", "HEAD")
    assert provenance.commit() == revision
    (tmp_path / "lib" / "untracked.py").write_text("1")
    files[0].write_text("2")
    files[1].write_text("2")
    assert provenance.commit() == revision
    files[2].write_text("2")
    assert provenance.commit() == f"{revision}+"
