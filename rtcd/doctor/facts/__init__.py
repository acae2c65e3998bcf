"""How the facts are gathered, one check a module: this machine, its daemon, its network. What they mean is
rtcd.doctor.checks."""
