// Package trainer streams shards into learners, checkpoints them and reports metrics:
// one visible loop.
//
// Vocabulary. A coder is a learned map on the vectors of one column (package coder says
// what its folder holds); a learner is a coder while it is trained; a batch is the rows of
// one optimizer step, given to the learner in micro-batches; a feed is one pass over the
// shards with the trainings that share it, each of which gets every batch. A training is a
// running Job. In addition to the files of package coder it writes
//
//	events.out.tfevents.* the metrics for TensorBoard, with a histogram of latents by density
//	checkpoints/          step-N.safetensors and step-N.json, the last checkpoint_keep
//
// Checkpoints kept elsewhere (Job.Checkpoints) also hold the metrics so far, so that a
// training can resume from them if its folder is lost.
//
// A rank is one of the processes that train together, if there are several. Each computes
// its slice of every batch; sums over a batch are all-reduced, and only rank 0 initialises,
// evaluates and writes.
//
// The learning rate of step t of T is lr·f(t), f rising linearly over warmup·T steps
// and falling to 0 over the last cooldown·T.
//
// A ring (package run) is read once, span by span, by a named reader: the trainings of one TrainAll. Each writes a
// checkpoint when it has left a span. When all are past a span in their checkpoints the session acknowledges its units, with
// a tally of every row that was handed out or left out; those of the first span, which holds the rows of evaluations,
// when all trainings have ended. Trainings of one reader must read alike. An older checkpoint than the newest may need
// units that are gone.
//
// Guaranteed: gradients and statistics are sums over the rows of a batch, divided once by
// their number, whatever the micro-batches (up to rounding); a checkpoint appears complete
// or not at all, a damaged one is never used, and one of another format is an error; a
// checkpoint that cannot be written ends the training and leaves those before it; a
// training that was interrupted, or killed, ends in the same bytes as one that was not, and
// one of a sweep in the same bytes as one alone, on the same machine; on resume a changed
// recipe is an error that lists the differences, unless it is forked; what is held out is
// chosen before training and is the same for every seed and every run.
// Not guaranteed: equal bytes on another kind of CPU; the seconds in metrics.jsonl.
package trainer
