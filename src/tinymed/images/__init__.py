"""Safe intake of anything that arrives: DICOM, photo, PNG."""
