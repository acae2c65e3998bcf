"""Records of calls: what happened in each, and why it failed or by which path it went."""
