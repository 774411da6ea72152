// Package shard defines the activation shard: one Parquet file with the activations of a range of data-set rows. The
// directory of such files that one collection makes is package run's.
//
// # Vocabulary
//
// A run is all that one collection made; a plan describes it; a unit is a range of data-set rows, and the shard is the
// one file that a unit becomes. A row is one kept token position, a scalar column has one value per row, a vector column
// a fixed number of values. A row group is 512 rows, a chunk is one column of one row group, a page is a part of it.
//
// # Specification
//
// A run is a directory or a bucket prefix:
//
//	plan.json                     the plan, canonical JSON; its SHA-256 is the plan's id
//	input/rows-<sha>.parquet      the prompts
//	acts/unit-000000.parquet …    one shard per unit; its presence is the commit
//	manifest.json                 when all units are there: key, size, rows and SHA-256 of each
//	codes/<coder>/unit-….parquet  what coders made of the rows, keyed by the same (row, pos)
//	ring/<reader>/unit-000000.json …  of a ring: the reader has read every row of the unit for good
//	ring/<reader>/ended.json      of a ring: the reader needs no more
//	ring/gone/unit-000000.json …  of a ring: what the shard was that every reader has read; the unit stays committed
//	diverged/unit-…-<node>.parquet  a shard that a node made differently from the committed one, kept to find out why
//	log/<node>-<start>.jsonl      provenance and timings, never read to decide anything
//	log/<node>-<start>.000.jsonl  in a bucket, where a log is put in pieces
//
// plan.json and manifest.json are UTF-8 JSON with two spaces of indent and a final newline; the fields stand in the order
// of the types run.Plan and run.Manifest. Nothing in a run is ever rewritten.
//
// A shard of format 1 is a Parquet file. Its columns are all required, never null, in this order:
//
//	row       INT64               row of the data set
//	pos       INT32               position of the token in the prompt, from 0
//	n_tokens  INT32               length of the prompt in tokens
//	token_id  INT32               the token
//	token     BYTE_ARRAY STRING   its text
//	start     INT32               with the plan's offsets: the first code point of the text that the token stands for
//	end       INT32               and the one behind the last
//	…         any scalar          the data set's own columns (label, group, …), then with choices p_no, p_yes, …
//	<site>_<layer>[__<adapter>]   LIST of FLOAT16, or of FLOAT: the vectors, one width per column
//	experts_<layer>               LIST of INT32: numbers of experts, stored as vectors are
//
// Scalars are INT64, INT32, FLOAT, DOUBLE, BOOLEAN or STRING. (row, pos) is the key: of a complete run, each data row
// has exactly the positions, each once, that the plan's token rule gives for its n_tokens; or, where the rule depends on
// the data, those that the prompts list for it (column __kept of input). Names differ even without regard
// to case. A vector column is three-level: a required group of the column's name (LIST), a repeated group "list",
// a required "element", which is FIXED_LEN_BYTE_ARRAY(2) FLOAT16, FLOAT or INT32. Under the dtype "auto" a column that is FLOAT16 in the plan is FLOAT in
// the shards of those units where a value does not fit.
//
// A row group has 512 rows, except the last. Its chunks lie in the order: scalars (by name), vectors (by column). A vector
// chunk begins at a multiple of 64 bytes, after as few zeros as needed. So the values of its first page do too, and those
// of all its pages where page_rows rows are a multiple of 64 bytes: a mapped column can be used as numbers where it lies.
//
// Scalar chunks are data pages of version 2, snappy; strings with a dictionary, all else PLAIN; with bounds in the
// footer, the page header and the column index, but for strings longer than 64 bytes.
//
// Vector chunks are data pages of version 2, PLAIN, not compressed, without CRC, bounds or column index. Every page but
// a chunk's last has page_rows rows: 512 if those are at most 1 MiB, otherwise the greatest power of two whose rows are
// at most 512 KiB, and at least 1. A page of n rows of width w is, byte for byte,
//
//	header       Thrift compact PageHeader: type DATA_PAGE_V2, both sizes, and DataPageHeaderV2 with num_values n·w,
//	             num_nulls 0, num_rows n, encoding PLAIN, the two level lengths, is_compressed false; then field
//	             32767, which Parquet reserves for extensions and every reader skips: as few zeros as make header and
//	             levels a multiple of 64 bytes; no other field
//	repetition   RLE of bit width 1, per row: a run of one 0 and a run of w-1 ones; if w is 1, one run of n zeros
//	definition   RLE of bit width 1: one run of n·w ones
//	values       n·w values, little-endian, row after row
//
// where a run is uvarint(2·length) and one byte. So all but the values is a pure function of n, w and the dtype: values
// are found by arithmetic from the chunk's offset, and any other byte before them is damage. Offset indexes are there for
// other readers.
//
// The footer's key/value metadata:
//
//	actfleet.format    "1"
//	actfleet.plan      the plan's id
//	actfleet.unit      the unit's number, decimal
//	actfleet.vectors   JSON list, one object per vector column: name, width, dtype ("f16", "f32", "i32"), page_rows, count
//	                   (rows), sumsq (Σ‖x‖²), maxabs (max |x|), nonfinite and overflow (numbers of values)
//
// sumsq and maxabs are of the finite values as stored. sumsq is defined to the last bit: in float64, the squares of a row
// are added in 8 lanes, value i to lane i mod 8, the lanes in the order 0 to 7, rows in order to the sum of their row
// group, row groups in order to the sum of the file. nonfinite counts values that were NaN or infinite when they were
// packed, overflow finite ones that became infinite.
//
// The bytes of a shard are a pure function of its plan and unit, on one kind of device and with one version of this
// program: no time, no host, no path is in it.
//
// # Guarantees
//
//   - A shard of format 1 opens in every later version (testdata/v1 is kept for that).
//   - Reader takes any bytes: it returns ErrCorrupt or ErrSchema, does not panic, and allocates no more than a small
//     multiple of the file's size.
//   - CheckFile finds any value that is not what the footer's statistics were taken from, and any changed page header.
//
// # Not guaranteed
//
// Reader reads shards, not Parquet files in general: what another program has rewritten it refuses. It does not notice
// changed values; CheckFile does. A mapped file that is cut short while it is read ends the process, as mapped files do;
// nobody truncates a committed shard.
package shard
