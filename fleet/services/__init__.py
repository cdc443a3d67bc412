"""Use cases of the manager: the only owners of a transaction."""
