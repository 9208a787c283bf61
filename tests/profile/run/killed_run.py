"""Measures two points; the second never ends: `killed_run.py OUT IMAGE JOURNAL`."""

import sys
from pathlib import Path

from slow_model import Script
from slow_points import child_command, tiny_target

from tinymed.profile.run import process
from tinymed.profile.run.folder import profile_folder
from tinymed.profile.run.predicted import Predicted
from tinymed.profile.run.run import ProfileSettings, measure_all

if __name__ == "__main__":
    out, image, journal = map(Path, sys.argv[1:])
    settings = ProfileSettings(models=(), out=out, image=image, runs=2, busy=True)
    with profile_folder(out, {"command": "profile run"}):
        for target, script in (
            (tiny_target(), Script()),
            (tiny_target("openvino-int4"), Script(stops_at_image=3)),
        ):
            process.CHILD = child_command(journal, script)
            measure_all([target], settings, predict=lambda *_: Predicted(scale_bytes=0))
