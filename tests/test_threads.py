"""What a process asks of Python's threads."""

import subprocess
import sys


def test_threads_yield_to_each_other_after_half_a_millisecond():
    asked = "import sys, ppgssl.threads as t; t.take_short_turns(); print(sys.getswitchinterval())"

    said = subprocess.check_output([sys.executable, "-c", asked], text=True)

    assert float(said) == 5e-4


def test_garbage_is_looked_for_in_what_came_later_only():
    asked = (
        "import gc, ppgssl.threads as t; t.keep_for_good(); "
        "print(gc.get_freeze_count() > 1000, len(gc.get_objects()) < 100)"
    )

    said = subprocess.check_output([sys.executable, "-c", asked], text=True)

    assert said == "True True\n"
