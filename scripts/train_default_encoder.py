"""Reproduce the encoder that comes with ppgssl from the two open datasets it was trained on.

    python scripts/train_default_encoder.py --recordings DIR --out runs/default --seed 0

DIR holds `cinc2015.parquet` and `stress_predict.parquet`: one row per recording, as `ppgssl
prepare` reads them. An interrupted run continues where it was. `--install` puts the result where
`--encoder default` finds it; measure it with scripts/score_encoder.py.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from ppgssl.data.manifest import MANIFEST_NAME
from ppgssl.inference.encoder_path import DEFAULT_ENCODER_FOLDER
from ppgssl.models.encoder_info import INFO_FILE, WEIGHTS_FILE

SOURCES = ("cinc2015.parquet", "stress_predict.parquet")
PRESET = "one_minute"


def main() -> None:
    """Prepare, train, and install where that is asked for."""
    options = parse_arguments()
    dataset, run = options.out / "dataset", options.out / f"seed-{options.seed}"
    if not (dataset / MANIFEST_NAME).is_file():
        sources = [options.recordings / name for name in SOURCES]
        ppgssl("prepare", *sources, "--out", dataset, "--window-seconds", 60)
    seed = f"seed={options.seed}"
    ppgssl("train", "--config", PRESET, "--data", dataset, "--out", run, "--set", seed, "--resume")
    if options.install:
        DEFAULT_ENCODER_FOLDER.mkdir(exist_ok=True)
        for name in (WEIGHTS_FILE, INFO_FILE):
            shutil.copyfile(run / "best" / name, DEFAULT_ENCODER_FOLDER / name)


def ppgssl(*arguments: object) -> None:
    """Run one command of the command line; its failure ends the script."""
    subprocess.run([sys.executable, "-m", "ppgssl", *map(str, arguments)], check=True)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recordings", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/default"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--install", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
