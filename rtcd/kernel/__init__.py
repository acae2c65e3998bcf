"""The relay plane in the kernel: packets of bound channels are rewritten by a BPF program and never reach this process."""
