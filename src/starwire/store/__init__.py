"""What Starwire keeps in the database: tables, the statements on them, and their migrations."""
