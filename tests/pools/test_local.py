"""Worker processes of this host: what they import is there before they are."""

import subprocess
import sys

WORKERS_SHARE_IMPORTS = """
from pathlib import Path
from ppgssl.pools.local import begin_imports, open_local_pool
from ppgssl.pools.pool import Workplace

begin_imports(2, ["wave"])
with open_local_pool(2, Workplace([], Path(), [])) as pool:
    print(list(pool.work_off(eval, [("'wave' in __import__('sys').modules",)])))
"""
PARENT_IMPORTS = "import sys, ppgssl.data.prepare; print('scipy.signal' in sys.modules)"


def output_of(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_workers_have_what_the_server_began_to_import():
    assert output_of(WORKERS_SHARE_IMPORTS) == "[(0, True)]"


def test_a_process_that_hands_work_to_others_does_not_wait_for_scipys_filters():
    assert output_of(PARENT_IMPORTS) == "False"
