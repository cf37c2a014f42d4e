"""The HTTP service from Python: submit, watch, download, embed.

    from ppgssl.client import Client

    with Client("http://127.0.0.1:8000") as client:
        job = client.submit("my_dataset", preset="small")
        for event in client.watch(job.id):
            print(event.type, event.data)
        client.download(job.id, Path("encoder"))
        vectors = client.embed(windows, fs_hz=125, model=job.id).embedding

`AsyncClient` has the same methods, to be awaited; those that give several things are iterated over
with `async for`. Both need NumPy, httpx and PyArrow; never PyTorch or the server's code. Every call
may be repeated without harm, so those that fail on the way are, at the pace that the service asks
for.
"""

from ppgssl.client.asynchronous import AsyncClient
from ppgssl.client.calls import ENCODER_FILES
from ppgssl.client.errors import ProblemError, RefusedError
from ppgssl.client.records import (
    Best,
    Checkpoint,
    DatasetFigures,
    Embeddings,
    Event,
    Failure,
    File,
    Job,
    LogLine,
    LossPoint,
    Model,
    Progress,
    SegmentEmbeddings,
)
from ppgssl.client.sync import Client
from ppgssl.client.wire import parse_events, retry_after_s

__all__ = [
    "ENCODER_FILES",
    "AsyncClient",
    "Best",
    "Checkpoint",
    "Client",
    "DatasetFigures",
    "Embeddings",
    "Event",
    "Failure",
    "File",
    "Job",
    "LogLine",
    "LossPoint",
    "Model",
    "ProblemError",
    "Progress",
    "RefusedError",
    "SegmentEmbeddings",
    "parse_events",
    "retry_after_s",
]
