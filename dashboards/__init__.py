"""Grafana dashboards as code: `python -m dashboards.build` writes what is committed below `grafana/`."""
