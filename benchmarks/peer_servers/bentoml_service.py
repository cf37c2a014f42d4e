"""BentoML: raw bytes in and out, adaptive batching, one worker on all cores.

python -m bentoml serve benchmarks.peer_servers.bentoml_service:EncoderService --port PORT
"""

from typing import Annotated, Any

import bentoml
import numpy as np
from bentoml.validators import ContentType
from pydantic import BeforeValidator, WithJsonSchema

from benchmarks.windows import FS_HZ
from ppgssl.threads import let_idle_threads_sleep

MAX_BATCH = 128
LONGEST_WAIT_MS = 60_000  # beyond it requests are refused, and none shall be

RAW = ContentType("application/octet-stream")
IS_BINARY = WithJsonSchema({"type": "file", "format": "binary"})
Window = Annotated[Any, BeforeValidator(lambda body: np.frombuffer(body, "<f4")[None]), IS_BINARY]
Embedding = Annotated[Any, BeforeValidator(lambda row: row.tobytes()), IS_BINARY, RAW]


@bentoml.service(
    workers=1, threads=1, traffic={"timeout": 600}, logging={"access": {"enabled": False}}
)
class EncoderService:
    """Windows of one length."""

    def __init__(self) -> None:
        let_idle_threads_sleep()
        from ppgssl.inference.encoder import load_encoder

        self._encoder = load_encoder("default")

    @bentoml.api(batchable=True, max_batch_size=MAX_BATCH, max_latency_ms=LONGEST_WAIT_MS)
    def embed(self, windows: Window, /) -> Embedding:
        """Embed what was gathered."""
        from ppgssl.inference.granularity import Granularity

        return self._encoder.embed_sound(windows, FS_HZ, Granularity.WINDOW).embedding[:, 0]
