"""The queries of the job table, by who asks; `ppgssl.jobs.store` puts them together."""
