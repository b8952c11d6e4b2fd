"""The stores: the one SQL engine with its migrations and its writer, the one Redis connection, and the tiers over both.

- *Engine*: SQLAlchemy Core on SQLite (default) or PostgreSQL, for the API and whatever is not on the path of a call.
- *Writer*, *Reader*: the two straight ways to the database driver, for what is: rows committed in groups, look-ups
  answered in batches. The same contract on both databases.
- *Tier*: a place an answer may come from: memory, Redis, SQL. Each has a deadline; when all fail, what was known before
  is served as *stale*, and what was never known is `Unavailable`.
- *Version*: every cached value carries one, counted in SQL. A lower version never replaces a higher one, anywhere.
- *Tombstone*: a version without a value: "there is nothing", known for certain.
- *Notice*: word that a key changed, from this process's own commits or from Redis.
"""
