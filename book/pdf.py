"""The book of one run as a PDF, printed by Chromium: ``python book/pdf.py --profile demo``."""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import assemble

from asdlib import params, paths
from asdlib.errors import AsdError

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def print_pdf(profile: str) -> Path:
    """Build the assembled book as one page and print it to ``book/_build/<profile>/book.pdf``.

    Raises:
        AsdError: The book is not assembled, there is no Chromium, or it printed nothing.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise AsdError(f"none of {', '.join(BROWSERS)} is installed; one of them prints the PDF")
    output = paths.project_root() / "book" / "_build" / params.load(profile).profile
    if not (output / "source" / "_toc.yml").is_file():
        raise AsdError(f"{output / 'source'}: no assembled book; run make book PROFILE={profile}")
    page, result = assemble.build(output / "source", output, "singlehtml"), output / "book.pdf"
    result.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}", "--no-pdf-header-footer"]
        command = [browser, *options, f"--print-to-pdf={result}", page.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not result.is_file():
        raise AsdError(f"{browser} printed no PDF\n{done.stderr.strip()[-2000:]}")
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="demo", help="name of a file in params/, or a path (default: demo)")
    try:
        print(print_pdf(parser.parse_args().profile))
    except AsdError as error:
        sys.exit(f"error: {error}")
