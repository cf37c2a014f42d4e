"""The config tree: defaults, presets, overrides, and errors that say how to mend them."""

import pytest
import yaml

from ppgssl.config import (
    Config,
    build_config,
    load_config,
    merge,
    parse_override,
    preset,
    preset_names,
)
from ppgssl.errors import ConfigError


def test_the_defaults_are_the_reference_run():
    config = Config()

    assert config.data.window_samples == 75_000
    assert config.training.batch_size * config.training.accumulation_steps == 32
    assert config.model.channels == (32, 64, 128, 256, 512)
    assert config == load_config("ssl_pretraining")


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_a_valid_config(name: str):
    assert build_config(preset(name)) == load_config(name)


def test_yaml_out_and_in_gives_the_same_config(tmp_path):
    config = load_config("small", ["seed=7", "augmentation.amplitude_scale_range=[0.9, 1.1]"])
    path = tmp_path / "config.yaml"

    path.write_text(config.to_yaml())

    assert load_config(path) == config


def test_an_override_reaches_one_key_and_leaves_its_siblings():
    config = load_config("small", ["training.epochs=3"])

    assert config.training.epochs == 3
    assert config.training.batch_size == load_config("small").training.batch_size


def test_merge_leaves_its_arguments_as_they_were():
    base = {"model": {"latent_dim": 512}}

    merged = merge(base, parse_override("model.latent_dim=64"))

    assert merged == {"model": {"latent_dim": 64}}
    assert base == {"model": {"latent_dim": 512}}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epoch=3", "did you mean training.epochs?"),
        ("training.epochs=0", r"training.epochs: .* greater than or equal to 1, got 0"),
        ("loss.mse_weight=0.9", "must be 1, got 1.4"),
        ("loss.ssim_window_size=10", "must be odd, got 10; use 11"),
        ("data.window_seconds=0.1", "too short for 4 blocks"),
        ("data.window_seconds=.nan", "data.window_seconds"),
        ("device=gpu", "device"),
        ("model.pooling=max", "'mean' or 'positional'"),
        ("augmentation.amplitude_scale_range=[1.2, 0.8]", "low <= high"),
        ("nonsense", "expected key.path=value"),
        ("seed=[1", "not valid YAML"),
    ],
)
def test_a_bad_override_is_refused_with_the_key_and_the_remedy(override: str, message: str):
    with pytest.raises(ConfigError, match=message):
        load_config(None, [override])


def test_half_precision_on_a_cpu_is_refused():
    with pytest.raises(ConfigError, match="'fp16' needs CUDA"):
        load_config(None, ["device=cpu", "training.precision=fp16"])


def test_a_missing_config_file_names_the_presets(tmp_path):
    with pytest.raises(ConfigError, match=r"preset: as_drawn, .*small"):
        load_config(tmp_path / "absent.yaml")


@pytest.mark.parametrize("content", ["- 1\n- 2\n", "a: [1\n"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, content: str):
    path = tmp_path / "config.yaml"
    path.write_text(content)

    with pytest.raises(ConfigError, match=r"config\.yaml"):
        load_config(path)


def test_every_problem_of_a_config_is_told_at_once():
    with pytest.raises(ConfigError) as caught:
        build_config({"seed": -1, "training": {"epochs": 0}, "nonsense": 1})

    assert len(str(caught.value).splitlines()) == 3


def test_the_reference_preset_writes_out_every_key_but_the_machine_s_own():
    written = yaml.safe_load(Config().to_yaml())
    reference = preset("ssl_pretraining")

    for section, values in reference.items():
        if isinstance(values, dict):
            assert values.items() <= written[section].items()


def test_a_base_gives_what_the_source_does_not_say_and_yields_to_what_it_does():
    base = {"data": {"window_seconds": 30.0, "fs_hz": 100.0}}

    silent = load_config("small", base=base)
    outspoken = load_config("ten_seconds", ["data.fs_hz=50"], base=base)

    assert (silent.data.window_seconds, silent.data.fs_hz) == (30, 100)
    assert (outspoken.data.window_seconds, outspoken.data.fs_hz) == (10, 50)


def test_a_bare_off_in_yaml_switches_the_self_check_off():
    config = load_config(None, ["training.self_check=off"])

    assert config.training.self_check == "off"
