"""What a release says of itself is the same everywhere, and issue forms are forms."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import yaml

from tests.pages import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"))
KINDS = {"textarea", "input", "dropdown", "checkboxes", "markdown"}


def test_the_citation_has_the_version_and_license_of_the_package() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert {"title", "message", "authors"} <= citation.keys()
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.stem)
def test_an_issue_form_has_what_github_asks_for(form: Path) -> None:
    content = yaml.safe_load(form.read_text())
    assert {"name", "description", "body"} <= content.keys()
    assert {field["type"] for field in content["body"]} <= KINDS
    names = [field["id"] for field in content["body"]]
    assert len(set(names)) == len(names)
    assert all(field["attributes"]["label"] for field in content["body"])
    assert any(field.get("validations", {}).get("required") for field in content["body"])


def test_there_are_forms_for_bugs_and_questions() -> None:
    assert [form.stem for form in FORMS] == ["bug", "question"]
