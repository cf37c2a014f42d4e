"""What the examination makes of a driver, a PyTorch and a card that are only told of."""

import pytest

from ppgssl.doctor.cuda import CudaDevice, CudaFacts, check_cuda
from ppgssl.doctor.findings import Level

CARD = CudaDevice("NVIDIA H100", total_bytes=80 * 10**9, free_bytes=79 * 10**9)


def test_a_card_that_computes_is_in_order_and_named():
    facts = CudaFacts(driver="580.65.06", built_for="13.0", devices=(CARD,))

    finding = check_cuda(facts, wanted="auto")

    assert finding.level == Level.OK
    assert finding.found == "NVIDIA H100 (79 of 80 GB free); driver 580.65.06, CUDA 13.0"


def test_a_machine_without_a_card_computes_on_its_cpu_and_that_is_in_order():
    finding = check_cuda(CudaFacts(driver=None, built_for=None), wanted="auto")

    assert (finding.level, finding.remedy) == (Level.OK, "")


@pytest.mark.parametrize(
    ("facts", "found", "remedy"),
    [
        (CudaFacts("535.10", None), "built for CPUs only", "https://pytorch.org/get-started"),
        (CudaFacts("535.10", "13.0"), "too old for CUDA 13.0", "update the driver to 580"),
        (CudaFacts("450.36", "12.8"), "too old for CUDA 12.8", "update the driver to 525"),
        (CudaFacts("580.65", "13.0"), "finds no device", "CUDA_VISIBLE_DEVICES"),
    ],
)
@pytest.mark.parametrize(
    ("wanted", "level"),
    [("auto", Level.WARNING), ("cuda", Level.PROBLEM), ("cuda:1", Level.PROBLEM)],
)
def test_a_card_that_pytorch_cannot_use_is_worse_where_it_was_asked_for(
    facts: CudaFacts, found: str, remedy: str, wanted: str, level: Level
):
    finding = check_cuda(facts, wanted=wanted)

    assert finding.level == level
    assert found in finding.found
    assert remedy in finding.remedy


def test_a_card_that_fails_to_add_two_numbers_is_a_problem():
    broken = CudaDevice("Tesla K80", 0, 0, "no kernel image is available")

    finding = check_cuda(CudaFacts("580.65", "13.0", (CARD, broken)), wanted="auto")

    assert finding.level == Level.PROBLEM
    assert finding.found == "Tesla K80 does not compute: no kernel image is available"


def test_a_device_beyond_the_last_is_a_problem():
    facts = CudaFacts("580.65", "13.0", (CARD,))

    assert check_cuda(facts, wanted="cuda:0").level == Level.OK
    assert check_cuda(facts, wanted="cuda:1").level == Level.PROBLEM


def test_nobody_asks_for_a_card_where_the_service_is_told_to_use_the_cpu():
    assert check_cuda(CudaFacts("450.36", "13.0"), wanted="cpu").level == Level.OK
