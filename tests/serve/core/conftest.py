"""Lets the tests here import what stands in for model and decoder."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
