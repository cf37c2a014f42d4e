#!/usr/bin/env bash
# backup.sh ARTIFACTS BACKUP [URL]: copy the artifact root and the job table while the service runs.
#
# The job table is the SQLite file in the artifact root, or at the PostgreSQL URL where one is given.
# Ends with 0 only where everything was copied. Artifacts come first, so that a job that was running
# continues from a checkpoint that is not newer than its loss history; the second copy adds what was
# finished meanwhile and replaces nothing. SQLite copies the table itself: a plain copy of a file
# that is being written to can be broken.
set -euo pipefail
artifacts=$1 backup=$2 url=${3:-}

copy() { # tar ends with 1 where a checkpoint was replaced while it was copied, with 2 where it failed
  { tar -C "$artifacts" --exclude='./*.sqlite*' --warning=no-file-changed -c . || [ $? -eq 1 ]; } |
    tar -C "$backup" -x "$@"
}

copy_sqlite() {
  python3 - "$artifacts/ppgssl.sqlite" "$backup/ppgssl.sqlite" <<'PYTHON'
import sqlite3, sys

source, target = (
    sqlite3.connect(f"file:{file}?mode={mode}", uri=True)
    for file, mode in zip(sys.argv[1:], ("rw", "rwc"))
)
source.backup(target)
(verdict,) = target.execute("PRAGMA integrity_check").fetchone()
sys.exit(None if verdict == "ok" else verdict)
PYTHON
}

mkdir -p "$backup"
copy
if [ -n "$url" ]; then
  pg_dump --format=custom --file="$backup/ppgssl.dump" "$url"
else
  copy_sqlite
fi
copy --skip-old-files
