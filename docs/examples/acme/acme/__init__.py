"""A third party's package: an example of a service for rtcd."""
