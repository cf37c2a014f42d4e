"""LitServe: raw bytes in and out, batches of whatever waits, one worker on all cores.

python -m benchmarks.peer_servers.litserve_server PORT
"""

import sys
from typing import Annotated, Any

import litserve
import numpy as np
import numpy.typing as npt
from fastapi import Body, Response

from benchmarks.windows import FS_HZ
from ppgssl.inference.encoder import load_encoder
from ppgssl.inference.granularity import Granularity
from ppgssl.threads import let_idle_threads_sleep

MAX_BATCH = 128
FILLING_S = 0.002
RAW = "application/octet-stream"

Floats = npt.NDArray[np.float32]


class EncoderApi(litserve.LitAPI):
    """Windows of one length."""

    def setup(self, device: str) -> None:
        """Load the encoder once in the worker."""
        self._encoder = load_encoder("default", device)

    def decode_request(self, request: Annotated[bytes, Body(media_type=RAW)]) -> Floats:
        """One window."""
        return np.frombuffer(request, "<f4")

    def batch(self, inputs: list[Floats]) -> Floats:
        """Those that wait."""
        return np.stack(inputs)

    def predict(self, x: Floats) -> Floats:
        """Embed them; a lone one is not batched."""
        batch = np.atleast_2d(x)
        return self._encoder.embed_sound(batch, FS_HZ, Granularity.WINDOW).embedding[:, 0]

    def unbatch(self, output: Floats) -> list[Floats]:
        """A row each."""
        return list(output)

    def encode_response(self, output: Floats) -> Any:
        """Raw."""
        return Response(output.tobytes(), media_type=RAW)


if __name__ == "__main__":
    let_idle_threads_sleep()
    api = EncoderApi(max_batch_size=MAX_BATCH, batch_timeout=FILLING_S)
    server = litserve.LitServer(api, accelerator="cpu", timeout=False, fast_queue=True)
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), log_level="error", generate_client_file=False
    )
