python "$TESTS/made_files.py" wfdb
