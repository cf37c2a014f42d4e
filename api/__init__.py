"""The HTTP control API: routes, wire schemas, the embedding service, the dashboard."""
