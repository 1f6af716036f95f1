"""The manual's notebook runs from top to bottom, and is kept without outputs."""

import sys
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).resolve().parents[1] / "docs" / "tutorial.ipynb"
SECONDS = 300  # a cell; about ten where nothing else runs


def test_the_notebook_runs(tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "kept with outputs; fix: clear them"
    manager = KernelManager()
    manager._kernel_spec = KernelSpec(argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"])
    NotebookClient(notebook, km=manager, timeout=SECONDS, resources={"metadata": {"path": str(tmp_path)}}).execute()
    driven = next(cell for cell in notebook.cells if "driver.act(" in cell.source).outputs[0]["text"]
    assert driven.startswith("arrived True"), driven  # on other observations than the driver's own it would not
    last = notebook.cells[-2].outputs[-1]["data"]["text/plain"]
    assert last.startswith("(Estimate(value=")
