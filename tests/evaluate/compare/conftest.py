"""Lets the tests here import how finished runs are written."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
