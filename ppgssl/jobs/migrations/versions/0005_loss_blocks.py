"""Blocks of the loss history, filled from the points that are there."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

STEPS_PER_BLOCK = 512


def upgrade() -> None:
    blocks = op.create_table(
        "job_loss_blocks",
        sa.Column("job_seq", sa.Integer(), nullable=False),
        sa.Column("split", sa.String(8), nullable=False),
        sa.Column("block", sa.Integer(), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("first_step", sa.Integer(), nullable=False),
        sa.Column("last_step", sa.Integer(), nullable=False),
        sa.Column("lowest", sa.Float(), nullable=True),
        sa.Column("lowest_step", sa.Integer(), nullable=True),
        sa.Column("highest", sa.Float(), nullable=True),
        sa.Column("highest_step", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_seq"],
            ["jobs.seq"],
            name="fk_job_loss_blocks_job_seq_jobs",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_seq", "split", "block", name="pk_job_loss_blocks"),
        sqlite_with_rowid=False,
    )
    rows = blocks_of(op.get_bind())
    if rows:
        op.bulk_insert(blocks, rows)


def blocks_of(connection: sa.Connection) -> list[dict[str, Any]]:
    found: dict[tuple[int, str, int], dict[str, Any]] = {}
    points = sa.text("SELECT job_seq, split, step, total FROM job_losses ORDER BY job_seq, step")
    for job_seq, split, step, total in connection.execute(points):
        number = step // STEPS_PER_BLOCK
        block = found.setdefault(
            (job_seq, split, number),
            {
                **{"job_seq": job_seq, "split": split, "block": number, "points": 0},
                **{"first_step": step, "lowest": None, "highest": None},
                **{"lowest_step": None, "highest_step": None},
            },
        )
        block["points"] += 1
        block["last_step"] = step
        if total is not None and (block["lowest"] is None or total < block["lowest"]):
            block |= {"lowest": total, "lowest_step": step}
        if total is not None and (block["highest"] is None or total > block["highest"]):
            block |= {"highest": total, "highest_step": step}
    return list(found.values())
