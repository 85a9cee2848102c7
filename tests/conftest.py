"""What several tests share."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def realdata() -> Path:
    """Folder of the real recordings and scores, which are no part of the project; skips where it is absent."""
    folder = Path(os.environ.get("ASD_REALDATA", ROOT.parent / "shared" / "realdata"))
    if not folder.is_dir():
        pytest.skip(f"no real recordings at {folder} (set ASD_REALDATA)")
    return folder
