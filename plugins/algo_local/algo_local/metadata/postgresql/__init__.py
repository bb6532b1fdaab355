"""The database on a PostgreSQL server: SQLAlchemy's engine and pool, psycopg, and Alembic for the schema."""
