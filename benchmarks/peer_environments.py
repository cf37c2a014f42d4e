"""Environments of their own for the peers, which see the benchmark's PyTorch and ppgssl as well.

What a peer needs in another version than ppgssl does is installed beside it, and found first.
"""

import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).parent / ".peers"
INSTALL_SECONDS = 900


def python_with(name: str, packages: Sequence[str]) -> Path:
    """The interpreter of a peer's environment, which is made at the first time.

    Raises:
        RuntimeError: Its packages cannot be installed; with the end of what pip said.
    """
    folder = FOLDER / name
    python = folder / "bin" / "python"
    installed = folder / ".installed"
    if installed.exists():
        return python
    venv.create(folder, with_pip=True, clear=True)
    _show_own_packages_to(python)
    command = [str(python), "-m", "pip", "install", "-q", *packages]
    ended = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS
    )
    if ended.returncode != 0:
        raise RuntimeError(f"pip install {' '.join(packages)}: {ended.stderr[-500:]}")
    installed.touch()
    return python


def _show_own_packages_to(python: Path) -> None:
    """After its own ones; a .pth file adds what it names to the end of `sys.path`."""
    ask = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site_packages = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
    own = sysconfig.get_path("purelib")
    root = Path(__file__).parent.parent
    Path(site_packages, "own.pth").write_text(f"{own}\n{root}\n")


if __name__ == "__main__":
    python_with(sys.argv[1], sys.argv[2:])
