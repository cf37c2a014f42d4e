"""Work that is done in other processes: of this host, or of the hosts of a Ray cluster."""
