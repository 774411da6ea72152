// Package run is what one collection made: the plan that describes it, the keys of its objects, the manifest that
// lists them when all are committed, and the check that reads every byte.
//
// # Vocabulary
//
// A plan is the immutable description of a run; its SHA-256 is the run's name among programs. A unit is a range of
// prompts, and its shard is the one file it becomes; the shard's presence at the key the plan fixes is the commit. A
// rival is a shard that a node made differently from the committed one.
//
// # Guarantees
//
//   - A plan, once there, never changes: CreatePlan refuses another one with an error that lists every difference.
//   - Finish writes a manifest only if every unit is committed, and only once.
//   - Check finds any change of any byte of a complete run, and any duplicate or missing row in an incomplete one.
//
// # Not guaranteed
//
// Nothing prevents the deletion of objects: "complete" is what the last listing saw.
package run
