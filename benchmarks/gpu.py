"""`make bench-gpu`: the encoder and its training on a GPU, against what the GPU can do at all.

python -m benchmarks.gpu [--device cuda] [--windows 64] [--out FILE]

Needs PyTorch and the library half of ppgssl, nothing of the service. Floors come first: the time
that the layers' products take at the measured matrix rate, and the time that their inputs, outputs
and weights take at the measured copy bandwidth. No implementation is faster than the larger one.
"""

import argparse
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.gpu_machine import PRECISIONS, ROUNDS, Machine, measure_machine, timed
from benchmarks.gpu_training import measure_feed, measure_training
from benchmarks.table import print_table
from benchmarks.timing import Figure
from benchmarks.windows import LONG, SHORT, windows
from ppgssl.inference.encoder_path import DEFAULT_ENCODER_FOLDER
from ppgssl.inference.export import relative_distance
from ppgssl.models.encoder import Encoder, standardise
from ppgssl.models.encoder_file import read_encoder

Forward = Callable[[Tensor], Tensor]


def measure(device: torch.device, per_batch: int) -> Iterator[Figure]:
    """Floors, then every way to compute, at both lengths of windows."""
    machine = measure_machine(device)
    for precision, rate in machine.flops_per_s.items():
        yield Figure(f"matrix products, {precision}", rate / 1e12, "TFLOP/s")
    yield Figure("copy bandwidth, read and written", machine.bytes_per_s / 1e9, "GB/s")
    encoder, _ = read_encoder(DEFAULT_ENCODER_FOLDER)
    encoder.to(device)
    for samples in (LONG, SHORT):
        count = max(1, per_batch * LONG // samples)
        yield from measure_length(encoder, count, samples, machine)
    yield from measure_training(machine)
    if device.type == "cuda":
        yield measure_feed(device)


def measure_length(
    encoder: Encoder, count: int, samples: int, machine: Machine
) -> Iterator[Figure]:
    """One length of windows: windows/s, share of the floor, agreement with float32."""
    batch = standardise(torch.from_numpy(windows(count, samples)).to(machine.device))[:, None]
    expected = autocast(encoder, "fp32")(batch)
    size = f"{count} x {samples:,}"
    for precision in PRECISIONS:
        work, moved = count_work(encoder, batch, PRECISIONS[precision].itemsize)
        by_products = work / machine.flops_per_s[precision]
        by_bytes = moved / machine.bytes_per_s
        floor = max(by_products, by_bytes)
        bound = "products" if by_products > by_bytes else "bytes"
        yield Figure(f"{size}, {precision}: floor", 1e3 * floor, "ms", note=f"by {bound}")
        for name, forward in ways(encoder, precision, batch).items():
            taken = statistics.median(timed(forward, batch) for _ in range(ROUNDS))
            yield Figure(
                f"{size}, {precision}, {name}",
                count / taken,
                "windows/s",
                note=f"{floor / taken:.0%} of the floor's rate, "
                f"{distance(forward(batch), expected):.1e} from float32",
            )


def ways(encoder: Encoder, precision: str, batch: Tensor) -> dict[str, Forward]:
    """As written; compiled; as one CUDA graph."""
    found = {"eager": autocast(encoder, precision)}
    if batch.device.type == "cuda":
        found["torch.compile"] = autocast(torch.compile(encoder, dynamic=False), precision)
        found["CUDA graph"] = graphed(found["eager"], batch)
        found["torch.compile, CUDA graph"] = graphed(found["torch.compile"], batch)
    return found


def autocast(encoder: nn.Module, precision: str) -> Forward:
    """The encoder in one precision."""

    @torch.inference_mode()
    def forward(batch: Tensor) -> Tensor:
        dtype = PRECISIONS[precision]
        with torch.autocast(batch.device.type, dtype, enabled=dtype is not torch.float32):
            return encoder(batch)

    return forward


def graphed(forward: Forward, batch: Tensor) -> Forward:
    """Recorded once, replayed without the host; its input and output stay where they are."""
    for _ in range(3):
        forward(batch)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        output = forward(batch)

    def replay(given: Tensor) -> Tensor:
        assert given is batch
        graph.replay()
        return output

    return replay


@torch.inference_mode()
def count_work(encoder: Encoder, batch: Tensor, item_bytes: int) -> tuple[int, int]:
    """FLOPs, and the bytes that layers with weights move where all else is fused into them."""
    from torch.utils.flop_counter import FlopCounterMode

    moved = 0

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal moved
        weights = sum(weight.numel() for weight in layer.parameters())
        moved += item_bytes * (inputs[0].numel() + output.numel() + weights)

    layers = [layer for layer in encoder.modules() if isinstance(layer, nn.Conv1d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with FlopCounterMode(display=False) as counter:
        encoder(batch)
    for hook in hooks:
        hook.remove()
    return counter.get_total_flops(), moved


def distance(found: Tensor, expected: Tensor) -> float:
    """Largest relative distance of an embedding, wherever they lie and in whichever precision."""
    return relative_distance(found.float().cpu().numpy(), expected.cpu().numpy())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--windows", type=int, default=64, help="of ten minutes, in a batch")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("there is no CUDA device; look at nvidia-smi, or name another --device")
    print_table(measure(device, options.windows), options.out)


if __name__ == "__main__":
    main()
