"""The pages of the documentation: plain Markdown in docs/, and the README."""

from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
MADE_FROM_CODE = {"reference/command-line.md", "reference/http.md"}
PAGES = {
    "README.md": ROOT / "README.md",
    **{
        name: file
        for file in sorted((ROOT / "docs").rglob("*.md"))
        if (name := file.relative_to(ROOT / "docs").as_posix()) not in MADE_FROM_CODE
    },
}
