//! Reads the PoCo contracts at one block and writes the transactions that owners, buyers and pools need.
