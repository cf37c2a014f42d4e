python "$TESTS/made_files.py" numpy
