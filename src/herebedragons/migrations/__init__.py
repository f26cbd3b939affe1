"""The history of the game's tables: plain Alembic revisions below `versions`, run by Starwire."""
