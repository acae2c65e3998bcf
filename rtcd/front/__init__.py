"""Who stands in front of us and for whom he speaks: what a request sees of this site, and who it is that asks."""
