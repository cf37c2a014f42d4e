"""The cluster that the tests here share."""

from ray_cluster import cluster as cluster
