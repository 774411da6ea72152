// Package collector runs prompts through a model and publishes the tapped activations as shards.
//
// Vocabulary: a plan is the immutable description of a run, a prompt one item of the data set, a unit a
// range of prompts, a shard the one Parquet file a unit becomes, a row of it one kept token position (the
// column that numbers prompts is called row, too). A batch is a few prompts of a unit that go through the
// model together, a lane one thread that computes a batch. A group is one row group in memory, filled by
// several batches. A prefix is the tokens that all prompts of a unit begin with, a few-shot prompt for
// example.
//
// The path of a unit:
//
//	coordinator.Next ─► the prefix, if it is worth it, through the model, unless the last unit had the same
//	  ─► prompts of the unit, stably sorted by length ─► batches by token budget
//	  ─► rows in the row groups for each batch ─► a lane: model.Forward, each tap packed straight
//	     into its groups ─► groups, as they are complete, to the writer in the order of their rows
//	  ─► shard.Writer ─► store.Pending.Commit (put if absent) ─► coordinator.Done
//
// Computing never waits for the disk unless the writer is a whole unit behind: the writer of a unit
// runs beside it, and its fsync and commit run beside the next unit, whose batches fill the lanes that
// the last ones of a unit leave.
//
// A unit that another node commits meanwhile is dropped where it is, as soon as the store confirms what gossip says:
// its batches end at the next block of the model, nothing of it stays, and the next unit begins.
//
// Guarantees: the bytes of a shard are a function of (plan, unit) alone, on one kind of device; a
// unit is either committed whole or leaves nothing, also when the node is stopped in the middle of it; a
// value that is not finite stops the run with an error that gives prompt, position, site and layer; a
// shard that comes second and differs from the committed one stops the node with an error that gives both
// SHA-256, and is kept (run.DivergedKey); a value too large for fp16 makes its column fp32 in that shard
// (plan dtype auto) or stops the run (f16).
//
// Non-guarantees: a unit may be computed twice (the store keeps the first); the log is for people and the
// report and is never used for decisions.
package collector
