"""The README says what the settings are; a setting that it forgets is a defect."""

from pathlib import Path

import pytest

from ppgssl.jobs.settings import Settings

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_stands_in_the_readme_with_its_description(name: str):
    description = Settings.model_fields[name].description

    assert f"| `PPGSSL_{name.upper()}` |" in README
    assert description is not None
    assert description in README
