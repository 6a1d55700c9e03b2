"""The SQL store (extra `sql`): its tables, their migrations, and reading and writing them."""
