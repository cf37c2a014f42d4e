"""The README says what the settings are; a setting that it forgets is a defect."""

import pytest
from pages import PAGES

from ppgssl.jobs.settings import Settings

README = PAGES["README.md"].read_text(encoding="utf-8")


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_stands_in_the_readme_with_its_description(name: str):
    description = Settings.model_fields[name].description

    assert f"| `PPGSSL_{name.upper()}` |" in README
    assert description is not None
    assert description in README
