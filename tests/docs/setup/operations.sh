ARTIFACTS=$PWD/artifacts BACKUP=$PWD/backup
mkdir -p "$ARTIFACTS/jobs"
python - <<'PYTHON'
from ppgssl.jobs.database import migrate, open_database

migrate(open_database("sqlite:///artifacts/ppgssl.sqlite"))
PYTHON
