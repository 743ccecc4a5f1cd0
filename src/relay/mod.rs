//! Transparent mode: the swap of the descriptor and the relay behind it.
