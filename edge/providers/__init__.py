"""Providers: one file each, where numbers come from. The contract is `edge.numbers.provider`."""
