"""Lets the tests here import what stands in for a service."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
