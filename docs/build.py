"""Build the documentation as a site, without a network: `make docs`. The result is in `build/site`.

The pages link to each other as they do in the checkout, so the site is laid out as the checkout is. A link that leads
nowhere ends the build.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # this folder is no package
import api  # beside this file

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build"
SOURCE, SITE = BUILD / "source", BUILD / "site"
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE")


def config() -> str:
    """Return the settings of the site."""
    return f"""[project]
site_name = "bankimport"
site_description = "Bank transactions, imported in the background."
docs_dir = "{SOURCE.name}"
site_dir = "{SITE.name}"
use_directory_urls = false
[project.theme]
font = false
"""


def lay_out() -> None:
    """Copy what is a page, an image or an example."""
    shutil.rmtree(BUILD, ignore_errors=True)
    SOURCE.mkdir(parents=True)
    for name in PAGES:
        shutil.copy(ROOT / name, SOURCE / name)
    left_out = shutil.ignore_patterns("*.pyc", "__pycache__", "generate*.py", "build.py", "api.py")
    for name in ("docs", "examples", "benchmarks"):
        shutil.copytree(ROOT / name, SOURCE / name, ignore=left_out)
    pages = api.write_pages(SOURCE / "docs" / "reference" / "python")
    with (SOURCE / "docs" / "reference" / "python.md").open("a", encoding="utf-8") as index:
        index.write("\n" + " · ".join(f"[{page.stem.replace('-', '.')}](python/{page.name})" for page in pages) + "\n")
    (BUILD / "zensical.toml").write_text(config(), encoding="utf-8")


def list_pages() -> str:
    """Return llms.txt: each page with its title, for readers that are programs (llmstxt.org)."""
    lines = ["# bankimport", "", "> Bank transactions, imported in the background, reliably, under PSD2.", ""]
    for page in sorted((SOURCE / "docs").rglob("*.md")):
        title = re.search(r"^# (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        address = page.relative_to(SOURCE).with_suffix(".html")
        lines.append(f"- [{title[1] if title else page.stem}]({address})")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Lay the pages out, build them, and list them."""
    lay_out()
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", str(BUILD / "zensical.toml")]
    code = subprocess.run(command, cwd=BUILD, check=False).returncode
    if code == 0:
        (SITE / "llms.txt").write_text(list_pages(), encoding="utf-8")
        print(f"{SITE / 'index.html'}")
    return code


if __name__ == "__main__":
    sys.exit(main())
