python "$TESTS/made_files.py" empatica
