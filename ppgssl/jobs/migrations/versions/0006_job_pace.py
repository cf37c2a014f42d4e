"""How fast a job went and how loaded its device was, over its steps."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "job_pace",
        sa.Column("job_seq", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("reports", sa.Integer(), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_seq"], ["jobs.seq"], name="fk_job_pace_job_seq_jobs", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_seq", "number", name="pk_job_pace"),
        sqlite_with_rowid=False,
    )
