"""Reads the Arrow stream FILE with pyarrow and compares it with the shards of DIR, in order."""

import pathlib
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

stream = pa.ipc.open_stream(sys.argv[1]).read_all()
stream.validate(full=True)
shards = pa.concat_tables(pq.ParquetFile(str(p)).read() for p in sorted(pathlib.Path(sys.argv[2]).glob("*.parquet")))
if stream.column_names != shards.column_names or stream.num_rows != shards.num_rows:
    sys.exit(f"{stream.num_rows} rows of {stream.column_names}, shards have {shards.num_rows} of {shards.column_names}")
for name in shards.column_names:
    got, want = stream[name].combine_chunks(), shards[name].combine_chunks()
    if pa.types.is_fixed_size_list(got.type):
        assert got.null_count == 0 and got.type.value_type == want.type.value_type, got.type
        got, want = got.flatten(), want.flatten()
        same = np.array_equal(got.to_numpy(zero_copy_only=False), want.to_numpy(zero_copy_only=False))
    else:
        same = got.to_pylist() == want.to_pylist()
    if not same:
        sys.exit(f"column {name} differs")
