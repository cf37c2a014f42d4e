"""The encoder process with one lane and a gate: it notes every call, and waits to be let compute.

Started with a folder in front of the usual arguments: `pid` and `calls` are written there, and
computing goes on once `open` exists.
"""

import os
import sys
import time
from pathlib import Path

from api.encoder_process.__main__ import main
from api.encoder_process.loaded_encoders import LoadedEncoders
from ppgssl.inference.encoder import PpgEncoder

folder = Path(sys.argv.pop(1))
embed = PpgEncoder.embed_sound


def gated(encoder: PpgEncoder, windows, *rest):
    with (folder / "calls").open("a") as calls:
        calls.write(f"{len(windows)}\n")
    while not (folder / "open").exists():
        time.sleep(0.002)
    return embed(encoder, windows, *rest)


PpgEncoder.embed_sound = gated
LoadedEncoders.num_lanes = 1
(folder / "pid").write_text(str(os.getpid()))
main()
