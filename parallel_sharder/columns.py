"""Columns: the types of the numpy arrays that a Listing and a Plan consist of, one array a field, one row a sample."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Extents = npt.NDArray[np.int64]
"""The places of files in an archive, one row a file. In a tar: the offset of the file's data in bytes (one column). In
a zip: the offset of its local header, its size in the zip in bytes, and its CRC-32 (three columns)."""
Bytes = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]
Keys = npt.NDArray[np.bytes_]
"""Keys in ASCII, each padded with NULs to the length of the longest."""
