python "$TESTS/made_files.py" edf
