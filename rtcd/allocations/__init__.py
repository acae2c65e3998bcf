"""What the TURN service keeps: allocations, ports, connections, units of quota and bandwidth."""
