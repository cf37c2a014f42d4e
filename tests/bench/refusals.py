"""How a service that cannot start says so."""

from collections.abc import Callable

import pytest


def refusal(main: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr with which `main` ends, as wrong settings do."""
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line
