// Package run is what one collection made: the plan that describes it, the keys of its objects, the manifest that
// lists them when all are committed, and the check that reads every byte.
//
// # Vocabulary
//
// A plan is the immutable description of a run; its SHA-256 is the run's name among programs. A unit is a range of
// prompts, and its shard is the one file it becomes; the shard's presence at the key the plan fixes is the commit. A
// rival is a shard that a node made differently from the committed one.
//
// # Ring
//
// A run whose plan says so is a ring buffer between its nodes and some named readers, for streams larger than the disk.
// Four kinds of objects, all put if absent, are the whole protocol; no leader and no lock decides anything:
//
//		acts/unit-000007.parquet          the shard
//		ring/<reader>/unit-000007.json    Ack: the reader has read every row for good, with their Tally
//		ring/<reader>/ended.json          Ended: the reader needs no more
//		ring/gone/unit-000007.json        Tombstone: what the shard was
//
//	  - A unit is committed if it has a shard or a tombstone.
//	  - Back-pressure: a unit may be begun if fewer than Ring.Units units that are not gone stand before it.
//	  - A reader acknowledges a unit only when what it goes on from after a crash needs the unit no more. A unit it needs to
//	    its end, such as one with held-out rows, it acknowledges at its end.
//	  - Whoever sees that every reader has acknowledged a shard, or has ended, compares what they read with what the shard
//	    has, puts the tombstone, and only then deletes the shard (Sweep). A shard that a late node commits beside a
//	    tombstone is deleted again.
//	  - A reader whose spans are S units needs the first span, the one it reads and the next, so no ring of 3·S units ever
//	    stands still while its readers and some node run.
//
// # Guarantees
//
//   - A plan, once there, never changes: CreatePlan refuses another one with an error that lists every difference.
//   - Finish writes a manifest only if every unit is committed, and only once.
//   - Check finds any change of any byte of a complete run, and any duplicate or missing row in an incomplete one.
//   - In a ring no shard is deleted before every reader has acknowledged every row of it, each once, and Check proves
//     that afterwards. The shards take at most Ring.Bytes, and one unit more per node while a late one commits.
//
// # Not guaranteed
//
// Nothing prevents the deletion of objects: "complete" is what the last listing saw.
package run
