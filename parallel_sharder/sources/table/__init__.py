"""Tables as a source: a CSV, TSV, JSON lines or Parquet file with one row a sample, and the images it names."""
