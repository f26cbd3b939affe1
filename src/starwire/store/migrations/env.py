"""Alembic's environment, for the framework's branch and for every game's: runs on the connection it is given.

``store/migrate.py`` leaves in ``config.attributes`` the connection (its transaction is the caller's), the
metadata to compare with, the name of the version table, and which tables belong to this branch.
"""

from alembic import context

given = context.config.attributes
context.configure(
    connection=given["connection"],
    target_metadata=given["metadata"],
    version_table=given["version_table"],
    include_name=given["include_name"],
    render_as_batch=True,  # SQLite cannot change a table in place
)
with context.begin_transaction():
    context.run_migrations()
