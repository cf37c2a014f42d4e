"""What a job was asked for and cloned from; what is to be removed; indexes for figures and age."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("request", sa.JSON(), nullable=True))
    op.add_column("jobs", sa.Column("cloned_from", sa.String(40), nullable=True))
    op.add_column("jobs", sa.Column("tidied_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_jobs_finished_at", "jobs", ["finished_at"])
    op.create_index("ix_jobs_tidied_at_finished_at", "jobs", ["tidied_at", "finished_at"])
    op.create_index("ix_jobs_kind_status_attempt", "jobs", ["kind", "status", "attempt"])
    op.create_table(
        "removals",
        sa.Column("folder", sa.String(255), nullable=False),
        sa.Column("job_id", sa.String(40), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("folder", name="pk_removals"),
    )
