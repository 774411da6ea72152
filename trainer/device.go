package trainer

import (
	"fmt"

	"actfleet/internal/torch"
	"actfleet/trainer/coder"
	"actfleet/trainer/ranks"
	"actfleet/trainer/sae"
)

// Auto, as the device of a Job, is the first GPU where there is one and the training can use it, else the CPU.
const Auto = "auto"

// device is where a job computes: autoencoders of one process on any device, all else on the CPU.
func (j Job) device() (torch.Device, error) {
	why := ""
	switch {
	case j.Recipe.Kind != coder.SAE:
		why = "a coder of kind " + j.Recipe.Kind + " is trained on the CPU"
	case ranks.Distributed(ranksOf(j)):
		why = "several ranks train on the CPU"
	}
	if j.Device == "" || j.Device == Auto && why != "" {
		return torch.CPU, nil
	}
	at, err := torch.ParseDevice(j.Device)
	if err == nil && at.IsCUDA() && why != "" {
		err = fmt.Errorf("device %q: %s", j.Device, why)
	}
	return at, err
}

// use makes the learner train on the job's device.
func (t *training) use() error {
	at, err := t.device()
	if l, ok := t.learner.(*sae.Learner); ok && err == nil {
		l.Use(at)
	}
	return err
}

// fetch brings what the learner has on a device to its State and Export.
func (t *training) fetch() error {
	if l, ok := t.learner.(*sae.Learner); ok {
		return l.Fetch()
	}
	return nil
}

// free gives back what the learner has on a device.
func (t *training) free() {
	if l, ok := t.learner.(*sae.Learner); ok {
		l.Free()
	}
}
