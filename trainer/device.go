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

// products is what the job's Compute says of products on a device: their type, and whether fp32 may be tf32.
func (j Job) products(at torch.Device) (products torch.Dtype, tf32 bool, err error) {
	switch {
	case j.Compute == "" || j.Compute == Auto:
		return torch.F32, at.IsCUDA(), nil
	case j.Compute == "f32":
		return torch.F32, false, nil
	case j.Compute != "tf32" && j.Compute != "bf16":
		return 0, false, fmt.Errorf("compute %q: use auto, f32, tf32 or bf16", j.Compute)
	case !at.IsCUDA():
		return 0, false, fmt.Errorf("compute %q: trainings on the CPU compute f32", j.Compute)
	case j.Compute == "bf16":
		return torch.BF16, true, nil
	}
	return torch.F32, true, nil
}

// use makes the learner train on the job's device. Whether fp32 products may be tf32 is so for the whole process.
func (t *training) use() error {
	at, err := t.device()
	if err != nil {
		return err
	}
	products, tf32, err := t.products(at)
	l, ok := t.learner.(*sae.Learner)
	if err != nil || !ok {
		return err
	}
	if at.IsCUDA() {
		torch.AllowTF32(tf32)
	}
	l.Use(at, products)
	return nil
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
