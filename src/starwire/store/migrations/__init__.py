"""The history of the framework's tables, as Alembic revisions; ``store/migrate.py`` runs them."""
