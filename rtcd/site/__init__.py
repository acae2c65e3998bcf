"""The web site around what services add to it: requests and their bounds, paths, redirects, and the local authority."""
