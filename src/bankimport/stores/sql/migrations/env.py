"""Alembic's entry: runs the migrations on the connection that `bankimport.stores.sql.migrations` hands over."""

from alembic import context

from bankimport.stores.sql.schema import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table="bankimport_schema",
    render_as_batch=connection.dialect.name == "sqlite",  # SQLite alters little by itself
)
with context.begin_transaction():
    context.run_migrations()
