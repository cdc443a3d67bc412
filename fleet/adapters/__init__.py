"""The outside world: database, broker, Prometheus, files, the signing tool. Adapters do not know each
other.
"""
