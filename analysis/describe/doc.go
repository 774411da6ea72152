// Package describe looks at what a run holds before anybody trains on it, and says what would spoil a coder or a probe.
//
// Sums over all rows (count, root mean square norm, greatest value, values that were not finite or did not fit into
// fp16) come from the shards' own statistics and are exact. The rest is of a sample: whole row groups, evenly spread
// over the committed units, the same ones every time.
package describe
