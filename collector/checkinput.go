package collector

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"actfleet/collector/dataset"
	"actfleet/shard/run"
	"actfleet/shard/store"
)

// CheckInput reads every byte of a run's tokenised prompts. What it finds is a line that names them, "" if they are those
// of the plan: they are there, their SHA-256 is the one in their key, and they are as many and of the data set that the
// plan says. The error says that checking itself was not possible.
func CheckInput(ctx context.Context, st store.Store, p run.Plan) (damage string, err error) {
	key := p.Data.Input
	o, err := st.Open(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return key + ": is gone, the plan names it", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the tokenised rows %s: %w", key, err)
	}
	defer o.Close()
	sum, err := hashInput(ctx, o)
	if err == nil && run.InputKey(sum) != key {
		return fmt.Sprintf("%s: SHA-256 is %s, its name says another", key, sum), nil
	}
	if err == nil {
		err = inputOf(o, p)
	}
	switch {
	case errors.Is(err, dataset.ErrFormat), errors.Is(err, errNotPlans):
		return fmt.Sprintf("%s: %v", key, err), nil
	case err != nil:
		return "", fmt.Errorf("read the tokenised rows %s in %s: %w", key, st, err)
	}
	return "", nil
}

// hashStep is how much is hashed between two looks at the context.
const hashStep = 4 << 20

// hashInput is the SHA-256 of an object in hexadecimal.
func hashInput(ctx context.Context, o store.Object) (string, error) {
	h := sha256.New()
	for at := int64(0); at < o.Size(); at += hashStep {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if _, err := io.Copy(h, io.NewSectionReader(o, at, min(hashStep, o.Size()-at))); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// errNotPlans says that prompts are whole and belong to another plan.
var errNotPlans = errors.New("not the prompts of the plan")

// inputOf compares what prompts say of themselves with the plan.
func inputOf(o store.Object, p run.Plan) error {
	f, err := dataset.OpenInput(o, o.Size())
	if err != nil {
		return err
	}
	if err := sameRows(f.NumRows(), p); err != nil {
		return fmt.Errorf("%w: %w", errNotPlans, err)
	}
	if digest := f.Head().Digest; digest != p.Data.Digest {
		return fmt.Errorf("%w: they are of the data set with SHA-256 %s, the plan says %s", errNotPlans, digest, p.Data.Digest)
	}
	return nil
}
