python "$TESTS/made_files.py" csv
