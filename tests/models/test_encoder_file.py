"""An encoder that was changed is read back as it is."""

from pathlib import Path

import pytest
import torch

from ppgssl.inference.encoder_path import encoder_path
from ppgssl.models.encoder_file import read_encoder, write_encoder


def test_a_fine_tuned_encoder_embeds_after_reading_as_it_did_before_writing(tmp_path: Path):
    encoder, info = read_encoder(encoder_path("default"))
    with torch.no_grad():
        for weight in encoder.parameters():
            weight.mul_(1.01)
    window = torch.sin(torch.arange(1250) / 8).view(1, 1, -1)

    write_encoder(tmp_path / "fine-tuned", encoder, info)
    again, info_again = read_encoder(tmp_path / "fine-tuned")

    torch.testing.assert_close(again(window), encoder(window), rtol=0, atol=0)
    assert info_again.sha256 != info.sha256
    assert info_again.architecture == info.architecture


def test_an_encoder_is_not_written_over_another(tmp_path: Path):
    encoder, info = read_encoder(encoder_path("default"))
    write_encoder(tmp_path, encoder, info)

    with pytest.raises(FileExistsError, match="holds an encoder already"):
        write_encoder(tmp_path, encoder, info)
