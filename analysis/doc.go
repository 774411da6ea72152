// Package analysis answers questions about runs with SQL: an in-memory DuckDB
// whose views are the Parquet files of one or more runs, read in place.
//
// Vocabulary. Views over files, read when a query needs them: acts (one row per
// kept token position, with the column unit) and codes_<coder> for every folder
// of RUN/codes, keyed by the same (row, pos); letters of a coder's id that SQL
// names cannot have become _. Tables made when the run is opened: units (one row
// per unit of the plan: key, rows, size, sha256, the node that committed it and
// when; its outcome is committed, open, damaged, or of a ring gone), log (one row per log line), plan (key and value of plan.json), vectors
// (site, layer, variant, width and dtype of every vector column). Macros: l2(v),
// dot(a, b), cos(a, b). With several runs, acts and codes have the column run
// too and take the columns of all runs, matched by name. A question is a built-in
// query, one file each in queries.
//
// Guarantees. Nothing is written: of the statements that DuckDB knows, those
// that write, attach, load or export are refused before they run, the
// configuration is locked, and the only files that can be read are the unit
// files that were committed when the run was opened. A run may be half finished,
// lack its manifest, logs or plan, and have any name; what could not be read is
// in Notes. Errors are one line.
//
// Units are those of the plan: a shard whose size is wrong, and any other file
// among them, is left out and reported. So are the rows of a ring's units that
// every reader has acknowledged: their shards are deleted.
//
// Not guaranteed. Units committed later are not seen; open the run again. Rows
// have no order without ORDER BY. A query may use more memory than Options.Memory
// where DuckDB does not account for it, and cancelling the context does not stop
// every query: package worker runs queries in a process whose memory the system
// limits.
package analysis
