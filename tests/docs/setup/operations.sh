mkdir -p artifacts/jobs
cp -r "$TESTS/../../deploy" .
python - <<'PYTHON'
from ppgssl.jobs.database import migrate, open_database

migrate(open_database("sqlite:///artifacts/ppgssl.sqlite"))
PYTHON
