"""What Alembic runs: the revisions, on the connection and in the transaction that it was given.

`ppgssl.jobs.database.migrate` is the only caller; there is no alembic.ini and no offline mode.
"""

from alembic import context

from ppgssl.jobs.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite alters a table by copying it
)
context.run_migrations()
