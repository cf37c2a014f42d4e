#!/usr/bin/env bash
# restore.sh BACKUP ARTIFACTS [URL]: put a backup into an empty artifact root, while no service runs.
#
# A job table on PostgreSQL is replaced by the one of the backup. As root, files are given to the
# owner of the artifact root, whoever took the backup.
set -euo pipefail
backup=$1 artifacts=$2 url=${3:-}

mkdir -p "$artifacts"
if [ -n "$(ls -A "$artifacts")" ]; then
  echo "error: $artifacts is not empty; stop the service and move away what is in it" >&2
  exit 2
fi
owner=$(stat -c %u:%g "$artifacts")
cp -a "$backup"/. "$artifacts"
[ "$(id -u)" -ne 0 ] || chown -R --no-dereference "$owner" "$artifacts"
if [ -n "$url" ]; then
  rm "$artifacts/ppgssl.dump"
  pg_restore --clean --if-exists --dbname="$url" "$backup/ppgssl.dump"
fi
