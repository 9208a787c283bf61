"""Lets the tests here import the frames they are made of."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
