"""Reads DIR/unit.parquet with pyarrow and DuckDB (and Polars where it is installed) and compares every value with
DIR/<column>.bin (vectors, little-endian) and DIR/<column>.txt (scalars, one per line). Prints the readers' versions."""

import pathlib
import sys

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

here = pathlib.Path(sys.argv[1])
shard = str(here / "unit.parquet")
table = pq.ParquetFile(shard).read()
table.validate(full=True)
rows = table.num_rows


def expected_vectors(name):
    kind = table.schema.field(name).type.value_type
    dtype = {pa.float16(): "<f2", pa.float32(): "<f4", pa.int32(): "<i4"}[kind]
    return np.fromfile(here / f"{name}.bin", dtype).reshape(rows, -1)


def expected_scalars(name):
    kind = table.schema.field(name).type
    lines = (here / f"{name}.txt").read_text().split("\n")[:-1]
    if kind == pa.string():
        return lines
    if kind == pa.bool_():
        return [line == "true" for line in lines]
    return [kind.to_pandas_dtype()(line) for line in lines]


def same(who, name, got, want):
    if not np.array_equal(np.asarray(got), np.asarray(want)):
        sys.exit(f"{who}: column {name} differs")


vectors = [f.name for f in table.schema if pa.types.is_list(f.type)]
scalars = [f.name for f in table.schema if not pa.types.is_list(f.type)]
for name in vectors:
    want = expected_vectors(name)
    flat = table[name].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    same("pyarrow", name, flat.reshape(rows, -1), want)
    got = duckdb.sql(f"select unnest({name}) as x from '{shard}'").fetchnumpy()["x"]
    same("duckdb", name, got.reshape(rows, -1), want.astype("<i4" if want.dtype == "<i4" else "<f4"))
for name in scalars:
    want = expected_scalars(name)
    same("pyarrow", name, table[name].to_pylist(), want)
    same("duckdb", name, [r[0] for r in duckdb.sql(f"select \"{name}\" from '{shard}'").fetchall()], want)

count = duckdb.sql(f"select count(*) from '{shard}' where row between 600 and 609").fetchall()[0][0]
same("duckdb", "where", count, 10)
print("pyarrow", pa.__version__, "duckdb", duckdb.__version__)

try:
    import polars as pl
except ImportError:
    sys.exit(0)
frame = pl.read_parquet(shard)
for name in vectors:
    same("polars", name, frame[name].explode().to_numpy().reshape(rows, -1), expected_vectors(name))
print("polars", pl.__version__)
