// Package stream is a resumable, seeded, mixing reader over the shards of runs.
//
// Vocabulary. A group is one row group of one unit. The units of an epoch are cut into
// spans of S; the groups of a span are permuted; a shuffle window is W consecutive groups
// of that permutation; the kept rows of a shuffle window are permuted again and handed out
// as batches. A key names a row: run, unit, prompt and position:
//
//	units    u_0 … u_{U-1}          of all runs, interleaved; permuted in later epochs
//	span s   {u_{sS} … u_{sS+S-1}}  with groups g_0 … g_{G-1}
//	         π = shuffle(G; seed, e, s)
//	window   {π(iW) … π(iW+W-1)}    the w-th of the epoch
//	rows     shuffle(kept rows of the window; seed, e, w)
//
// A batch may span shuffle windows, never epochs: the last batch of an epoch is short.
// A stream that waits (Config.Wait) follows a collection: it needs a span's units when
// it comes to the span, and the first epoch takes the spans in their order.
//
// Of a ring the stream reads one epoch, closes units behind the cursor so that what is deleted frees its bytes, and tells
// of every row whether it was handed out or left out. A cursor knows its span: no earlier unit is opened to go on.
//
// Guaranteed: the order of rows is a pure function of (runs, Config without Prefetch
// and Wait), the same while a run grows and later; each epoch hands out each kept row
// exactly once; a stream that seeks to a cursor gives exactly what would have followed
// it; Cursor counts what was handed out, never what was read ahead; no goroutine
// outlives Close; memory is bounded by two shuffle windows and Prefetch+2 batches. A row of a
// run falls on the same side of a Holdout whatever the seed of the order and whatever
// the run. Shards that do not belong to the plan, or whose size is not the manifest's, are an
// error.
// Not guaranteed: perfect mixing: two rows further apart than a shuffle window in the
// permutation of groups cannot meet in a batch, nor rows of two spans (Mixing measures
// what was reached).
package stream
