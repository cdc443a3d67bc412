"""The broker: mosquitto's own configuration, the reader of what devices say, the publisher of what they
should do.
"""
