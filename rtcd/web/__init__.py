"""AppRTC's room server by HTTP, and the call page."""
