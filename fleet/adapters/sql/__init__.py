"""The manager's truth in SQLite (WAL), through SQLAlchemy Core."""
