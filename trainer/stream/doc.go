// Package stream is a resumable, seeded, mixing reader over the shards of runs.
//
// Vocabulary. A group is one row group of one unit. All groups of all runs are
// permuted once per epoch; a window is W consecutive groups of that permutation;
// the kept rows of a window are permuted again and handed out as batches:
//
//	groups   g_0 … g_{G-1}          all units of all runs, in the order given
//	epoch e  π_e = shuffle(G; seed, e)
//	window w {π_e(wW) … π_e(wW+W-1)}
//	rows     shuffle(kept rows of the window; seed, e, w)
//
// A batch may span windows, never epochs: the last batch of an epoch is short.
//
// Guaranteed: the order of rows is a pure function of (runs, Config without
// Prefetch); each epoch hands out each kept row exactly once; a stream that seeks
// to a cursor gives exactly what would have followed it; Cursor counts what was
// handed out, never what was read ahead; no goroutine outlives Close; memory is
// bounded by two windows and Prefetch+2 batches. A row of a run falls on the same
// side of a Holdout whatever the seed of the order and whatever the run.
// Not guaranteed: perfect mixing: two rows further apart than a window in the
// permutation of groups cannot meet in a batch (Mixing measures what was reached).
package stream
