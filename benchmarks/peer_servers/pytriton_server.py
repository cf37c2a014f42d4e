"""Triton by pytriton: binary tensors over HTTP, dynamic batching, one instance on all cores.

python -m benchmarks.peer_servers.pytriton_server PORT
"""

import sys

import numpy as np
import numpy.typing as npt
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

from benchmarks.servers import free_port
from benchmarks.windows import FS_HZ
from ppgssl.inference.encoder import load_encoder
from ppgssl.inference.granularity import Granularity
from ppgssl.threads import let_idle_threads_sleep

MAX_BATCH = 128
FILLING_US = 2_000

Floats = npt.NDArray[np.float32]


def main(port: int) -> None:
    """Serve the encoder until told to stop."""
    encoder = load_encoder("default")

    @batch
    def embed(window: Floats) -> list[Floats]:
        return [encoder.embed_sound(window, FS_HZ, Granularity.WINDOW).embedding[:, 0]]

    config = TritonConfig(
        http_address="127.0.0.1", http_port=port, grpc_port=free_port(), metrics_port=free_port()
    )
    with Triton(config=config) as triton:
        triton.bind(
            model_name="encoder",
            infer_func=embed,
            inputs=[Tensor(name="window", dtype=np.float32, shape=(-1,))],
            outputs=[Tensor(name="embedding", dtype=np.float32, shape=(-1,))],
            config=ModelConfig(
                max_batch_size=MAX_BATCH,
                batcher=DynamicBatcher(max_queue_delay_microseconds=FILLING_US),
            ),
        )
        triton.serve()


if __name__ == "__main__":
    let_idle_threads_sleep()
    main(int(sys.argv[1]))
