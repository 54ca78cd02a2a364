"""The types of the columns that a Listing and a Plan are made of: one numpy array a field, one row a sample."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Extents = npt.NDArray[np.int64]
"""Where in an archive, one row a file: the offset of its data, in bytes (one column); in a zip the offset of its local
header, its bytes there, and its CRC-32 (three columns)."""
Bytes = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]
Keys = npt.NDArray[np.bytes_]
"""ASCII, each padded with NULs to the longest."""
