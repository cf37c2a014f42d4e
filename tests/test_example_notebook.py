"""The example notebook runs as it is committed, and shows what it says."""

from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parent.parent / "examples" / "from_recording_to_probe.ipynb"
LARGEST_BYTES = 400_000


def printed(notebook: nbformat.NotebookNode) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output["text"] for output in outputs if output["output_type"] == "stream")


def figures(notebook: nbformat.NotebookNode) -> int:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return sum("image/png" in output.get("data", {}) for output in outputs)


def error_of(name: str, text: str) -> float:
    (line,) = (line for line in text.splitlines() if line.startswith(name))
    return float(line.split()[-1])


def test_the_notebook_runs_and_the_embedding_knows_more_than_the_mean(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(notebook, timeout=240, kernel_name="python3")

    client.execute(cwd=str(tmp_path))

    text = printed(notebook)
    assert error_of("embedding", text) < 0.5 * error_of("mean of the others", text)
    assert figures(notebook) == 3
    assert text.count("distance 0.") == 5


def test_the_notebook_is_committed_with_its_outputs_and_stays_small():
    notebook = nbformat.read(NOTEBOOK, as_version=4)

    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert figures(notebook) == 3
    assert NOTEBOOK.stat().st_size < LARGEST_BYTES
