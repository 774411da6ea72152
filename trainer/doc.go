// Package trainer streams shards into a learner, checkpoints it and reports metrics:
// one visible loop.
package trainer
