"""What workers that prepare recordings import: names alone, known before anything is imported."""

from collections.abc import Iterable

from ppgssl.data.recordings import Format


def worker_imports(formats: Iterable[Format]) -> list[str]:
    """Modules that cut recordings of these formats into windows, and write them."""
    readers = sorted({f"ppgssl.data.readers.{format}" for format in formats})
    return ["scipy.signal", "ppgssl.data.shards", *readers]
