"""Installed versions against those that are needed."""

from packaging.requirements import Requirement

from ppgssl.doctor.findings import Level
from ppgssl.doctor.packages import check_extras, check_versions, declared_requirements

NEEDED = [Requirement("torch>=2.5"), Requirement('onnx>=1.17; extra == "onnx"')]


def test_what_is_installed_here_is_what_is_declared():
    assert check_versions(declared_requirements()).level == Level.OK


def test_a_package_that_is_too_old_is_a_problem_with_the_command_that_mends_it():
    finding = check_versions(NEEDED, {"torch": "2.3.1"}.get)

    assert finding.level == Level.PROBLEM
    assert finding.found == "torch 2.3.1"
    assert finding.remedy == "pip install 'torch>=2.5'"


def test_a_local_build_of_a_new_enough_version_will_do():
    assert check_versions(NEEDED, {"torch": "2.13.0+cu130"}.get).level == Level.OK


def test_a_package_that_is_missing_is_a_problem():
    assert "torch is missing" in check_versions(NEEDED, {}.get).found


def test_an_extra_is_named_where_it_is_installed_and_not_missed_where_not():
    assert check_extras(NEEDED, {"onnx": "1.18"}.get).found == "onnx"
    assert check_extras(NEEDED, {}.get).found == "none"


def test_an_extra_that_is_too_old_is_a_problem():
    finding = check_extras(NEEDED, {"onnx": "1.2"}.get)

    assert finding.level == Level.PROBLEM
    assert "ppgssl[onnx]" in finding.remedy
