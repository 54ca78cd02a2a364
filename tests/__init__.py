"""The tests: units by module, properties, and the whole way as a user goes it."""
