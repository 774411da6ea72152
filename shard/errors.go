package shard

import "errors"

// Errors that a caller decides on, to be tested with errors.Is.
var (
	// ErrCorrupt says that the bytes are not what a writer wrote: fetch or make the file again.
	ErrCorrupt = errors.New("corrupt shard")
	// ErrSchema says that the file or the request is not one of this format and version: use another program.
	ErrSchema = errors.New("not a shard of this format")
	// ErrOtherPlan says that the run's directory holds another plan. The error is a *PlanMismatch.
	ErrOtherPlan = errors.New("the run has another plan")
)
