"""What the README shows is what comes out."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(heading: str, language: str) -> list[str]:
    section = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


def test_anti_aliasing_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torchvision.models")
    (code,), (shown,) = blocks("Anti-alias a model", "python"), blocks("Anti-alias a model", "text")
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out == shown


def test_large_kernels(capsys: pytest.CaptureFixture[str]) -> None:
    heading = "Large kernels, band-limited networks"
    (code,), (shown,) = blocks(heading, "python"), blocks(heading, "text")
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out == shown


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda path: path.name
)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target
