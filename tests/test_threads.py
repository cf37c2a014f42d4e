"""Python's threads take short turns in processes that ask for it."""

import subprocess
import sys


def test_threads_yield_to_each_other_after_half_a_millisecond():
    asked = "import sys, ppgssl.threads as t; t.take_short_turns(); print(sys.getswitchinterval())"

    said = subprocess.check_output([sys.executable, "-c", asked], text=True)

    assert float(said) == 5e-4
