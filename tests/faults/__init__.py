"""What goes wrong: killed and frozen workers, servers that go away, links that are cut, tenants that crowd."""
