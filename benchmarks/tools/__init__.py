"""What the benchmarks are made with: the set they read, the programs they compare, and the ways to compare them."""
